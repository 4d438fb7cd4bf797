package turnsvc

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// rooms know which sessions may reach which others, and by what addresses: so a credential of the hub's opens a path to the others in the
// room and to nothing else. The hub tells it as it happens (Server.Opened, Joined, Left, Ended); the gate adds the addresses at which a
// session has proven to receive.
//
// Only two kinds of address count as seen: the source of the signaling connection (TCP, so nobody forged it) and a TURN client's whose
// nonce came back from there. Addresses that the internet does not route never count: a member's claim to be 10.0.0.1 would open the relay's
// own network.
type rooms struct {
	// lingering is how long a lost session keeps its grants without traffic, on the clock.
	lingering int64

	mu      sync.Mutex
	members map[string]*member
	groups  map[string]*group
	order   uint64 // of the latest event that has a place in an order: a join, a loss
}

// member is one session of the hub's.
type member struct {
	id string
	// Read by the packet path without a lock; written under rooms.mu.
	groups atomic.Pointer[[]membership]
	lost   atomic.Uint64 // the order of the loss; 0: not lost

	// Guarded by rooms.mu.
	seen    map[netip.Addr]bool
	claimed map[netip.Addr]bool
	allocs  map[*allocation]struct{}
	idle    int64 // clock: since when nothing has moved; of a lost member
}

// membership is one member's of one group. It is immutable.
type membership struct {
	*group
	order uint64 // of the join
}

// group is a room, or the two ends of a call. Its fields are guarded by rooms.mu.
type group struct {
	name    string
	members map[*member]uint64 // the order of the join
	lost    int                // of the members
	seen    map[netip.Addr]int // how many members have been seen at each address
	claimed map[netip.Addr]int
}

const (
	// maxSeen and maxClaimed bound what one session can make us remember.
	maxSeen    = 16
	maxClaimed = 128
	// maxLost bounds the lost members of a group, which the hub's limits no longer count.
	maxLost = 64
)

func newRooms(lingering int64) *rooms {
	return &rooms{lingering: lingering, members: map[string]*member{}, groups: map[string]*group{}}
}

// open reports whether the session is there and not lost.
func (r *rooms) open(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[id]
	return m != nil && m.lost.Load() == 0
}

func (r *rooms) opened(id string, source netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &member{id: id, seen: map[netip.Addr]bool{}, claimed: map[netip.Addr]bool{}, allocs: map[*allocation]struct{}{}}
	m.groups.Store(new([]membership))
	r.members[id] = m
	m.see(source.Unmap())
}

func (r *rooms) joined(name, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[id]
	if m == nil || m.lost.Load() != 0 {
		return
	}
	g := r.groups[name]
	if g == nil {
		g = &group{name: name, members: map[*member]uint64{}, seen: map[netip.Addr]int{}, claimed: map[netip.Addr]int{}}
		r.groups[name] = g
	}
	if _, again := g.members[m]; again {
		return
	}
	r.order++
	g.members[m] = r.order
	for addr := range m.seen {
		g.seen[addr]++
	}
	for addr := range m.claimed {
		g.claimed[addr]++
	}
	next := append(slices.Clone(*m.groups.Load()), membership{g, r.order})
	m.groups.Store(&next)
}

// left takes a member out of a group and returns the allocations whose permissions that may concern.
func (r *rooms) left(name, id string) []*allocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, g := r.members[id], r.groups[name]
	if m == nil || g == nil {
		return nil
	}
	return r.part(m, g)
}

// part takes m out of g. mu is held.
func (r *rooms) part(m *member, g *group) (concerned []*allocation) {
	if _, in := g.members[m]; !in {
		return nil
	}
	concerned = g.allocations()
	delete(g.members, m)
	if m.lost.Load() != 0 {
		g.lost--
	}
	for addr := range m.seen {
		uncount(g.seen, addr)
	}
	for addr := range m.claimed {
		uncount(g.claimed, addr)
	}
	next := slices.DeleteFunc(slices.Clone(*m.groups.Load()), func(o membership) bool { return o.group == g })
	m.groups.Store(&next)
	if len(g.members) == 0 {
		delete(r.groups, g.name)
	}
	return concerned
}

