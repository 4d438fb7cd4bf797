package turnsvc

import "net/netip"

// By these methods the hub tells who may reach whom. They don't wait for the network, and call
// nobody back.

// Opened tells of a new session, whose client connects from source. user is its user name, if any.
func (s *Server) Opened(id, user string, source netip.Addr) { s.judge.rooms.opened(id, user, source) }

// Identified tells who is behind the session, after Opened: sessions with the same who count as one
// user. who should be as few people as can be told apart, since they share the limits of one.
// account is whom Usage is counted for; empty: nobody in particular.
func (s *Server) Identified(id, who, account string) { s.judge.rooms.identified(id, who, account) }

// Moved tells of another source of the session's signaling connection.
func (s *Server) Moved(id string, source netip.Addr) {
	s.books.settle(nil, s.judge.rooms.moved(id, source))
}

// Joined makes the session one of a group whose members may reach each other.
func (s *Server) Joined(group, id string) { s.judge.rooms.joined(group, id) }

// Called makes a group of two sessions, which ends with the first of them, or when they hang up.
func (s *Server) Called(from, to string) { s.judge.rooms.called(from, to) }

// HungUp ends that group. When it returns, no packet passes that only the call allowed.
func (s *Server) HungUp(from, to string) { s.books.settle(nil, s.judge.rooms.hungUp(from, to)) }

// Left takes it out again. When it returns, no packet passes that only the group allowed.
func (s *Server) Left(group, id string) { s.books.settle(nil, s.judge.rooms.left(group, id)) }

// Claimed tells of an address that the session has signaled as a candidate.
func (s *Server) Claimed(id string, addr netip.Addr) { s.judge.rooms.claim(id, addr) }

// Ended tells of the end of a session. Its allocations end at once. If only the signaling
// connection was lost, the session keeps everything until it has been without traffic for 30
// seconds.
func (s *Server) Ended(id string, lost bool) {
	s.books.settle(s.judge.rooms.ended(id, lost, s.core.clock.now()))
}

// Member returns the user of a session and the source of its signaling connection, also for a
// session whose connection is lost.
func (s *Server) Member(id string) (user string, source netip.Addr, ok bool) {
	s.judge.rooms.mu.Lock()
	defer s.judge.rooms.mu.Unlock()
	m := s.judge.rooms.members[id]
	if m == nil {
		return "", netip.Addr{}, false
	}
	return m.user, m.source, true
}
