package signal

import (
	"net/netip"
	"slices"
	"time"
)

// Kicked is a session that Kick has ended.
type Kicked struct {
	ID, User string
	Tokens   []string // Pass.Key of the tokens that it entered with
	Source   netip.Addr
}

// Kick ends the sessions that match, which are told so and told not to come back, and returns them.
// match is called under the hub's lock.
func (h *Hub) Kick(match func(Kicked) bool) []Kicked {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var out []Kicked
	for id, s := range h.sessions {
		k := Kicked{ID: id, User: s.user, Tokens: slices.Clone(s.tokens), Source: s.client.Load().source}
		if match(k) {
			s.stop(CodeKicked)
			h.opts.Members.Ended(id, false) // at once; its end says so again when it gets to it
			out = append(out, k)
		}
	}
	return out
}

// Ban keeps somebody out: new sessions of that user, with that token, or from that source are
// refused. What is empty bans nobody.
type Ban struct {
	User   string
	Token  string // a Pass.Key
	Source netip.Prefix
	Until  time.Time
}

// Ban puts a ban into force.
func (h *Hub) Ban(b Ban) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bans.add(b)
}

// maxBans bounds the memory for bans of one kind; the operator makes them, so this many are a
// mistake.
const maxBans = 10_000

// bans are those in force. Hub.mu guards them.
type bans struct {
	users, tokens map[string]time.Time
	sources       map[netip.Prefix]time.Time
}

func newBans() bans {
	return bans{users: map[string]time.Time{}, tokens: map[string]time.Time{}, sources: map[netip.Prefix]time.Time{}}
}

func (b *bans) add(ban Ban) {
	if ban.User != "" && len(b.users) < maxBans {
		b.users[ban.User] = ban.Until
	}
	if ban.Token != "" && len(b.tokens) < maxBans {
		b.tokens[ban.Token] = ban.Until
	}
	if ban.Source.IsValid() && len(b.sources) < maxBans {
		b.sources[ban.Source.Masked()] = ban.Until
	}
}

// concern tells whether a ban is about any of these, and forgets those whose time is over.
func (b *bans) concern(user, token string, source netip.Addr, now time.Time) bool {
	over := func(until time.Time) bool { return !now.Before(until) }
	for prefix, until := range b.sources {
		switch {
		case over(until):
			delete(b.sources, prefix)
		case prefix.Contains(source):
			return true
		}
	}
	for _, named := range []struct {
		bans map[string]time.Time
		name string
	}{{b.users, user}, {b.tokens, token}} {
		until, ok := named.bans[named.name]
		switch {
		case ok && over(until):
			delete(named.bans, named.name)
		case ok:
			return true
		}
	}
	return false
}
