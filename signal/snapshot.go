package signal

import (
	"cmp"
	"net/netip"
	"slices"
)

// Snapshot is the hub at one moment; rooms are taken one after the other.
type Snapshot struct {
	Connections int             `json:"connections"` // including those that haven't said hello
	Sessions    int             `json:"sessions"`    // including those that wait to be resumed
	Users       int             `json:"users"`       // sessions that can be called by name
	Rooms       []RoomSnapshot  `json:"rooms"`       // by name
	Counters    Counters        `json:"counters"`
	Refusals    map[Code]uint64 `json:"refusals"` // since the start, every code
	Draining    bool            `json:"draining"`
}

// RoomSnapshot is a room and its members in the order of joining.
type RoomSnapshot struct {
	Room    string           `json:"room"`
	Members []MemberSnapshot `json:"members"`
}

// MemberSnapshot is a session in a room.
type MemberSnapshot struct {
	ID     string     `json:"id"`
	Name   string     `json:"name"`
	User   string     `json:"user,omitempty"`
	Source netip.Addr `json:"source"`
	Since  int64      `json:"since"`          // when it joined the room, in Unix milliseconds
	Away   bool       `json:"away,omitempty"` // its connection was lost, and it may come back
}

// Snapshot returns what the hub holds and has done.
func (h *Hub) Snapshot() Snapshot {
	h.mu.RLock()
	shot := Snapshot{
		Connections: len(h.links),
		Sessions:    len(h.sessions),
		Users:       len(h.users),
		Rooms:       []RoomSnapshot{},
		Draining:    h.draining,
	}
	rooms := make([]*room, 0, len(h.rooms))
	for _, r := range h.rooms {
		rooms = append(rooms, r)
	}
	h.mu.RUnlock()

	slices.SortFunc(rooms, func(a, b *room) int { return cmp.Compare(a.name, b.name) })
	for _, r := range rooms {
		if s := r.snapshot(); len(s.Members) > 0 {
			shot.Rooms = append(shot.Rooms, s)
		}
	}
	shot.Counters, shot.Refusals = h.stats.snapshot()
	return shot
}

func (r *room) snapshot() RoomSnapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	shot := RoomSnapshot{Room: r.name, Members: make([]MemberSnapshot, 0, len(r.members))}
	for _, m := range r.sorted() {
		shot.Members = append(shot.Members, MemberSnapshot{
			ID:     m.session.self.ID,
			Name:   m.session.self.Name,
			User:   m.session.self.User,
			Source: m.session.client.Load().Source,
			Since:  m.since.UnixMilli(),
			Away:   !m.session.out.attached(),
		})
	}
	return shot
}

// Summary is Snapshot in numbers: rooms and members are only counted.
type Summary struct {
	Connections, Sessions, Users int // see Snapshot
	Rooms, Members               int
	Counters                     Counters
	Refusals                     map[Code]uint64
	Draining                     bool
}

// Summary tells how much the hub holds and has done. It costs little however much that is.
func (h *Hub) Summary() Summary {
	h.mu.RLock()
	sum := Summary{Connections: len(h.links), Sessions: len(h.sessions), Users: len(h.users), Draining: h.draining}
	rooms := make([]*room, 0, len(h.rooms))
	for _, r := range h.rooms {
		rooms = append(rooms, r)
	}
	h.mu.RUnlock()

	for _, r := range rooms {
		if n := r.size(); n > 0 { // an empty one is about to go
			sum.Rooms++
			sum.Members += n
		}
	}
	sum.Counters, sum.Refusals = h.stats.snapshot()
	return sum
}

func (r *room) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members)
}
