package turnsvc

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// rooms know which sessions may reach which others, and at what addresses. So a credential of the
// hub opens a path to the others in the room and to nothing else. The hub reports events as they
// happen (Server.Opened, Joined, Left, Ended). The books add the addresses at which a session has
// proven that it receives (seen.go).
type rooms struct {
	// lingering is how long a lost session keeps its grants without traffic, on the clock.
	lingering int64

	mu      sync.Mutex
	members map[string]*member // the latest of each id
	lost    map[*member]struct{}
	groups  map[string]*group
	joins   uint64 // so far
}

// member is one session of the hub's.
type member struct {
	id, user string

	// seats is read by the packet path without a lock; replaced under rooms.mu.
	seats atomic.Pointer[seats]
	// lostAt is the number of the last join before the signaling connection was lost, 0 while it is
	// connected. A lost member keeps what it has and gets nothing new: a member that joins later is
	// a stranger to it.
	lostAt atomic.Uint64

	// Guarded by rooms.mu.
	who     string                // names who is behind it and its other sessions; may be empty
	account string                // whom its usage is counted for; may be empty
	source  netip.Addr            // of its signaling connection
	seen    map[netip.Addr]uint64 // and when it was seen last, in numbers that grow
	sights  uint64
	claimed map[netip.Addr]bool
	allocs  map[*allocation]struct{}
	idle    int64 // clock: since when nothing has moved; of a lost member
}

// group is a room, or the two ends of a call. Its fields are guarded by rooms.mu.
type group struct {
	name    string
	pair    bool               // the two ends of a call: it is over when one has gone
	members map[*member]uint64 // and the number of their join
	lost    int                // of the members
}

func newRooms(lingering int64) *rooms {
	return &rooms{lingering: lingering, members: map[string]*member{}, lost: map[*member]struct{}{},
		groups: map[string]*group{}}
}

// opened adds a member. If a lost one has the id, the new one takes over the id, and the lost one
// lingers without it, for the sake of its media.
func (r *rooms) opened(id, user string, source netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &member{
		id: id, user: user, source: source.Unmap(), seen: map[netip.Addr]uint64{}, claimed: map[netip.Addr]bool{},
		allocs: map[*allocation]struct{}{},
	}
	m.seats.Store(new(seats))
	r.members[id] = m
	m.see(m.source)
}

// identified notes who is behind a session.
func (r *rooms) identified(id, who, account string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[id]; m != nil {
		m.who, m.account = who, account
	}
}

// accountOf is whom a session's usage is counted for, empty if nobody in particular.
func (r *rooms) accountOf(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[id]; m != nil {
		return m.account
	}
	return ""
}

// identityOf is who is behind a session, empty if that is not known.
func (r *rooms) identityOf(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[id]; m != nil {
		return m.who
	}
	return ""
}

func (r *rooms) joined(name, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[id]
	if m == nil || m.lost() {
		return
	}
	g := r.groups[name]
	if g == nil {
		g = &group{name: name, members: map[*member]uint64{}}
		r.groups[name] = g
	}
	if _, again := g.members[m]; again {
		return
	}
	r.joins++
	g.members[m] = r.joins
	m.seats.Store(m.seats.Load().with(g, r.joins))
}

// called puts the two ends of a call into their own group. It has no name, so nobody else can join.
func (r *rooms) called(from, to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, b := r.members[from], r.members[to]
	if a == nil || b == nil || a == b || a.lost() || b.lost() || a.seats.Load().calls[b] != nil {
		return
	}
	r.joins++
	g := &group{pair: true, members: map[*member]uint64{a: r.joins, b: r.joins}}
	a.seats.Store(a.seats.Load().calling(b, g))
	b.seats.Store(b.seats.Load().calling(a, g))
}

// hungUp ends a call, and returns what that concerns.
func (r *rooms) hungUp(from, to string) concern {
	r.mu.Lock()
	defer r.mu.Unlock()
	concerned := concern{}
	a, b := r.members[from], r.members[to]
	if a == nil || b == nil {
		return nil
	}
	if g := a.seats.Load().calls[b]; g != nil {
		r.part(a, g, concerned)
	}
	return concerned
}

// concern lists the permissions to judge again after a member has gone: for each allocation, those
// for these addresses.
type concern map[*allocation][]netip.Addr

// left takes a member out of a group and returns what that concerns.
func (r *rooms) left(name, id string) concern {
	r.mu.Lock()
	defer r.mu.Unlock()
	concerned := concern{}
	if m, g := r.members[id], r.groups[name]; m != nil && g != nil {
		r.part(m, g, concerned)
	}
	return concerned
}

// part takes m out of g. That concerns all permissions of m's allocations, and the others'
// permissions for m's addresses. mu is held.
func (r *rooms) part(m *member, g *group, concerned concern) {
	if _, in := g.members[m]; !in {
		return
	}
	delete(g.members, m)
	if m.lost() {
		g.lost--
	}
	m.seats.Store(m.seats.Load().without(g))
	if len(g.members) == 0 && !g.pair {
		delete(r.groups, g.name)
	}
	for a := range m.allocs {
		concerned[a] = append(concerned[a], a.peers()...)
	}
	addrs := slices.AppendSeq(slices.Collect(maps.Keys(m.seen)), maps.Keys(m.claimed))
	for other := range g.members {
		for a := range other.allocs {
			concerned[a] = append(concerned[a], addrs...) // others may go in the same breath
		}
	}
	if g.pair {
		for other := range g.members {
			r.part(other, g, concerned)
		}
	}
}

// attach gives a session's allocation its member, and notes the client's address as seen: the nonce
// came back from there. The member is nil if the session no longer exists.
func (r *rooms) attach(id string, a *allocation) (*member, concern) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[id]
	if m == nil || m.lost() {
		return nil, nil
	}
	m.allocs[a] = struct{}{}
	return m, m.see(a.client.Addr())
}

func (r *rooms) detach(a *allocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(a.scope.member.allocs, a)
}