// ended is the end of a session. A lost one lingers, since media outlasts a broken signaling connection; any other is gone, with
// its allocations, which are returned to be ended, and so are those that lose a grant by it.
func (r *rooms) ended(id string, lost bool, now int64) (ending, concerned []*allocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[id]
	if m == nil {
		return nil, nil
	}
	groups := *m.groups.Load()
	if !lost || slices.ContainsFunc(groups, func(g membership) bool { return g.lost >= maxLost }) {
		return r.remove(m)
	}
	if m.lost.Load() == 0 {
		r.order++
		m.lost.Store(r.order)
		m.idle = now
		for _, g := range groups {
			g.lost++
		}
	}
	return nil, nil
}

// remove forgets m. mu is held.
func (r *rooms) remove(m *member) (ending, concerned []*allocation) {
	for a := range m.allocs {
		ending = append(ending, a)
	}
	for _, g := range *m.groups.Load() {
		concerned = append(concerned, r.part(m, g.group)...)
	}
	delete(r.members, m.id)
	return ending, concerned
}

// sweep removes the lost members that nothing has moved for in the time that they may linger.
func (r *rooms) sweep(now int64) (ending, concerned []*allocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		if m.lost.Load() == 0 {
			continue
		}
		if used := m.lastUsed(); used > m.idle {
			m.idle = used
		}
		if now-m.idle < r.lingering {
			continue
		}
		e, c := r.remove(m)
		ending, concerned = append(ending, e...), append(concerned, c...)
	}
	return ending, concerned
}

// lastUsed is when the member last sent data: through an allocation of its own, or from an address of its to one of its groups'. What
// others send does not count, or a single one of them could keep open for good the way to somebody who has gone. rooms.mu is held.
func (m *member) lastUsed() (last int64) {
	for a := range m.allocs {
		last = max(last, a.used.Load())
	}
	for _, g := range *m.groups.Load() {
		for other := range g.members {
			for a := range other.allocs {
				for addr := range m.seen {
					last = max(last, a.usedFor(addr))
				}
			}
		}
	}
	return last
}

// attach gives a session's allocation its member, who has been seen at the client's address: the nonce came back from there. nil: there is
// no such session any more.
func (r *rooms) attach(id string, a *allocation) *member {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[id]
	if m == nil || m.lost.Load() != 0 {
		return nil
	}
	m.allocs[a] = struct{}{}
	m.see(a.client.Addr())
	return m
}

func (r *rooms) detach(a *allocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(a.scope.member.allocs, a)
}

// see notes an address at which the member receives. mu is held.
func (m *member) see(addr netip.Addr) {
	if m.seen[addr] || len(m.seen) >= maxSeen || !global(addr) {
		return
	}
	m.seen[addr] = true
	for _, g := range *m.groups.Load() {
		g.seen[addr]++
	}
}

func (r *rooms) claim(id string, addr netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[id]
	if m == nil || m.claimed[addr] || len(m.claimed) >= maxClaimed || !global(addr) {
		return
	}
	m.claimed[addr] = true
	for _, g := range *m.groups.Load() {
		g.claimed[addr]++
	}
}

// reaches reports whether addr is one of somebody in m's groups: seen there, or with claims also what was claimed.
func (r *rooms) reaches(m *member, addr netip.Addr, claims bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range *m.groups.Load() {
		if g.seen[addr] == 0 && !(claims && g.claimed[addr] > 0) {
			continue
		}
		for other, order := range g.members {
			if (other.seen[addr] || claims && other.claimed[addr]) && met(m, g.order, other, order) {
				return true
			}
		}
	}
	return false
}

// together reports whether two members have met in a group. It takes no lock and allocates nothing: the packet path asks it.
func together(a, b *member) bool {
	inA, inB := *a.groups.Load(), *b.groups.Load()
	for _, ga := range inA {
		for _, gb := range inB {
			if ga.group == gb.group && met(a, ga.order, b, gb.order) {
				return true
			}
		}
	}
	return false
}

// met reports whether two members of a group were in it at the same time, given the order of their joins. A lost member keeps those that it
// was with and meets nobody new: it is not to be seen in its room any more, and would reach all who ever come there.
func met(a *member, joinedA uint64, b *member, joinedB uint64) bool {
	lostA, lostB := a.lost.Load(), b.lost.Load()
	return (lostA == 0 || joinedB < lostA) && (lostB == 0 || joinedA < lostB)
}

// allocations lists those of all members. rooms.mu is held.
func (g *group) allocations() (all []*allocation) {
	for m := range g.members {
		for a := range m.allocs {
			all = append(all, a)
		}
	}
	return all
}

func uncount(counts map[netip.Addr]int, addr netip.Addr) {
	if counts[addr]--; counts[addr] <= 0 {
		delete(counts, addr)
	}
}
