package signal

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// room is a set of sessions that see the same messages in the same order: everything that happens
// in it is put into the members' outboxes under one mutex. Putting never blocks, so nobody waits
// for anybody here.
type room struct {
	name    string // the full one: see Terms.FullName
	told    Members
	journal *Journal

	mu       sync.Mutex
	capacity int      // 0 = no limit
	share    int      // see Terms.Share
	kept     *keeping // nil: it stands as long as it has members
	ending   bool     // nobody may join any more: its members are being taken out
	closed   bool     // it is over: no longer in the directory, or about to leave it
	members  map[string]*seat
	joins    uint64
	paces    paces // of joins
}

// seat is one session's place in a room.
type seat struct {
	session *Session
	order   uint64 // of joining: the later of two is polite
	since   time.Time
	note    string  // see Join.Note
	news    *parcel // of its coming
	words   words   // for the next who joins
}

func (h *Hub) newRoom(name string, capacity int) *room {
	return &room{
		name: name, capacity: capacity, share: h.opts.Halls[name].Share, told: h.opts.Members, journal: h.opts.Journal,
		members: make(map[string]*seat),
	}
}

// politeTowards returns the perfect-negotiation role of one member towards another.
func (a *seat) politeTowards(b *seat) bool { return a.order > b.order }

// join seats the session and tells everybody. A session that is already in the room is told again
// who is there. It reports false if the room has been closed meanwhile. A capacity other than 0 is
// the limit of the session's dialect: once such a session has entered, the room grows no larger,
// whoever opened it.
func (r *room) join(s *Session, capacity int, note string, now time.Time) (open bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false, nil
	}
	own := r.members[s.self.ID]
	again := own != nil && own.session == s
	if !again {
		if r.ending {
			return true, Refuse(CodeNoSuchRoom, "it has just been closed")
		}
		if err := r.kept.admits(s); err != nil {
			return true, err
		}
		if r.capacity > 0 && (capacity == 0 || r.capacity < capacity) {
			capacity = r.capacity
		}
		share := max(r.share, s.terms.Share)
		// Without a capacity, a line's sessions may all be there: in an IPv6 /48, twice a source's.
		places := cmp.Or(capacity, 2*s.hub.opts.SessionsPerSource)
		if err := r.hasPlace(s.line, capacity, share, places, now); err != nil {
			return true, err
		}
		r.capacity, r.share = capacity, share
		r.joins++
		own = &seat{session: s, order: r.joins, since: now, note: note}
		// Before anybody learns of it: what they send each other must find its way from the first
		// candidate on.
		r.told.Joined(r.name, s.self.ID)
	}
	s.send(Joined{Room: r.name, Peers: r.peersOf(own), Capacity: r.capacity})
	if again {
		return true, nil
	}
	for _, other := range r.sorted() {
		for _, p := range other.drop() {
			s.follow(s.out.put(p, true, sender{session: other.session}))
		}
	}
	if len(r.members) == 0 && r.kept == nil {
		r.journal.put(Happening{Kind: KindRoomOpened, Room: r.name})
	}
	r.journal.put(Happening{Kind: KindPeerJoined, Room: r.name, Peer: s.self})
	own.news = shared(PeerJoined{Room: r.name, Peer: Peer{Member: s.self, Note: note}})
	for _, other := range r.members {
		other.session.put(own.news, true)
	}
	r.members[s.self.ID] = own
	return true, nil
}

// hasPlace refuses a member more of a line if there are as many as may be, or it joins too often.
// mu is held.
func (r *room) hasPlace(line netip.Prefix, capacity, share, places int, now time.Time) error {
	switch {
	case capacity > 0 && len(r.members) >= capacity:
		return Refuse(CodeRoomFull, "")
	case capacity > 0 && share > 0 && r.ofLine(line) >= max(capacity/share, leastOfLine):
		return Refuse(CodeRoomFull, "as many are there from your network address as may be")
	case !r.paces.allow(line, places, now):
		return Refuse(CodeRateLimited, "too many join and leave this room from your network address")
	}
	return nil
}

// leastOfLine is how many those of one line may always be.
const leastOfLine = 8

// ofLine is how many members are of one line. The zero line has none. mu is held.
func (r *room) ofLine(line netip.Prefix) (n int) {
	for _, m := range r.members {
		if line.IsValid() && m.session.line == line {
			n++
		}
	}
	return n
}

