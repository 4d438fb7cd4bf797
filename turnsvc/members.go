package turnsvc

import (
	"net/netip"
	"time"
)

// lingering is how long a session whose signaling connection was lost keeps its allocations and
// grants without traffic: a live call outlasts the connection that made it.
const lingering = 30 * time.Second

// The hub tells who may reach whom: these methods are its Members. They don't wait for the network
// and call nobody back.

// Opened is a new session of that user, if it has a name, whose client connects from source.
func (s *Server) Opened(id, user string, source netip.Addr) { s.rooms.opened(id, user, source) }

// Moved is another source of the session's signaling connection.
func (s *Server) Moved(id string, source netip.Addr) { s.settle(nil, s.rooms.moved(id, source)) }

// Joined makes the session one of a group whose members may reach each other.
func (s *Server) Joined(group, id string) { s.rooms.joined(group, id) }

// Called makes a group of two sessions, which ends with the first of them.
func (s *Server) Called(from, to string) { s.rooms.called(from, to) }

// Left takes it out again. When it returns, no packet passes that only the group allowed.
func (s *Server) Left(group, id string) { s.settle(nil, s.rooms.left(group, id)) }

// Claimed is an address that the session has signalled as a candidate.
func (s *Server) Claimed(id string, addr netip.Addr) { s.rooms.claim(id, addr) }

// Ended is the end of a session. Its allocations end at once, but for a lost one, which keeps all
// until nothing has moved for it for 30 seconds.
func (s *Server) Ended(id string, lost bool) { s.settle(s.rooms.ended(id, lost, s.clock.now())) }

// settle ends allocations and judges the permissions of others again.
func (s *Server) settle(ending []*allocation, concerned concern) {
	for _, a := range ending {
		s.books.end(a)
	}
	for a, peers := range concerned {
		s.regrant(a, peers...)
	}
}

// Member tells who a session is, also one whose signaling connection is lost.
func (s *Server) Member(id string) (user string, source netip.Addr, ok bool) {
	s.rooms.mu.Lock()
	defer s.rooms.mu.Unlock()
	m := s.rooms.members[id]
	if m == nil {
		return "", netip.Addr{}, false
	}
	return m.user, m.source, true
}

// regrant judges permissions again. Judging and changing is one step for all who do it, so that no
// judgement of an earlier state overwrites one of a later.
func (s *Server) regrant(a *allocation, peers ...netip.Addr) {
	s.regrants.Lock()
	defer s.regrants.Unlock()
	for _, peer := range peers {
		a.regrant(peer, s.grantFor(a, peer)) // judged before the allocation's lock is taken: it asks the rooms
	}
}

// grantFor asks the policy what an allocation may do with peer.
func (s *Server) grantFor(a *allocation, peer netip.Addr) grant {
	h := s.host.Load()
	return s.live.Load().policy.grant(&a.scope, peer, h.own, h.relayed)
}
