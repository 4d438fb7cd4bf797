package signal

import (
	"cmp"
	"time"
)

// Policy says who may join a kept room, among those whom the Guard admits.
type Policy string

// The policies.
const (
	PolicyOpen    Policy = "open"    // everybody
	PolicyInvited Policy = "invited" // the users that the plan names
	PolicyLocked  Policy = "locked"  // nobody any more; who is in stays
)

// Plan is how a room is kept: it stands until it expires, also while nobody is in it.
type Plan struct {
	Room     string // the full name
	Capacity int    // 0: that of its hall, or the hub's default
	Policy   Policy
	Users    []string // who may join under PolicyInvited, by their handles
	Expires  time.Time
}

// keeping is a plan in force.
type keeping struct {
	policy  Policy
	users   map[string]bool
	expires time.Time
	timer   *time.Timer
}

// admits reports whether a session may join.
func (k *keeping) admits(s *Session) error {
	switch {
	case k == nil, k.policy == PolicyOpen:
		return nil
	case k.policy == PolicyLocked:
		return Refuse(CodeUnauthorized, "the room is locked")
	case s.self.User == "" || !k.users[s.self.User]:
		return Refuse(CodeUnauthorized, "you are not invited to that room")
	}
	return nil
}

// Keep makes a room that stands until it expires, and reports whether it is new. A room that exists
// goes on under the new plan: nobody has to leave it. It fails with a Refusal.
func (h *Hub) Keep(plan Plan) (fresh bool, err error) {
	if err := CheckText("room", plan.Room, MaxRoom); err != nil {
		return false, err
	}
	k := &keeping{policy: plan.Policy, users: make(map[string]bool), expires: plan.Expires}
	for _, user := range plan.Users {
		k.users[Visible(user)] = true
	}
	capacity := cmp.Or(plan.Capacity, h.usualCapacity(RoomName(plan.Room)))
	for {
		r, fresh, err := h.keep(RoomName(plan.Room), capacity, k)
		if err != nil {
			return false, err
		}
		if fresh || r.keep(capacity, k) {
			h.expireAt(r, k)
			return fresh, nil
		}
		h.discard(r) // it has been closed meanwhile
	}
}

// keep finds the room of that name, or makes it, kept before anybody can join it.
func (h *Hub) keep(name string, capacity int, k *keeping) (r *room, fresh bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, exists := h.rooms[name]
	switch {
	case h.closing, h.draining && !exists:
		return nil, false, Refuse(CodeShuttingDown, "")
	case exists:
		return r, false, nil
	case h.opts.Rooms > 0 && len(h.rooms) >= h.opts.Rooms:
		return nil, false, Refuse(CodeNoSuchRoom, "")
	}
	r = h.newRoom(name, capacity)
	r.kept = k
	r.journal.put(Happening{Kind: KindRoomOpened, Room: name})
	h.rooms[name] = r
	return r, true, nil
}

// keep puts another plan into force, and reports whether the room still stands.
func (r *room) keep(capacity int, k *keeping) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.ending {
		return false
	}
	r.kept.stop()
	r.kept, r.capacity = k, capacity
	return true
}

// expireAt ends the room when its time is over, unless it is kept otherwise by then.
func (h *Hub) expireAt(r *room, k *keeping) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept == k {
		k.timer = time.AfterFunc(time.Until(k.expires), func() {
			if h.enter() {
				defer h.running.Done()
				h.endRoom(r, k)
			}
		})
	}
}

// stop ends the wait for the end. The room's mu is held.
func (k *keeping) stop() {
	if k != nil && k.timer != nil {
		k.timer.Stop()
	}
}

// CloseRoom ends a room: its members leave it as kicked, and its name is free. It waits until they
// have. It fails with a Refusal.
func (h *Hub) CloseRoom(name string) error {
	r := h.findRoom(name)
	if r == nil {
		return errNoRoomOfThatName
	}
	h.endRoom(r, nil)
	return nil
}

// errNoRoomOfThatName answers who asks about a room that does not exist.
var errNoRoomOfThatName = Refuse(CodeNoSuchRoom, "")

func (h *Hub) findRoom(name string) *room {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.rooms[RoomName(name)]
}

// endRoom lets nobody join any more, and has everybody leave. k, if not nil, is the plan under
// which that is to be done.
func (h *Hub) endRoom(r *room, k *keeping) {
	members, ended := r.end(k)
	if !ended {
		return
	}
	if len(members) == 0 {
		h.discard(r)
	}
	for _, s := range members {
		s.Do(func() { s.drop(r, ReasonKicked) }) // whoever is over leaves by itself
	}
}

func (r *room) end(k *keeping) (members []*Session, ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || k != nil && r.kept != k {
		return nil, false
	}
	r.release()
	r.ending = true
	for _, m := range r.sorted() {
		members = append(members, m.session)
	}
	return members, true
}

// release makes the room one that stands as long as it has members. mu is held.
func (r *room) release() {
	r.kept.stop()
	r.kept = nil
	r.closeIfEmpty()
}

// releaseRooms forgets all plans, at the end of the hub.
func (h *Hub) releaseRooms() {
	for _, r := range h.allRooms() {
		r.mu.Lock()
		r.release()
		closed := r.closed
		r.mu.Unlock()
		if closed {
			h.discard(r)
		}
	}
}

func (h *Hub) allRooms() []*room {
	h.mu.RLock()
	defer h.mu.RUnlock()
	rooms := make([]*room, 0, len(h.rooms))
	for _, r := range h.rooms {
		rooms = append(rooms, r)
	}
	return rooms
}

// Evict has those members leave a room as kicked whom match picks, and returns them. Their sessions
// go on, and they may join again, unless the room's policy keeps them out. It fails with a Refusal.
func (h *Hub) Evict(room string, match func(Member) bool) (gone []Member, err error) {
	r := h.findRoom(room)
	if r == nil {
		return nil, errNoRoomOfThatName
	}
	r.mu.Lock()
	seats := r.sorted()
	r.mu.Unlock()
	for _, m := range seats {
		s := m.session
		if match(s.self) {
			s.Do(func() {
				if s.drop(r, ReasonKicked) {
					gone = append(gone, s.self)
				}
			})
		}
	}
	return gone, nil
}
