package signal

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// room is a set of sessions that see the same messages in the same order: everything that happens
// in it is put into the members' outboxes under one mutex. Putting never blocks, so nobody waits
// for anybody here.
type room struct {
	name     string
	capacity int // 0 = no limit
	told     Members

	mu      sync.Mutex
	closed  bool // the last member has left: the room is no longer in the directory, or about to leave it
	members map[string]*seat
	joins   uint64
}

// seat is one session's place in a room.
type seat struct {
	session *session
	order   uint64 // of joining: the later of two is polite
	since   time.Time
}

func newRoom(name string, capacity int, told Members) *room {
	return &room{name: name, capacity: capacity, told: told, members: make(map[string]*seat)}
}

// politeTowards is the perfect-negotiation role of one member towards another.
func (a *seat) politeTowards(b *seat) bool { return a.order > b.order }

// join seats the session and tells everybody. A session that is in the room already is told again
// who is there. It reports false when the room has been closed meanwhile.
func (r *room) join(s *session, now time.Time) (open bool, bad *refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false, nil
	}
	own := r.members[s.id]
	again := own != nil && own.session == s
	if !again {
		if r.capacity > 0 && len(r.members) >= r.capacity {
			return true, refuse(CodeRoomFull, "")
		}
		r.joins++
		own = &seat{session: s, order: r.joins, since: now}
	}
	if !again {
		// Before anybody knows: what they send each other must find its way from the first
		// candidate on.
		r.told.Joined(r.name, s.id)
	}
	s.send(joined{Room: r.name, Peers: r.peersOf(own), Capacity: r.capacity})
	if again {
		return true, nil
	}
	news := &parcel{message: peerJoined{Room: r.name, Peer: peer{member: s.member(), Polite: false}}}
	for _, other := range r.members {
		other.session.sendParcel(news)
	}
	r.members[s.id] = own
	return true, nil
}

// peersOf lists the others as one member sees them. mu is held.
func (r *room) peersOf(own *seat) []peer {
	peers := make([]peer, 0, len(r.members))
	for _, other := range r.sorted() {
		if other.session != own.session {
			peers = append(peers, peer{member: other.session.member(), Polite: own.politeTowards(other)})
		}
	}
	return peers
}

// sorted is the members in the order of joining. mu is held.
func (r *room) sorted() []*seat {
	seats := make([]*seat, 0, len(r.members))
	for _, m := range r.members {
		seats = append(seats, m)
	}
	slices.SortFunc(seats, func(a, b *seat) int { return cmp.Compare(a.order, b.order) })
	return seats
}

// leave frees the session's seat and tells the others; one that leaves by itself is told too. It
// reports whether that was the last one, and has then closed the room.
func (r *room) leave(s *session, why leftReason) (empty bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if own := r.members[s.id]; own == nil || own.session != s {
		return false
	}
	delete(r.members, s.id)
	if why == reasonLeft {
		r.told.Left(r.name, s.id) // at any other end, Ended has said what there is to say
	}
	if why == reasonLeft {
		s.send(left{Room: r.name})
	}
	news := &parcel{message: peerLeft{Room: r.name, Peer: s.member(), Reason: why}}
	for _, other := range r.members {
		other.session.sendParcel(news)
	}
	r.closed = len(r.members) == 0
	return r.closed
}

// broadcast puts a message into the outbox of every member but the sender.
func (r *room) broadcast(from *session, p *parcel) {
	p.encodedFor(from.codec) // not under the lock: members mostly speak the same dialect
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, other := range r.members {
		if id != from.id {
			other.session.sendParcel(p)
		}
	}
}

// deliver puts a message into one member's outbox.
func (r *room) deliver(from *session, to string, m serverMessage) bool {
	p := &parcel{message: m}
	p.encodedFor(from.codec)
	r.mu.Lock()
	defer r.mu.Unlock()
	target, ok := r.members[to]
	return ok && target.session.sendParcel(p)
}

// has tells whether somebody is a member.
func (r *room) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.members[id] != nil
}

func (r *room) snapshot() RoomSnapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	shot := RoomSnapshot{Room: r.name, Members: make([]MemberSnapshot, 0, len(r.members))}
	for _, m := range r.sorted() {
		shot.Members = append(shot.Members, MemberSnapshot{
			ID:     m.session.id,
			Name:   m.session.name,
			User:   m.session.user,
			Source: m.session.client.Load().source,
			Since:  m.since.UnixMilli(),
			Away:   !m.session.out.attached(),
		})
	}
	return shot
}
