package turnsvc

import (
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/internal/source"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// TestAttackF.. are attacks that found a fault, by the number that this had.

// hold keeps the books busy until release is called, or the test ends.
func (r *rig) hold() (release func()) {
	r.t.Helper()
	held, done := make(chan struct{}), make(chan struct{})
	over := booked(r.t, r.s, func() int { close(held); <-done; return 0 })
	<-held
	release = sync.OnceFunc(func() { close(done); <-over })
	r.t.Cleanup(release)
	return release
}

// A right that is taken away while a request waits for the books, or while they are about to grant
// it, leaves no relay behind.
func TestAttackF6RightsEndBetweenGateAndBooks(t *testing.T) {
	for name, take := range map[string]struct {
		class cred.Class
		code  int
		away  func(r *rig, live Live, bans *source.Bans)
	}{
		"a user is removed": {cred.Static, 401, func(r *rig, l Live, _ *source.Bans) {
			l.Users = maps.Clone(l.Users)
			delete(l.Users, "u")
			r.apply(l)
		}},
		"a password changes": {cred.Static, 401, func(r *rig, l Live, _ *source.Bans) {
			l.Users = maps.Clone(l.Users)
			l.Users["u"] = cred.LongTermKey("u", testRealm, "another")
			r.apply(l)
		}},
		"a secret is removed": {cred.Shared, 401, func(r *rig, l Live, _ *source.Bans) {
			l.Keys = cred.NewKeys("another")
			r.apply(l)
		}},
		"a user is banned": {cred.Static, 403, func(r *rig, _ Live, bans *source.Bans) {
			r.ban(bans, source.Ban{User: "u"})
			r.s.KickUser("u")
		}},
		"whom a credential is for is banned": {cred.Shared, 403, func(r *rig, _ Live, bans *source.Bans) {
			r.ban(bans, source.Ban{User: "someone"})
			r.s.KickUser("someone")
		}},
		"a source is banned": {cred.Static, 403, func(r *rig, _ Live, bans *source.Bans) {
			r.ban(bans, source.Ban{Source: netip.MustParsePrefix("127.0.0.0/8")})
			r.s.KickSource(netip.MustParsePrefix("127.0.0.0/8"))
		}},
		"a peer is banned": {cred.Hub, 403, func(r *rig, _ Live, bans *source.Bans) {
			r.ban(bans, source.Ban{Peer: "someone"})
			r.s.KickUser("someone")
		}},
		"a session ends":    {cred.Hub, 401, func(r *rig, _ Live, _ *source.Bans) { r.s.Ended("someone", false) }},
		"the server drains": {cred.Static, 508, func(r *rig, _ Live, _ *source.Bans) { r.s.Drain() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, moment := range []string{"in the queue", "in the books"} {
				t.Run(moment, func(t *testing.T) {
					t.Parallel()
					bans := source.NewBans()
					var live Live
					r := newRig(t, func(o *Options) { o.Bans = bans; live = o.Live })
					r.s.Opened("someone", "", netip.MustParseAddr("127.0.0.1"))
					c := r.dial("udp", "u", "p")
					if take.class != cred.Static {
						c = r.minted("udp", take.class, "someone", time.Hour)
					}
					c.refused(400, wire.MethodAllocate) // learns a nonce
					frame := c.build(wire.MethodAllocate, withUDP, attr(wire.AttrEvenPort, 0x80))
					if moment == "in the queue" {
						release := r.hold()
						c.write(frame)
						eventually(t, "the gate has let it in", func() bool { return r.s.books.waitingFor(c) > 0 })
						take.away(r, live, bans)
						release()
					} else {
						r.inBooks(func() int {
							pool := socket.NewPool[allocation](r.s.books.minPort, r.s.books.maxPort)
							open := pool.OpenPort
							pool.OpenPort = func(at netip.AddrPort) (*socket.Relay, error) {
								pool.OpenPort = open
								take.away(r, live, bans)
								return open(at)
							}
							r.s.books.pools[0] = pool
							return 0
						})
						c.write(frame)
					}
					if m := c.answer(); m.code() != take.code {
						t.Errorf("code %d, want %d", m.code(), take.code)
					}
					if n := r.held(); n != 0 || r.s.Allocations() != 0 {
						t.Errorf("%d allocations; the books hold %d things", r.s.Allocations(), n)
					}
					if n := r.inBooks(func() int {
						if p := r.s.books.pools[0]; p != nil {
							return p.Taken()
						}
						return 0
					}); n != 0 {
						t.Errorf("%d ports are taken", n)
					}
				})
			}
		})
	}
}

// Three sessions of one token, or of one user, are one user: in allocations and in bandwidth.
func TestAttackF7SessionsOfOneUserCountOnce(t *testing.T) {
	each(t, func(o *Options) { o.Limits.PerUser = 2; o.Limits.UserBandwidth = 100_000 },
		func(t *testing.T, r *rig, transport string) {
			var clients []*client
			for _, id := range []string{"one", "two", "three"} {
				c := r.session(transport, id, "203.0.114.1")
				r.s.Identified(id, "token:t", "")
				clients = append(clients, c)
			}
			clients[0].allocate()
			clients[1].allocate()
			clients[2].refused(486, wire.MethodAllocate, withUDP)
			var up [2]*bucket
			for i, a := range r.s.books.list() {
				up[i] = a.up[1]
			}
			if up[0] == nil || up[0] != up[1] {
				t.Error("each session has the user's bandwidth for itself")
			}
			other := r.session(transport, "other", "203.0.114.1")
			r.s.Identified("other", "user:bob", "bob")
			other.allocate()
			r.session(transport, "nobody", "203.0.114.1").allocate() // whose user nobody knows
		})
}

// One user's requests come from six addresses, as many as there is room for. Another user's, which
// comes last, is next.
func TestAttackF9OneUserFromManyAddressesWaitsForItself(t *testing.T) {
	r := newRig(t, nil)
	release := r.hold()
	taken := 0 // owned by the books
	number := make(chan int, 1)
	submit := func(user, ip string) bool {
		raw := make([]byte, wire.HeaderSize)
		rand12((*[12]byte)(raw[8:]))
		return r.s.books.submit(&request{
			link: probeLink{func() {
				if taken++; user == "honest" {
					number <- taken
				}
			}},
			client: netip.AddrPortFrom(netip.MustParseAddr(ip), 9), raw: raw, user: user, principal: user,
			msg: wire.Message{Method: wire.MethodRefresh, Raw: raw},
		})
	}
	for range grantQueue {
		for _, ip := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8:1::1",
			"2001:db8:2::1"} {
			submit("flooder", ip)
		}
	}
	if !submit("honest", "198.51.100.1") {
		t.Error("there is no room for another user's request")
	}
	release()
	if n := <-number; n > 2 {
		t.Errorf("another user's request is number %d", n)
	}
	eventually(t, "the others are handled", func() bool { return r.s.books.queue.empty() })
	if n := r.s.Snapshot().Drops["busy"]; n != 1 {
		t.Errorf("%d requests made room, want 1", n)
	}
}