// peersOf lists the others as one member sees them. mu is held.
func (r *room) peersOf(own *seat) []Peer {
	peers := make([]Peer, 0, len(r.members))
	for _, other := range r.sorted() {
		if other.session != own.session {
			peers = append(peers, Peer{Member: other.session.self, Polite: own.politeTowards(other),
				Note: other.note})
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

// leave frees the session's seat and tells the others; a session that goes on is told, too. It
// reports whether that has closed the room. The session's work is held.
func (r *room) leave(s *Session, why LeftReason) (empty bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := r.members[s.self.ID]
	if own == nil || own.session != s {
		return false
	}
	own.drop()
	delete(r.members, s.self.ID)
	if !s.over { // else Ended has said what there is to say
		r.told.Left(r.name, s.self.ID)
		s.send(Left{Room: r.name, Reason: why})
	}
	r.journal.put(Happening{Kind: KindPeerLeft, Room: r.name, Peer: s.self, Reason: why})
	news := shared(PeerLeft{Room: r.name, Peer: s.self, Note: own.note, Reason: why})
	for _, other := range r.members {
		if !other.session.out.retract(own.news, s) {
			other.session.put(news, true)
		}
	}
	r.closeIfEmpty()
	return r.closed
}

// closeIfEmpty closes the room if nothing keeps it. mu is held.
func (r *room) closeIfEmpty() {
	if len(r.members) == 0 && r.kept == nil && !r.closed {
		r.closed = true
		r.journal.put(Happening{Kind: KindRoomClosed, Room: r.name})
	}
}

// broadcast puts a message into the outbox of every member, of the sender only if it echoes. It
// fails, and puts it nowhere, while a member has no room for more of that sender: so the sender
// goes as slowly as the slowest member who reads, and nobody is ended for what it says.
func (r *room) broadcast(from *Session, echo bool, p *parcel) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tell(from, echo, p)
}

// tell is broadcast with mu held.
func (r *room) tell(from *Session, echo bool, p *parcel) error {
	by := sender{session: from}
	for id, other := range r.members {
		if (echo || id != from.self.ID) && !other.session.expects(p, by) {
			return errNoRoom
		}
	}
	for id, other := range r.members {
		if echo || id != from.self.ID {
			p.lent.use()
			if v := other.session.out.put(p, true, by); !other.session.follow(v) {
				p.lent.done() // it was not queued
			}
		}
	}
	return nil
}

// deliver puts a message into one member's outbox.
func (r *room) deliver(to string, e Event, by sender) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	target, ok := r.members[to]
	if !ok {
		return Refuse(CodeNoSuchPeer, "")
	}
	return target.session.deliver(e, by)
}

// has reports whether somebody is a member.
func (r *room) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.members[id] != nil
}

// join seats the session in the room of that full name, which its first member opens.
func (h *Hub) join(name string, s *Session, pass *Pass, capacity int, note string) (*room, error) {
	for {
		r, err := h.room(name, s, pass, capacity)
		if err != nil {
			return nil, err
		}
		// The last member may leave between here and there: then the next round finds, or makes,
		// another room.
		if open, err := r.join(s, capacity, note, time.Now()); open {
			return r, err
		}
		h.discard(r)
	}
}

// room finds the room of that name, or makes it.
func (h *Hub) room(name string, s *Session, pass *Pass, capacity int) (*room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if pass.Key != "" && !slices.Contains(s.tokens, pass.Key) {
		if h.opts.Bans.Concern("", pass.Key, netip.Addr{}, time.Now()) {
			return nil, Refuse(CodeUnauthorized, "the token is banned")
		}
		if len(s.tokens) == maxTokens {
			s.tokens = slices.Delete(s.tokens, 1, 2) // not that of its hello
		}
		s.tokens = append(s.tokens, pass.Key)
	}
	if r, ok := h.rooms[name]; ok {
		return r, nil
	}
	if h.opts.Rooms > 0 && len(h.rooms) >= h.opts.Rooms {
		return nil, Refuse(CodeNoSuchRoom, "")
	}
	r := h.newRoom(name, cmp.Or(pass.Capacity, capacity, h.usualCapacity(name)))
	h.rooms[name] = r
	return r, nil
}

// usualCapacity is that of a room whose opener asks for none.
func (h *Hub) usualCapacity(name string) int {
	return cmp.Or(h.opts.Halls[name].Capacity, h.live.Load().capacity)
}

// maxTokens is how many keys of tokens a session is known by: its latest, and that of its hello.
const maxTokens = 64

func (h *Hub) leave(r *room, s *Session, why LeftReason) {
	if r.leave(s, why) {
		h.discard(r)
	}
}

// discard takes a closed room out of the directory; its name may belong to another one already.
func (h *Hub) discard(r *room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rooms[r.name] == r {
		delete(h.rooms, r.name)
	}
}
