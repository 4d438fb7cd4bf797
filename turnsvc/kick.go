package turnsvc

import (
	"net/netip"
	"strconv"
)

// Kick ends the allocation of that id, as Snapshot lists it, and reports whether there was one.
func (s *Server) Kick(id string) bool {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return false
	}
	return s.books.endWhere(endKicked, func(a *allocation) bool { return a.id == n }) > 0
}

// KickUser ends every allocation of a user and returns how many. user is the name of a static user,
// the user name of a session, or the id that a minted credential was issued to, such as a session's
// peer id. A session that only lingers ends, too.
func (s *Server) KickUser(user string) int {
	n := s.books.endWhere(endKicked, func(a *allocation) bool { return a.belongsTo(user) })
	s.books.settle(s.judge.rooms.dismiss(func(m *member) bool { return m.id == user || m.user == user }))
	return n
}

// KickSource ends every allocation of clients within source, and the sessions from there that only
// linger. It returns how many allocations.
func (s *Server) KickSource(source netip.Prefix) int {
	n := s.books.endWhere(endKicked, func(a *allocation) bool {
		return source.Contains(a.client.Addr()) || a.scope.member != nil &&
			source.Contains(s.judge.rooms.sourceOf(a.scope.member))
	})
	s.books.settle(s.judge.rooms.dismiss(func(m *member) bool { return source.Contains(m.source) }))
	return n
}

func (a *allocation) belongsTo(user string) bool {
	return a.issued == user || a.scope.member != nil && a.scope.member.user == user && user != ""
}
