package signal

import (
	"net/netip"
	"slices"
)

// Kicked is a session that Kick has ended.
type Kicked struct {
	ID, User string
	Tokens   []string // Pass.Key of the tokens that it entered with
	Source   netip.Addr
}

// Kick ends the sessions that match, tells their clients not to come back, and returns the
// sessions. match is called under the hub's lock.
func (h *Hub) Kick(match func(Kicked) bool) []Kicked {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var out []Kicked
	for id, s := range h.sessions {
		if s.stopped() {
			continue // it is about to leave
		}
		k := Kicked{ID: id, User: s.self.User, Tokens: slices.Clone(s.tokens), Source: s.client.Load().Source}
		if match(k) {
			s.Stop(CodeKicked)
			h.opts.Members.Ended(id, false) // at once; its end says so again when it gets to it
			out = append(out, k)
		}
	}
	return out
}
