package turnsvc

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/netaddr"
)

// lingering is how long a session whose signaling connection was lost keeps its allocations and
// grants without traffic: a running call outlasts the connection that made it.
const lingering = 30 * time.Second

// rooms know which sessions may reach which others, and at what addresses. So a credential of the
// hub opens a path to the others in the room and to nothing else. The hub reports events as they
// happen (Server.Opened, Joined, Left, Ended). The books add the addresses at which a session has
// proven that it receives.
//
// Two kinds of address count as seen: the source of the signaling connection (over TCP, so nobody
// forged it), and a TURN client's address from which our nonce came back. Addresses that the
// internet does not route never count: a member that claims to be 10.0.0.1 would open the relay's
// own network.
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

// seats are the groups in which a member is. They are immutable, and made so that the packet path
// finds out in little time whether two members share one, however many each has.
type seats struct {
	rooms map[*group]uint64 // and the number of the join; joins are numbered over all groups
	calls map[*member]*group
}

// with returns the seats with another one, in g.
func (s *seats) with(g *group, join uint64) *seats {
	next := &seats{maps.Clone(s.rooms), s.calls}
	if next.rooms == nil {
		next.rooms = map[*group]uint64{}
	}
	next.rooms[g] = join
	return next
}

// calling returns the seats with a call to other.
func (s *seats) calling(other *member, g *group) *seats {
	next := &seats{s.rooms, maps.Clone(s.calls)}
	if next.calls == nil {
		next.calls = map[*member]*group{}
	}
	next.calls[other] = g
	return next
}

// without returns the seats without that in g.
func (s *seats) without(g *group) *seats {
	next := &seats{s.rooms, s.calls}
	if g.pair {
		next.calls = maps.Clone(s.calls)
		maps.DeleteFunc(next.calls, func(_ *member, of *group) bool { return of == g })
	} else {
		next.rooms = maps.Clone(s.rooms)
		delete(next.rooms, g)
	}
	return next
}

// groups yields them all.
func (s *seats) groups(yield func(*group) bool) {
	for g := range s.rooms {
		if !yield(g) {
			return
		}
	}
	for _, g := range s.calls {
		if !yield(g) {
			return
		}
	}
}

// group is a room, or the two ends of a call. Its fields are guarded by rooms.mu.
type group struct {
	name    string
	pair    bool               // the two ends of a call: it is over when one has gone
	members map[*member]uint64 // and the number of their join
	lost    int                // of the members
}

const (
	// maxSeen and maxClaimed bound what one session can make us remember.
	maxSeen    = 16
	maxClaimed = 128
	// maxLost bounds the lost members of a group, which the hub's limits no longer count.
	maxLost = 64
)

func newRooms(lingering int64) *rooms {
	return &rooms{lingering: lingering, members: map[string]*member{}, lost: map[*member]struct{}{},
		groups: map[string]*group{}}
}

func (m *member) lost() bool { return m.lostAt.Load() != 0 }

// knows reports whether m is present for another member of a group, which joined at that number: a
// lost member is absent for those who joined later.
func (m *member) knows(join uint64) bool {
	lostAt := m.lostAt.Load()
	return lostAt == 0 || join <= lostAt
}

// present reports whether the session is there, and not only lingering.
func (r *rooms) present(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[id]
	return m != nil && !m.lost()
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

// moved notes another source of the signaling connection; the former ones stay seen.
func (r *rooms) moved(id string, source netip.Addr) concern {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[id]
	if m == nil || m.lost() {
		return nil
	}
	m.source = source.Unmap()
	return m.see(m.source)
}

func (r *rooms) sourceOf(m *member) netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return m.source
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

// ended removes the member of a session that has ended. A lost one lingers, since media outlasts a
// broken signaling connection. Any other goes with its allocations, which ended returns for the
// caller to end.
func (r *rooms) ended(id string, lost bool, now int64) (ending []*allocation, concerned concern) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[id]
	if m == nil {
		return nil, nil
	}
	crowded := false
	for g := range m.seats.Load().groups {
		crowded = crowded || g.lost >= maxLost
	}
	if !lost || crowded {
		concerned = concern{}
		return r.remove(m, concerned), concerned
	}
	if !m.lost() {
		r.joins++ // so that it is not 0, and nobody's who joins later
		m.lostAt.Store(r.joins)
		m.idle = now
		r.lost[m] = struct{}{}
		for g := range m.seats.Load().groups {
			g.lost++
		}
	}
	return nil, nil
}