// Neither do many credentials at one address help: that is how they are had at /api/ice.
func TestAttackF9ManyUsersAtOneAddressWaitForThemselves(t *testing.T) {
	q := newQueue()
	put := func(user, ip string) bool {
		r := queuedBy(user, ip)
		return q.put(r) != r
	}
	for i := range 200 {
		put(fmt.Sprint("flooder", i), "192.0.2.1")
	}
	for range 5 {
		put("honest", "198.51.100.1")
	}
	honest := 0
	for range 10 {
		if q.take().principal == "honest" {
			honest++
		}
	}
	if honest != 5 {
		t.Errorf("of ten turns %d are of the honest user", honest)
	}
	for last := -1; ; {
		r := q.take()
		if r == nil {
			break
		}
		n, _ := strconv.Atoi(strings.TrimPrefix(r.principal, "flooder"))
		if n <= last {
			t.Fatalf("%d after %d", n, last)
		}
		last = n
	}
	if len(q.principals)+len(q.sources) != 0 {
		t.Errorf("%d users and %d sources are left", len(q.principals), len(q.sources))
	}
}

// Nor does it help to have always just one request waiting, as one who sends the next when one is
// answered, nor to come under a new name from a new address each time.
func TestAttackF9WhoAsksOnAndOnWaitsForOthers(t *testing.T) {
	for name, next := range map[string]func(turn, who int) *request{
		"two": func(_, who int) *request { return queuedBy(fmt.Sprint("greedy", who), fmt.Sprint("192.0.2.", who+1)) },
		"ever new ones": func(turn, who int) *request {
			return queuedBy(fmt.Sprint("greedy", turn, who), fmt.Sprintf("10.%d.%d.%d", turn>>8&255, turn&255, who))
		},
	} {
		q := newQueue()
		for range 3 {
			q.put(queuedBy("honest", "198.51.100.1"))
		}
		for who := range 2 {
			q.put(next(0, who))
		}
		left := 3
		for turn := 1; left > 0 && turn < 1000; turn++ {
			r := q.take()
			if r.principal == "honest" {
				left--
				continue
			}
			q.put(next(turn, turn%2))
		}
		if left > 0 {
			t.Errorf("%s: %d of 3 requests still wait", name, left)
		}
		if n := len(q.principals); n > 2*sweepTakes {
			t.Errorf("%s: %d users are remembered", name, n)
		}
	}
}

