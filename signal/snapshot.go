package signal

import (
	"cmp"
	"maps"
	"math"
	"net/netip"
	"slices"
)

// Snapshot is the hub at one moment; rooms are taken one after the other.
type Snapshot struct {
	Connections int             `json:"connections"` // including those that haven't said hello
	Sessions    int             `json:"sessions"`    // including those that wait to be resumed
	Users       int             `json:"users"`       // names by which sessions can be called
	Rooms       []RoomSnapshot  `json:"rooms"`       // by name
	Counters    Counters        `json:"counters"`
	Refusals    map[Code]uint64 `json:"refusals"` // since the start, every code
	Draining    bool            `json:"draining"`
	// Dialects are what clients have spoken since the start, by Terms.Name.
	Dialects map[string]DialectCount `json:"dialects"`
}

// DialectCount is how many sessions speak a dialect.
type DialectCount struct {
	Sessions int    `json:"sessions"` // now
	Opened   uint64 `json:"opened"`   // since the start
}

// RoomSnapshot is a room and its members in the order of joining.
type RoomSnapshot struct {
	Room     string           `json:"room"`
	Members  []MemberSnapshot `json:"members"`
	Capacity int              `json:"capacity"`          // 0 = no limit
	Policy   Policy           `json:"policy,omitempty"`  // of a kept room
	Users    []string         `json:"users,omitempty"`   // who may join under PolicyInvited, sorted
	Expires  int64            `json:"expires,omitempty"` // of a kept room, in Unix milliseconds
}

// MemberSnapshot is a session in a room.
type MemberSnapshot struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	User    string     `json:"user,omitempty"`
	Source  netip.Addr `json:"source"`
	Dialect string     `json:"dialect"`        // see Terms.Name
	Since   int64      `json:"since"`          // when it joined the room, in Unix milliseconds
	Away    bool       `json:"away,omitempty"` // its connection was lost, and it may come back
}

// Snapshot returns what the hub holds and has done.
func (h *Hub) Snapshot() Snapshot {
	h.mu.RLock()
	shot := Snapshot{
		Connections: len(h.links),
		Sessions:    len(h.sessions),
		Users:       len(h.users),
		Draining:    h.draining,
		Dialects:    maps.Clone(h.dialects),
	}
	h.mu.RUnlock()
	shot.Rooms = h.Rooms("", math.MaxInt, func(string) bool { return true })
	shot.Counters, shot.Refusals = h.stats.snapshot()
	return shot
}

// Rooms returns at most limit rooms whose full names come after a name and match, by name.
func (h *Hub) Rooms(after string, limit int, match func(name string) bool) []RoomSnapshot {
	rooms := slices.DeleteFunc(h.allRooms(), func(r *room) bool { return r.name <= after || !match(r.name) })
	slices.SortFunc(rooms, func(a, b *room) int { return cmp.Compare(a.name, b.name) })
	shots := []RoomSnapshot{}
	for _, r := range rooms {
		if len(shots) >= limit {
			break
		}
		if shot, ok := r.snapshot(); ok {
			shots = append(shots, shot)
		}
	}
	return shots
}

// Room returns the room of that full name, if it exists.
func (h *Hub) Room(name string) (RoomSnapshot, bool) {
	r := h.findRoom(name)
	if r == nil {
		return RoomSnapshot{}, false
	}
	return r.snapshot()
}

// snapshot returns the room, unless it is about to go, or to come. Members that are about to leave
// are not in it: who has put somebody out sees it done.
func (r *room) snapshot() (shot RoomSnapshot, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.members) == 0 && r.kept == nil {
		return shot, false
	}
	shot = RoomSnapshot{Room: r.name, Capacity: r.capacity, Members: make([]MemberSnapshot, 0, len(r.members))}
	if k := r.kept; k != nil {
		shot.Policy, shot.Expires = k.policy, k.expires.UnixMilli()
		if k.policy == PolicyInvited {
			shot.Users = slices.Sorted(maps.Keys(k.users))
		}
	}
	for _, m := range r.sorted() {
		if m.session.stopped() {
			continue
		}
		shot.Members = append(shot.Members, MemberSnapshot{
			ID:      m.session.self.ID,
			Name:    m.session.self.Name,
			User:    m.session.self.User,
			Source:  m.session.client.Load().Source,
			Dialect: m.session.terms.Name,
			Since:   m.since.UnixMilli(),
			Away:    !m.session.out.attached(),
		})
	}
	return shot, len(shot.Members) > 0 || r.kept != nil
}

// Summary is Snapshot in numbers: rooms and members are only counted.
type Summary struct {
	Connections, Sessions, Users int // see Snapshot
	Rooms, Members               int
	Counters                     Counters
	Refusals                     map[Code]uint64
	Draining                     bool
	Dialects                     map[string]DialectCount
}

// Summary tells how much the hub holds and has done. It costs little however much that is.
func (h *Hub) Summary() Summary {
	h.mu.RLock()
	sum := Summary{Connections: len(h.links), Sessions: len(h.sessions), Users: len(h.users), Draining: h.draining,
		Dialects: maps.Clone(h.dialects)}
	h.mu.RUnlock()

	for _, r := range h.allRooms() {
		if n, stands := r.size(); stands {
			sum.Rooms++
			sum.Members += n
		}
	}
	sum.Counters, sum.Refusals = h.stats.snapshot()
	return sum
}

// size is how many members the room has, and whether it stands: an empty one is mostly about to go.
func (r *room) size() (members int, stands bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members), len(r.members) > 0 || r.kept != nil
}