// remove forgets m and returns its allocations. mu is held.
func (r *rooms) remove(m *member, concerned concern) []*allocation {
	was := m.seats.Swap(new(seats)) // at once, not one after the other
	for g := range was.groups {
		r.part(m, g, concerned)
	}
	if r.members[m.id] == m {
		delete(r.members, m.id)
	}
	delete(r.lost, m)
	return slices.Collect(maps.Keys(m.allocs))
}

// sweep removes the lost members for which nothing has moved in the time that they may linger.
func (r *rooms) sweep(now int64) (ending []*allocation, concerned concern) {
	r.mu.Lock()
	defer r.mu.Unlock()
	concerned = concern{}
	for m := range r.lost {
		if now-m.idle < r.lingering {
			continue
		}
		// lastUsed is expensive, so it is called only when the known time is up: once per lost
		// member and period.
		if m.idle = max(m.idle, m.lastUsed()); now-m.idle >= r.lingering {
			ending = append(ending, r.remove(m, concerned)...)
		}
	}
	return ending, concerned
}

// lastUsed is when the member last sent something: through its own allocation, or from one of its
// addresses to an allocation of somebody in its groups. What others send to it does not count.
// rooms.mu is held.
func (m *member) lastUsed() (last int64) {
	for a := range m.allocs {
		last = max(last, a.used.Load())
	}
	for g := range m.seats.Load().groups {
		for other := range g.members {
			if other == m {
				continue
			}
			for a := range other.allocs {
				for addr := range m.seen {
					last = max(last, a.usedFor(addr))
				}
			}
		}
	}
	return last
}

// dismiss removes the lost members that match, with their allocations.
func (r *rooms) dismiss(match func(*member) bool) (ending []*allocation, concerned concern) {
	r.mu.Lock()
	defer r.mu.Unlock()
	concerned = concern{}
	for m := range r.lost {
		if match(m) {
			ending = append(ending, r.remove(m, concerned)...)
		}
	}
	return ending, concerned
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

// see notes an address at which the member receives. If it knows too many, it forgets the oldest
// one not in use, which probably belongs to somebody else by now, and returns what that concerns.
// rooms.mu is held.
func (m *member) see(addr netip.Addr) concern {
	if !netaddr.Global(addr) {
		return nil
	}
	m.sights++
	if _, again := m.seen[addr]; again || len(m.seen) < maxSeen {
		m.seen[addr] = m.sights
		return nil
	}
	used := map[netip.Addr]bool{m.source: true}
	for a := range m.allocs {
		used[a.client.Addr()] = true
	}
	var oldest netip.Addr
	for old, sight := range m.seen {
		if !used[old] && (!oldest.IsValid() || sight < m.seen[oldest]) {
			oldest = old
		}
	}
	if !oldest.IsValid() {
		return nil
	}
	delete(m.seen, oldest)
	m.seen[addr] = m.sights
	concerned := concern{}
	for g := range m.seats.Load().groups {
		for other := range g.members {
			for a := range other.allocs {
				concerned[a] = append(concerned[a], oldest)
			}
		}
	}
	return concerned
}

func (r *rooms) claim(id string, addr netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[id]; m != nil && len(m.claimed) < maxClaimed && netaddr.Global(addr) {
		m.claimed[addr] = true
	}
}

// reaches reports whether somebody in m's groups has been seen at addr, or, if claims count, claims
// to be there.
func (r *rooms) reaches(m *member, addr netip.Addr, claims bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for g := range m.seats.Load().groups {
		for other, join := range g.members {
			if (other.seen[addr] != 0 || claims && other.claimed[addr]) && m.knows(join) && other.knows(g.members[m]) {
				return true
			}
		}
	}
	return false
}

// together reports whether two members share a group and are present for each other. It takes no
// lock and allocates nothing: the packet path calls it. It looks at the rooms of whoever has fewer.
func together(a, b *member) bool {
	sa, sb := a.seats.Load(), b.seats.Load()
	if sa.calls[b] != nil {
		return true // who is in a call was there before the other was lost
	}
	if len(sa.rooms) > len(sb.rooms) {
		a, b, sa, sb = b, a, sb, sa
	}
	for g, join := range sa.rooms {
		if other, both := sb.rooms[g]; both && a.knows(other) && b.knows(join) {
			return true
		}
	}
	return false
}
