package signal

import (
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"
)

// Snapshot is the hub at one moment; rooms are taken one after the other.
type Snapshot struct {
	Connections int             `json:"connections"` // with those that haven't said hello
	Sessions    int             `json:"sessions"`    // with those that wait to be resumed
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

// Counters count since the start.
type Counters struct {
	Connections    uint64 `json:"connections"`
	Sessions       uint64 `json:"sessions"`
	Lost           uint64 `json:"lost"`           // connections whose session waited for its client to come back
	Resumes        uint64 `json:"resumes"`        // clients that did
	ForeignOrigins uint64 `json:"foreignOrigins"` // requests refused for their Origin
	FramesIn       uint64 `json:"framesIn"`
	FramesOut      uint64 `json:"framesOut"`
	BytesIn        uint64 `json:"bytesIn"` // of frames, without what carries them
	BytesOut       uint64 `json:"bytesOut"`
	Signals        uint64 `json:"signals"` // delivered
	Broadcasts     uint64 `json:"broadcasts"`
}

// stats counts without a lock.
type stats struct {
	connections, sessions, foreignOrigins  atomic.Uint64
	lost, resumes                          atomic.Uint64
	framesIn, framesOut, bytesIn, bytesOut atomic.Uint64
	signals, broadcasts                    atomic.Uint64

	refusals [len(reasons)]atomic.Uint64 // as in the table of reasons
}

func (st *stats) refuse(code Code) {
	for i, r := range reasons {
		if r.code == code {
			st.refusals[i].Add(1)
		}
	}
}

func (st *stats) snapshot() (Counters, map[Code]uint64) {
	refusals := make(map[Code]uint64, len(reasons))
	for i, r := range reasons {
		refusals[r.code] = st.refusals[i].Load()
	}
	return Counters{
		Connections:    st.connections.Load(),
		Sessions:       st.sessions.Load(),
		Lost:           st.lost.Load(),
		Resumes:        st.resumes.Load(),
		ForeignOrigins: st.foreignOrigins.Load(),
		FramesIn:       st.framesIn.Load(),
		FramesOut:      st.framesOut.Load(),
		BytesIn:        st.bytesIn.Load(),
		BytesOut:       st.bytesOut.Load(),
		Signals:        st.signals.Load(),
		Broadcasts:     st.broadcasts.Load(),
	}, refusals
}

// Snapshot tells what the hub holds and has done.
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