// A user who fills what its address may have waiting makes room there for its neighbors.
func TestAttackF9NeighborsHaveRoom(t *testing.T) {
	q := newQueue()
	for range sourceQueue {
		if r := queuedBy("greedy", "192.0.2.1"); q.put(r) != nil {
			t.Fatal("there is no room")
		}
	}
	if r := queuedBy("greedy", "192.0.2.1"); q.put(r) != r {
		t.Error("one has more than its address may have")
	}
	if without := q.put(queuedBy("honest", "192.0.2.1")); without == nil || without.principal != "greedy" {
		t.Error("there is no room for a neighbor")
	}
}

// Whose request had to make room without having been handled asks again, and again. Its turn is no
// later for that.
func TestQueueGivesBackTurnsThatWereNotHad(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"203.0.113.1", "2001:db8::1"} {
		q := newQueue()
		q.put(queuedBy("patient", from))
		for i := range grantQueue - 2 {
			q.put(queuedBy(fmt.Sprint("busy", i), fmt.Sprintf("192.0.%d.%d", i/250, i%250)))
		}
		for round := range 50 {
			second := queuedBy("patient", from) // it has one before it, so its turn comes after newcomers'
			if without := q.put(second); without != nil {
				t.Fatal("there is no room")
			}
			turn := q.waiting[q.waiting.last()].turn
			if q.waiting[q.waiting.last()].request != second || turn != cost(second) {
				t.Fatalf("after %d times it has turn %d, want %d", round, turn, cost(second))
			}
			late := queuedBy(fmt.Sprint("late", round), fmt.Sprintf("198.51.%d.1", round))
			if without := q.put(late); without != second {
				t.Fatal("nobody makes room for a newcomer")
			}
			q.mu.Lock()
			q.remove(q.waiting.last()) // room for one
			q.mu.Unlock()
		}
	}
}

func queuedBy(user, ip string) *request {
	return &request{client: netip.AddrPortFrom(netip.MustParseAddr(ip), 9), principal: user, raw: make([]byte, 100)}
}

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) == 0
}

// A reload that narrows what a class may reach holds for allocations that it has already, for what
// they ask for and for what they have.
func TestAttackF6ANarrowedPolicyHoldsAtOnce(t *testing.T) {
	each(t, inRooms, func(t *testing.T, r *rig, transport string) {
		live := Live{
			Users: map[string][]byte{"u": cred.LongTermKey("u", testRealm, "p")}, Keys: r.keys,
			StaticPeers: PeersPublic, HubPeers: PeersRoom,
		}
		r.apply(live)
		const peer, other = "198.41.0.4:9", "198.41.0.5:9"
		c := r.dial(transport, "u", "p")
		c.allocate()
		c.ok(wire.MethodCreatePermission, withPeer(peer))
		live.StaticPeers = PeersNone
		r.apply(live)
		c.refused(403, wire.MethodCreatePermission, withPeer(peer))
		c.refused(403, wire.MethodCreatePermission, withPeer(other))
		if got := r.permissions(c); len(got) != 0 {
			t.Errorf("permissions: %v", got)
		}
	})
}

func (r *rig) apply(l Live) {
	if err := r.s.Apply(l); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) ban(bans *source.Bans, b source.Ban) {
	now := r.s.core.clock.wall()
	b.Until = now.Add(time.Hour)
	if err := bans.Add(now, b); err != nil {
		r.t.Error(err)
	}
}

// waitingFor counts a client's requests in the queue.
func (b *books) waitingFor(c *client) int {
	b.queue.mu.Lock()
	defer b.queue.mu.Unlock()
	if s := b.queue.sources[source.Of(wire.AddrPort(c.conn.LocalAddr()).Addr())]; s != nil {
		return s.n
	}
	return 0
}
