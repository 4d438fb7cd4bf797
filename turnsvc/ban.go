package turnsvc

import (
	"net/netip"
	"strconv"
	"sync"
	"time"

	"signalbox/turnsvc/cred"
)

// Kick ends the allocation of that id, as Snapshot lists it, and reports whether there was one.
func (s *Server) Kick(id string) bool {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return false
	}
	return s.endWhere(func(a *allocation) bool { return a.id == n }) > 0
}

// KickUser ends every allocation of a user and returns how many: the name of a static user, the
// user name of a session, or the id that a minted credential was issued to, which is a session's
// peer id for one. A session that only lingers is over with it.
func (s *Server) KickUser(user string) int {
	n := s.endWhere(func(a *allocation) bool { return a.belongsTo(user) })
	s.settle(s.rooms.dismiss(func(m *member) bool { return m.id == user || m.user == user }))
	return n
}

// KickSource ends every allocation of clients within source, and the sessions from there that only
// linger. It returns how many allocations.
func (s *Server) KickSource(source netip.Prefix) int {
	n := s.endWhere(func(a *allocation) bool {
		return source.Contains(a.client.Addr()) || a.scope.member != nil &&
			source.Contains(s.rooms.sourceOf(a.scope.member))
	})
	s.settle(s.rooms.dismiss(func(m *member) bool { return source.Contains(m.source) }))
	return n
}

func (a *allocation) belongsTo(user string) bool {
	if a.class == cred.Static {
		return a.user == user
	}
	_, id, _ := cred.Parse(a.user)
	return id == user || a.scope.member != nil && a.scope.member.user == user && user != ""
}

// endWhere ends the allocations that match. The lane stops with it; a stream is closed, too.
func (s *Server) endWhere(match func(*allocation) bool) (n int) {
	for _, a := range s.books.list() {
		if a.ended.Load() || !match(a) {
			continue
		}
		n++
		s.books.end(a)
		if l, ok := a.link.(*streamLink); ok {
			l.close()
		}
	}
	return n
}

// bans keep users and sources from allocating for a time.
type bans struct {
	mu      sync.Mutex
	users   map[string]time.Time
	sources map[netip.Prefix]time.Time
}

// maxBans bounds the memory for them; the operator makes them, so this many are a mistake.
const maxBans = 10_000

// Ban keeps a user, as KickUser knows it, or a source from making allocations until then. An empty
// user or an invalid source is none.
func (s *Server) Ban(user string, source netip.Prefix, until time.Time) {
	s.bans.mu.Lock()
	defer s.bans.mu.Unlock()
	if user != "" && len(s.bans.users) < maxBans {
		s.bans.users[user] = until
	}
	if source.IsValid() && len(s.bans.sources) < maxBans {
		s.bans.sources[source.Masked()] = until
	}
}

// banned reports whether somebody may not allocate now. Bans whose time is over are forgotten on
// the way.
func (b *bans) banned(class cred.Class, user string, source netip.Addr, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.users)+len(b.sources) == 0 {
		return false
	}
	if class != cred.Static {
		_, user, _ = cred.Parse(user)
	}
	if until, ok := b.users[user]; ok {
		if now.Before(until) {
			return true
		}
		delete(b.users, user)
	}
	for prefix, until := range b.sources {
		switch {
		case !now.Before(until):
			delete(b.sources, prefix)
		case prefix.Contains(source):
			return true
		}
	}
	return false
}
