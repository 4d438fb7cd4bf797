package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"signalbox/internal/netaddr"
	"signalbox/internal/source"
	"signalbox/signal"
)

// Hub is what Kick needs of the hub.
type Hub interface {
	// Kick ends the sessions that match and returns them. match is called under the hub's lock.
	Kick(match func(signal.Kicked) bool) []signal.Kicked
}

// Relay is what the API needs of the TURN server. KickUser and KickSource return how many
// allocations they ended.
type Relay interface {
	Allocations() int
	Kick(id string) bool
	KickUser(user string) int
	KickSource(source netip.Prefix) int
}

// Kick names the sessions and allocations to end, by exactly one of the first five fields.
type Kick struct {
	Allocation string `json:"allocation,omitempty"` // its id
	Peer       string `json:"peer,omitempty"`       // a session's peer id
	// User is a user name of the hub, a static TURN user, or the id for which a TURN credential was
	// minted.
	User   string `json:"user,omitempty"`
	Token  string `json:"token,omitempty"`  // a room token's jti, or "sub:" and its sub
	Source string `json:"source,omitempty"` // an address or a network
	// Ban keeps them out for that long, "1h": the user, the token or the source; for a peer its id,
	// its user, its tokens and the source of its connection. Empty: they may come back.
	Ban string `json:"ban,omitempty"`
	Why string `json:"why,omitempty"` // of the ban, at most source.MaxWhy bytes

	by string // the name of the token that asks
}

// Result counts the sessions and allocations that a Kick has ended.
type Result struct {
	Sessions    int `json:"sessions"`
	Allocations int `json:"allocations"`
	// Warning says what is wrong with a ban that is in force; empty: nothing.
	Warning     string  `json:"warning,omitempty"`
	WarningCode Warning `json:"warningCode,omitempty"`
}

// Kick ends sessions and allocations, and bans if that is asked for.
func (a *API) Kick(k Kick) (out Result, err error) {
	defer a.Changed()
	if !isOne(k.Allocation, k.Peer, k.User, k.Token, k.Source) {
		return out, errors.New("name one allocation, peer, user, token or source")
	}
	var until time.Time
	if k.Ban != "" {
		d, err := time.ParseDuration(k.Ban)
		if err != nil || d <= 0 {
			return out, fmt.Errorf(`ban: %q is not a duration: write "30m" or "12h"`, k.Ban)
		}
		until = time.Now().Add(d)
	}
	if len(k.Why) > source.MaxWhy {
		return out, fmt.Errorf("why: it is longer than %d bytes", source.MaxWhy)
	}
	if k.Allocation != "" {
		if !until.IsZero() {
			return out, errors.New("ban: an allocation can't be banned: name its user or its source")
		}
		if a.o.Relay.Kick(k.Allocation) {
			out.Allocations++
		}
		a.o.Log.Info("kicked", "allocation", k.Allocation, "allocations", out.Allocations, "by", k.by)
		return out, nil
	}
	t, err := a.target(k)
	if err != nil {
		return out, err
	}
	// Bans come first, so that nobody slips in between, and allocations before sessions, to be
	// counted before they go with them.
	if k.Peer != "" {
		t.bans = append(t.bans, tokensOf(a.sessions(t.match))...)
	}
	if out.WarningCode, out.Warning, err = a.ban(until, k, t); err != nil {
		return out, err
	}
	out.Allocations += t.allocations()
	for _, s := range a.sessions(t.match) {
		out.Allocations += a.o.Relay.KickUser(s.ID)
	}
	out.Sessions = len(a.o.Hub.Kick(t.match))
	a.o.Log.Info("kicked", t.who, "sessions", out.Sessions, "allocations", out.Allocations, "ban", k.Ban,
		"why", k.Why, "by", k.by)
	return out, nil
}

// target is who a Kick is about.
type target struct {
	who         slog.Attr
	match       func(signal.Kicked) bool // their sessions
	allocations func() int               // ends theirs, but for those that go with a session, and counts them
	bans        []source.Ban             // that would keep them out
	unbanned    string                   // what those leave out, and why; empty: nothing
}

