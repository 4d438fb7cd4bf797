package signalbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"signalbox/internal/source"
	"signalbox/signal"
)

// Kick says whose sessions and allocations are to end: one of the first five.
type Kick struct {
	Allocation string `json:"allocation,omitempty"` // its id
	Peer       string `json:"peer,omitempty"`       // a session's peer id
	// a user name of the hub, a static TURN user, or whom a TURN credential was minted for
	User   string `json:"user,omitempty"`
	Token  string `json:"token,omitempty"`  // a room token's jti, or "sub:" and its sub
	Source string `json:"source,omitempty"` // an address or a network
	// Ban keeps them out for that long, "1h": the user or the token; for a peer also its tokens and
	// the source of its connection. Empty: they may come back.
	Ban string `json:"ban,omitempty"`
}

// KickResult counts what a Kick has ended.
type KickResult struct {
	Sessions    int `json:"sessions"`
	Allocations int `json:"allocations"`
}

// Kick ends sessions and allocations, and bans if that is asked for.
func (a *App) Kick(k Kick) (out KickResult, err error) {
	var until time.Time
	if k.Ban != "" {
		d, err := time.ParseDuration(k.Ban)
		if err != nil || d <= 0 {
			return out, fmt.Errorf(`ban: %q is not a duration: write "30m" or "12h"`, k.Ban)
		}
		until = time.Now().Add(d)
	}
	var full error // a ban that there is no room for
	ban := func(b source.Ban) {
		if !until.IsZero() {
			b.Until = until
			full = cmp.Or(full, a.bans.Add(b, time.Now()))
		}
	}
	var match func(signal.Kicked) bool
	var who slog.Attr
	switch {
	case k.Allocation != "":
		if until != (time.Time{}) {
			return out, fmt.Errorf("ban: an allocation can't be banned: name its user or its source")
		}
		if a.turn.Kick(k.Allocation) {
			out.Allocations++
		}
		a.log.Info("kicked", "allocation", k.Allocation, "allocations", out.Allocations)
		return out, nil
	case k.Peer != "":
		who = slog.String("peer", k.Peer)
		match = func(s signal.Kicked) bool { return s.ID == k.Peer }
	case k.User != "":
		who = slog.String("user", k.User)
		ban(source.Ban{User: k.User})
		out.Allocations += a.turn.KickUser(k.User)
		match = func(s signal.Kicked) bool { return s.User == k.User }
	case k.Token != "":
		who = slog.String("token", k.Token)
		ban(source.Ban{Token: k.Token})
		match = func(s signal.Kicked) bool { return slices.Contains(s.Tokens, k.Token) }
	case k.Source != "":
		list, err := parsePrefixes([]string{k.Source})
		if err != nil {
			return out, fmt.Errorf("source: %w", err)
		}
		who = slog.String("source", list[0].String())
		ban(source.Ban{Source: list[0]})
		out.Allocations += a.turn.KickSource(list[0])
		match = func(s signal.Kicked) bool { return list[0].Contains(s.Source) }
	default:
		return out, fmt.Errorf("name an allocation, a peer, a user, a token or a source")
	}
	if k.Peer != "" {
		// Asked of the relay, which also knows sessions whose signaling connection is lost.
		if user, ip, ok := a.turn.Member(k.Peer); ok {
			ban(source.Ban{User: user, Source: sourcePrefix(ip)})
		}
		out.Allocations += a.turn.KickUser(k.Peer)
	}
	// Bans come first, so that nobody slips in between, and allocations, to be counted before they
	// go with their session.
	for _, s := range a.sessionsThat(match) {
		if k.Peer != "" {
			for _, token := range s.Tokens {
				ban(source.Ban{Token: token})
			}
		}
		out.Allocations += a.turn.KickUser(s.ID)
	}
	out.Sessions = len(a.hub.Kick(match))
	a.log.Info("kicked", who, "sessions", out.Sessions, "allocations", out.Allocations, "ban", k.Ban)
	return out, full
}

// sessionsThat match, which go on.
func (a *App) sessionsThat(match func(signal.Kicked) bool) (out []signal.Kicked) {
	a.hub.Kick(func(s signal.Kicked) bool {
		if match(s) {
			out = append(out, s)
		}
		return false
	})
	return out
}

// sourcePrefix is what a ban of one client is for: an IPv4 address, or the IPv6 /64 that a host
// moves in.
func sourcePrefix(ip netip.Addr) netip.Prefix {
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // the zero prefix for a client without an address, which is no ban
	return p
}

func (a *App) serveKick(w http.ResponseWriter, r *http.Request) {
	var k Kick
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&k); err != nil {
		writeError(w, http.StatusBadRequest, "bad-frame",
			`want {"peer":"..."}, or allocation, user, token or source, and "ban":"1h" if they are to stay out`)
		return
	}
	out, err := a.Kick(k)
	if err != nil {
		writeError(w, http.StatusBadRequest, "bad-frame", err.Error())
		return
	}
	writeJSON(w, http.StatusOK, out)
}
