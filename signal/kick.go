package signal

import (
	"net/netip"
	"time"
)

// Kicked is a session that Kick has ended.
type Kicked struct {
	ID, User string
	Source   netip.Addr
}

// Kick ends the sessions that match, which are told so and told not to come back, and returns them. match is called under the hub's lock.
func (h *Hub) Kick(match func(Kicked) bool) []Kicked {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var out []Kicked
	for id, s := range h.sessions {
		k := Kicked{ID: id, User: s.user, Source: s.client.source}
		if match(k) {
			s.stop(CodeKicked)
			h.opts.Members.Ended(id, false) // at once; its reader says so again when it gets to it
			out = append(out, k)
		}
	}
	return out
}

// maxBans bounds the memory for bans; the operator makes them, so this many are a mistake.
const maxBans = 10_000

// Ban refuses new sessions of a user name, or from a source, until then. An empty user or an invalid source is none.
func (h *Hub) Ban(user string, source netip.Prefix, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if user != "" && len(h.bannedUsers) < maxBans {
		h.bannedUsers[user] = until
	}
	if source.IsValid() && len(h.bannedSources) < maxBans {
		h.bannedSources[source.Masked()] = until
	}
}

// banned refuses a session that a ban is about, and forgets bans whose time is over. mu is held.
func (h *Hub) banned(s *session, now time.Time) *refusal {
	for prefix, until := range h.bannedSources {
		switch {
		case !now.Before(until):
			delete(h.bannedSources, prefix)
		case prefix.Contains(s.client.source):
			return refuse(CodeKicked, "")
		}
	}
	until, ok := h.bannedUsers[s.user]
	switch {
	case ok && now.Before(until):
		return refuse(CodeKicked, "")
	case ok:
		delete(h.bannedUsers, s.user)
	}
	return nil
}