func (a *API) target(k Kick) (target, error) {
	switch {
	case k.Peer != "":
		t := target{
			who:         slog.String("peer", k.Peer),
			match:       func(s signal.Kicked) bool { return s.ID == k.Peer },
			allocations: func() int { return a.o.Relay.KickUser(k.Peer) },
			bans:        []source.Ban{{Peer: k.Peer}},
		}
		// Asked of the relay, which also knows sessions whose signaling connection is lost.
		if user, from, ok := a.o.Member(k.Peer); ok {
			ban := source.Ban{User: user, Source: source.Of(from)}
			if from.IsLoopback() { // all who come through a proxy here
				ban.Source = netip.Prefix{}
				t.unbanned = "its address, " + from.String() + ", is not banned, since everybody behind a proxy on " +
					"this machine has it: see web.trusted_proxies"
			}
			t.bans = append(t.bans, ban)
		}
		return t, nil
	case k.User != "":
		t := target{
			who:   slog.String("user", k.User),
			match: func(s signal.Kicked) bool { return slices.Contains(namesOf(k.User), s.User) },
		}
		t.allocations = func() (n int) {
			for _, name := range namesOf(k.User) {
				for _, also := range a.o.Bans.Names(name) {
					n += a.o.Relay.KickUser(also)
				}
			}
			return n
		}
		for _, name := range namesOf(k.User) {
			t.bans = append(t.bans, source.Ban{User: name})
		}
		return t, nil
	case k.Token != "":
		return target{
			who:         slog.String("token", k.Token),
			match:       func(s signal.Kicked) bool { return slices.Contains(s.Tokens, k.Token) },
			allocations: func() int { return 0 },
			bans:        []source.Ban{{Token: k.Token}},
		}, nil
	default:
		from, err := netaddr.ParsePrefix(k.Source)
		if err != nil {
			return target{}, fmt.Errorf("source: %w", err)
		}
		return target{
			who:         slog.String("source", from.String()),
			match:       func(s signal.Kicked) bool { return from.Contains(s.Source) },
			allocations: func() int { return a.o.Relay.KickSource(from) },
			bans:        []source.Ban{{Source: from}},
		}, nil
	}
}

// isOne reports whether exactly one of the texts is not empty.
func isOne(texts ...string) bool {
	return len(slices.DeleteFunc(texts, func(text string) bool { return text == "" })) == 1
}

// namesOf are those of a user whom the operator has named: as it was typed, which is a TURN user's,
// and as others see it, which is the hub's.
func namesOf(user string) []string {
	if seen := signal.Visible(user); seen != "" && seen != user {
		return []string{user, seen}
	}
	return []string{user}
}

// sessions that match, which go on.
func (a *API) sessions(match func(signal.Kicked) bool) (out []signal.Kicked) {
	a.o.Hub.Kick(func(s signal.Kicked) bool {
		if match(s) {
			out = append(out, s)
		}
		return false
	})
	return out
}

// tokensOf returns bans of the tokens that sessions have entered with.
func tokensOf(sessions []signal.Kicked) (out []source.Ban) {
	for _, s := range sessions {
		for _, token := range s.Tokens {
			out = append(out, source.Ban{Token: token})
		}
	}
	return out
}

// ban puts a target's bans into force; a zero time means none. The warning says that they end with
// this process, or leave something out.
func (a *API) ban(until time.Time, k Kick, t target) (code Warning, warning string, err error) {
	if until.IsZero() {
		return "", "", nil
	}
	for i := range t.bans {
		t.bans[i].Until, t.bans[i].For = until, t.who.Key+":"+t.who.Value.String()
		t.bans[i].Why, t.bans[i].By = k.Why, k.by
	}
	code, warning, err = a.kept(a.o.Bans.Add(time.Now(), t.bans...))
	if code == "" && t.unbanned != "" {
		code, warning = SourceStay, "ban: "+t.unbanned
	}
	return code, warning, err
}

// kept makes a warning of an error after which bans have changed nevertheless.
func (a *API) kept(err error) (code Warning, warning string, _ error) {
	if errors.Is(err, source.ErrBansNotKept) {
		a.o.Log.Error("bans can't be kept", "err", err)
		return NotKept, "ban: " + err.Error(), nil
	}
	if err != nil {
		return "", "", fmt.Errorf("ban: %w", err)
	}
	return "", "", nil
}
