package turnsvc

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/internal/source"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// mortalLink is a client on a stream without a network, which may end.
type mortalLink struct {
	wirelessLink
	w    *world
	gone atomic.Bool
}

func (l *mortalLink) closed() bool                          { return l.gone.Load() }
func (l *mortalLink) close()                                { l.gone.Store(true) }
func (l *mortalLink) transport() string                     { return "tcp" }
func (l *mortalLink) answer(frame []byte, _ netip.AddrPort) { l.w.answered(frame) }
func (l *mortalLink) send(frame []byte, _ netip.AddrPort)   { l.w.answered(frame) }
func (l *mortalLink) takeFor(netip.AddrPort) (data int)     { return len(l.take()) }

// airLink is a UDP socket without a network. Clients share it, and are told apart by their address.
type airLink struct {
	mortalLink // never closed
	clients    *clients
	mu         sync.Mutex
	got        map[netip.AddrPort]int // frames of data
}

func (l *airLink) closed() bool                                    { return false }
func (l *airLink) close()                                          {}
func (l *airLink) transport() string                               { return "udp" }
func (l *airLink) allocation(src netip.AddrPort) *allocation       { return l.clients.get(src) }
func (l *airLink) setAllocation(src netip.AddrPort, a *allocation) { l.clients.set(src, a) }

func (*airLink) run(wire.Run, uint16, netip.AddrPort, *socket.RunLimit) (p, b int, ok bool) {
	return p, b, ok
}

func (l *airLink) data(_ []byte, to netip.AddrPort) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got[to]++
	return true
}

func (l *airLink) takeFor(addr netip.AddrPort) (data int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	data = l.got[addr]
	delete(l.got, addr)
	return data
}

// ledger is where each request is that was sent: none is lost.
type ledger struct {
	mu    sync.Mutex
	asked map[[12]byte]int // and not answered
	extra int              // answers that nobody asked for
}

func (l *ledger) ask(frame []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[[12]byte(frame[8:20])]++
}

func (l *ledger) answered(frame []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tid := [12]byte(frame[8:20])
	l.asked[tid]--
	switch n := l.asked[tid]; {
	case n < 0:
		l.extra++
	case n == 0:
		delete(l.asked, tid)
	}
}

// world is a server whose books the fuzzer runs by hand, a step at a time, so that every step has a
// known place among the others.
type world struct {
	t         *testing.T
	s         *Server
	now       atomic.Int64
	bans      *source.Bans
	live      Live
	inForce   []Live    // since the last check
	passwords [2]string // of u; the first is in force, the other one takes its place
	secrets   [2]string
	complaint lines
	clients   []*inhabitant
	watchdog  *time.Timer
	air       *airLink // all clients on UDP share it
	ledger
	known map[uint64]bool      // allocations of which the right to be made has been checked
	since map[uint64]beginning // of each request that waits, by its arrival
	// As the last check found it.
	held quotas
	had  map[uint64]holding // of each allocation
}

// holding is what an allocation has that limits are about.
type holding struct {
	permissions, channels int
	expires               int64
}

// beginning is what there was when a request was queued.
type beginning struct{ takes, now, waiting uint64 }

type inhabitant struct {
	client
	addr     netip.AddrPort
	class    cred.Class
	id       string // whom it is for; of a static user, its name
	password string
	onUDP    bool
	last     []byte // its last request
	in       *inlet
	buf      *wire.Buffer
}

const (
	worldPorts   = 24
	worldQueue   = 32 // requests, in all
	stepPatience = 20 * time.Second
)

// worldLimits are those that the world begins with, lower and higher ones, and none.
var worldLimits = [...]Limits{
	{PerUser: 4, PerSource: 3, Allocations: 20, Permissions: 8, Channels: 4, Bandwidth: 1 << 20,
		UnauthorizedPerSource: 8},
	{PerUser: 1, PerSource: 1, Allocations: 9, Permissions: 1, Channels: 1, Bandwidth: 1, UserBandwidth: 1,
		TotalBandwidth: 1, UnauthorizedPerSource: 1},
	{PerUser: 8, PerSource: 5, Allocations: 23, Permissions: 16, Channels: 8, UnauthorizedPerSource: 64},
	{},
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, bans: source.NewBans(), passwords: [2]string{"p", "another"}, secrets: [2]string{testSecret, "b"},
		ledger: ledger{asked: map[[12]byte]int{}}, known: map[uint64]bool{}, since: map[uint64]beginning{},
		had: map[uint64]holding{},
	}
	w.air = &airLink{mortalLink: mortalLink{w: w}, clients: newClients(), got: map[netip.AddrPort]int{}}
	w.now.Store(time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC).UnixNano())
	w.live = Live{
		Keys: cred.NewKeys(w.secrets[0]), HubPeers: PeersRoom, StaticPeers: PeersPublic, FirstLifetime: 2 * time.Minute,
		Users: map[string][]byte{
			"u": cred.LongTermKey("u", testRealm, "p"), "v": cred.LongTermKey("v", testRealm, "q"),
		},
		Limits: worldLimits[0],
	}
	w.inForce, w.held = []Live{w.live}, newQuotas(&w.live.Limits)
	first := 35000 + uint16(os.Getpid()%100)*worldPorts // other workers have others
	var err error
	w.s, err = New(Options{
		Realm: testRealm, Live: w.live, Relays: []RelayAddress{relayAt("127.0.0.1")}, Bans: w.bans,
		MinPort: first, MaxPort: first + worldPorts - 1,
		Now: func() time.Time { return time.Unix(0, w.now.Load()) },
		Log: slog.New(slog.NewTextHandler(&w.complaint, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.s.gate.patience = 0
	w.s.books.queue.most, w.s.books.queue.mostOfOne = worldQueue, worldQueue/4
	if err := w.s.books.open(); err != nil {
		t.Fatal(err)
	}
	for i, who := range []struct {
		class    cred.Class
		id, from string
		onUDP    bool
	}{
		{cred.Static, "u", "127.0.2.1", false}, {cred.Static, "u", "127.0.2.2", false},
		{cred.Static, "v", "127.0.2.2", false}, {cred.Hub, "ada", "127.0.2.3", false},
		{cred.Hub, "bob", "127.0.2.3", false}, {cred.Hub, "eve", "127.0.2.4", false},
		{cred.ICE, "x", "127.0.2.4", false}, {cred.Shared, "y", "127.0.2.5", false},
		// Four of one /56, and a fifth of the same /48.
		{cred.ICE, "i1", "2001:db8:0:1::1", false}, {cred.ICE, "i2", "2001:db8:0:1::2", true},
		{cred.ICE, "i3", "2001:db8:0:2::1", true}, {cred.Shared, "i4", "2001:db8:0:3::1", false},
		{cred.Shared, "i5", "2001:db8:0:101::1", true},
		{cred.Static, "u", "127.0.2.6", true}, {cred.Hub, "fay", "127.0.2.7", true}, {cred.ICE, "x", "127.0.2.8", true},
	} {
		c := &inhabitant{
			addr:  netip.AddrPortFrom(netip.MustParseAddr(who.from), uint16(1024+i)),
			class: who.class, id: who.id, onUDP: who.onUDP, buf: new(wire.Buffer),
		}
		c.t = t
		w.clients = append(w.clients, c)
		w.connect(c)
		w.open(c)
	}
	w.watchdog = time.AfterFunc(stepPatience, func() { panic("a step waits for something") })
	return w
}

// connect gives a client a new stream; one on UDP another port.
func (w *world) connect(c *inhabitant) {
	if c.onUDP {
		c.addr = netip.AddrPortFrom(c.addr.Addr(), c.addr.Port()+100)
		c.in = &inlet{link: w.air}
		return
	}
	c.in = &inlet{link: &mortalLink{wirelessLink: wirelessLink{client: c.addr}, w: w}}
}

// current is the allocation that the client finds, or nil.
func (c *inhabitant) current() *allocation { return c.in.link.allocation(c.addr) }

// take returns how many frames of data the client has got.
func (c *inhabitant) take() int {
	return c.in.link.(interface{ takeFor(netip.AddrPort) int }).takeFor(c.addr)
}

// open opens the session of a client of the hub's, which has one at a time. ada's and bob's are one
// user's.
func (w *world) open(c *inhabitant) {
	if c.class == cred.Hub && !w.s.judge.rooms.present(c.id) {
		w.s.Opened(c.id, "", netip.MustParseAddr("203.0.114.1"))
		w.s.Identified(c.id, map[string]string{"ada": "user:a", "bob": "user:a"}[c.id], "")
	}
}

// sign gives the client a fresh credential, by the keys that are in force or by former ones, and a
// fresh nonce.
func (w *world) sign(c *inhabitant, former bool) {
	now := w.s.core.clock.wall()
	which := 0
	if former {
		which = 1
	}
	c.user, c.password = c.id, "q"
	switch {
	case c.class != cred.Static && former && c.user != "": // the same name, signed with another key
		c.user, c.password = cred.NewKeys(w.secrets[which]).Mint(c.class, c.id, now.Add(time.Hour))
	case c.class != cred.Static:
		c.user, c.password = w.live.Keys.Mint(c.class, c.id, now.Add(time.Hour))
	case c.id == "u":
		c.password = w.passwords[which]
	}
	if a := c.current(); a != nil && a.running(w.s.core.clock.now()) && !former {
		c.user, c.key = a.user, a.key
	} else {
		c.key = cred.LongTermKey(c.user, testRealm, c.password)
	}
	c.nonce = w.s.gate.challenges.nonces.append(nil, c.addr.Addr(), now)
}

func (w *world) feed(c *inhabitant, frame []byte) {
	if !c.in.link.closed() {
		w.s.front.receive(c.in, c.buf.Packet(copy(c.buf[wire.Headroom:], frame)), c.addr)
	}
}

func (w *world) request(c *inhabitant, arg byte, method uint16, attrs ...setter) {
	w.sign(c, arg&0x80 != 0)
	c.last = c.build(method, attrs...)
	w.again(c)
}

// again sends the client's last request once more.
func (w *world) again(c *inhabitant) {
	if c.last != nil && !c.in.link.closed() {
		w.ask(c.last)
		w.feed(c, c.last)
	}
}

// relayOf is where a client's allocation relays, or a port where none does.
func (c *inhabitant) relayOf() string {
	if a := c.current(); a != nil {
		return a.relayed.String()
	}
	return "127.0.0.1:9"
}

func (w *world) peer(arg byte) string {
	switch arg % 11 {
	case 8:
		return "203.0.114.1:9" // where the sessions are
	case 9:
		return "10.0.0.1:9"
	case 10:
		return "198.41.0.4:9"
	}
	return w.clients[arg%11%byte(len(w.clients))].relayOf()
}

// steps are what can happen, to a client; op and arg say how.
var steps = [...]func(w *world, c *inhabitant, op, arg byte){
	(*world).allocate, (*world).allocate,
	func(w *world, c *inhabitant, op, arg byte) {
		w.request(c, arg, wire.MethodRefresh, withLifetime(uint32(op)*300))
	},
	func(w *world, c *inhabitant, op, arg byte) {
		w.request(c, arg, wire.MethodCreatePermission, withPeer(w.peer(op)), withPeer(w.peer(op+1)))
	},
	func(w *world, c *inhabitant, op, arg byte) {
		w.request(c, arg, wire.MethodChannelBind, withChannel(0x4000+uint16(arg>>4)), withPeer(w.peer(op)))
	},
	func(w *world, c *inhabitant, op, _ byte) { w.send(c, w.clients[int(op)%len(w.clients)]) },
	func(w *world, c *inhabitant, _, arg byte) { w.feed(c, c.channelFrame(0x4000+uint16(arg>>4), "x")) },
	func(w *world, _ *inhabitant, _, _ byte) { w.s.books.next() },
	func(w *world, c *inhabitant, op, arg byte) {
		switch op % 4 {
		case 0:
			w.s.books.next()
		case 1:
			w.again(c)
		case 2:
			w.outlive(c)
		case 3:
			for range worldQueue / 8 {
				w.request(c, arg, wire.MethodCreatePermission, withPeer(w.peer(op)))
			}
		}
	},
	func(w *world, _ *inhabitant, _, _ byte) { w.drain() },
	func(w *world, _ *inhabitant, _, _ byte) { w.s.books.turn(w.s.books.remove) },
	func(w *world, _ *inhabitant, _, _ byte) { w.s.books.turn(w.s.books.sweep) },
	stepTime: func(w *world, _ *inhabitant, _, arg byte) {
		w.now.Add([]int64{1, 31, 61, 121, 301, 601, 3541}[int(arg)%7] * int64(time.Second))
	},
	func(w *world, _ *inhabitant, _, arg byte) { w.reload(arg) },
	func(w *world, c *inhabitant, _, arg byte) { w.ban(c, arg) },
	func(w *world, c *inhabitant, _, arg byte) { w.s.Ended(c.id, arg&0x80 != 0) },
	func(w *world, c *inhabitant, _, _ byte) { w.open(c) },
	func(w *world, c *inhabitant, op, arg byte) {
		room := fmt.Sprint("room", op%2)
		if arg&0x80 == 0 {
			w.s.Joined(room, c.id)
		} else {
			w.s.Left(room, c.id)
		}
	},
	stepStream: (*world).stream,
	stepAmid:   nil, // the next allocation has a step of other goroutines in its middle
}

// Steps from stepTime to stepStream are those of other goroutines than the books' and the client's.
const (
	stepTime   = 12
	stepStream = 18
	stepAmid   = 19
)

// step does one thing, to the client that it names.
func (w *world) step(op, arg byte) {
	which, op := op%byte(len(steps)), op/byte(len(steps))
	if which == stepAmid {
		w.amid(stepTime+op%(stepStream-stepTime+1), arg)
		return
	}
	steps[which](w, w.clients[int(arg)%len(w.clients)], op, arg)
}

func (w *world) allocate(c *inhabitant, op, arg byte) {
	attrs := []setter{withUDP}
	if op&1 != 0 {
		attrs = append(attrs, attr(wire.AttrEvenPort, 0x80))
	}
	if op&2 != 0 {
		attrs = append(attrs, withLifetime(uint32(arg)*20))
	}
	w.request(c, arg, wire.MethodAllocate, attrs...)
}

func (w *world) drain() {
	for w.s.books.next() {
	}
}

// outlive has a client refresh its allocation with the key that made it. That key is good for it as
// long as it runs, whatever has become of the credential.
func (w *world) outlive(c *inhabitant) {
	w.drain()
	w.s.books.turn(w.s.books.sweep)
	if a := c.current(); a != nil && a.running(w.s.core.clock.now()) {
		w.request(c, 0, wire.MethodRefresh, withLifetime(1234))
		w.drain()
		if now := w.s.core.clock.now(); !a.running(now) || a.full != now+int64(1234*time.Second) {
			w.t.Fatal("an allocation's own key does not refresh it")
		}
	}
}

// stream ends the client's stream, as streams.serve does it, or begins a new one.
func (w *world) stream(c *inhabitant, _, _ byte) {
	if c.onUDP || c.in.link.closed() {
		w.connect(c)
		return
	}
	c.in.link.close()
	if a := c.current(); a != nil {
		w.s.books.end(a, endKicked)
	}
}

// amid has another step happen while the next allocation is being made.
func (w *world) amid(step, arg byte) {
	pool := w.s.books.pools[0]
	if pool == nil {
		return
	}
	pool.OpenPort = func(at netip.AddrPort) (*socket.Relay, error) {
		pool.OpenPort = socket.OpenRelay
		w.step(step, arg)
		return socket.OpenRelay(at)
	}
}

// reload changes who may have allocations or, from 0x40 on, what they may do with them.
func (w *world) reload(arg byte) {
	next := w.live
	if arg&0x40 != 0 {
		w.restrict(&next, arg)
	} else {
		w.rekey(&next, arg)
	}
	if err := w.s.Apply(next); err != nil {
		w.t.Fatal(err)
	}
	w.live, w.inForce = next, append(w.inForce, next)
}

// restrict opens peers or closes them, to all or to a class, or raises or lowers limits.
func (w *world) restrict(next *Live, arg byte) {
	toggled := func(list []netip.Prefix, all ...string) []netip.Prefix {
		if list == nil {
			return prefixes(all...)
		}
		return nil
	}
	switch arg % 6 {
	case 0:
		next.DenyPeers = toggled(next.DenyPeers, "198.41.0.0/24", "203.0.114.1/32", "10.0.0.0/16")
	case 1:
		next.AllowPeers = toggled(next.AllowPeers, "10.0.0.0/8")
	case 2:
		next.Limits = worldLimits[arg>>3%4]
	case 3:
		next.FirstLifetime = []time.Duration{0, time.Second, 2 * time.Minute, time.Hour}[arg>>3%4]
	case 4:
		next.StaticPeers = []Peers{PeersNone, PeersPublic, PeersAny, PeersRoom}[arg>>3%4]
	case 5:
		next.HubPeers = []Peers{PeersNone, PeersRoom, PeersSignaled, PeersPublic}[arg>>3%4]
	}
}

// rekey removes a user, changes its password, or changes the secret, after which the former one is
// good for what was issued, or not; and back.
func (w *world) rekey(next *Live, arg byte) {
	next.Users = maps.Clone(w.live.Users)
	switch arg % 4 {
	case 0:
		if _, there := next.Users["v"]; there {
			delete(next.Users, "v")
		} else {
			next.Users["v"] = cred.LongTermKey("v", testRealm, "q")
		}
	case 1:
		w.passwords[0], w.passwords[1] = w.passwords[1], w.passwords[0]
		next.Users["u"] = cred.LongTermKey("u", testRealm, w.passwords[0])
	case 2:
		w.secrets[0], w.secrets[1] = w.secrets[1], w.secrets[0]
		next.Keys = cred.NewKeys(w.secrets[0])
	case 3:
		w.secrets[0], w.secrets[1] = w.secrets[1], w.secrets[0]
		next.Keys = cred.NewKeys(w.secrets[0], w.secrets[1])
	}
}

// ban keeps somebody out, and ends what it has, as the admin API does it.
func (w *world) ban(c *inhabitant, arg byte) {
	ban := source.Ban{User: c.id}
	if arg&0x80 != 0 {
		ban = source.Ban{Source: source.Of(c.addr.Addr())}
	}
	now := w.s.core.clock.wall()
	ban.Until = now.Add(2 * time.Minute)
	if err := w.bans.Add(now, ban); err != nil {
		w.t.Fatal(err)
	}
	if ban.User != "" {
		w.s.KickUser(ban.User)
	} else {
		w.s.KickSource(ban.Source)
	}
}

// send sends from one relay to another. It must not arrive without the other's permission, in time,
// or where they are not in each other's reach.
func (w *world) send(from, to *inhabitant) {
	a, b := from.current(), to.current()
	to.take()
	w.feed(from, from.sendFrame(to.relayOf(), "x"))
	if to.take() > 0 {
		if a == nil || b == nil {
			w.t.Fatal("data without two allocations")
		}
		now := w.s.core.clock.now()
		p, _ := b.admits(a.relayed, now)
		if _, ok := a.permissionFor(b.relayed.Addr(), now); !ok || p == nil || !a.mayTalk(b) || !a.running(now) ||
			!b.running(now) {
			w.t.Fatal("data passed that nobody has permitted")
		}
	}
}

// check is what holds after every step.
func (w *world) check(step string) {
	w.t.Helper()
	fail := func(format string, args ...any) {
		w.t.Helper()
		w.t.Fatalf("after %s: %s", step, fmt.Sprintf(format, args...))
	}
	w.checkQuotas(fail)
	w.checkQueue(fail)
	w.checkLedger(fail)
	w.checkHoldings(fail)
	w.inForce = []Live{w.live}
	all, now := w.s.books.list(), w.s.core.clock.now()
	for _, a := range all {
		if w.s.books.pools[0].Holder(a.relay.Addr.Port()) != a {
			fail("the port of an allocation is another's")
		}
		if found := a.link.allocation(a.client); found != a && a.running(now) {
			fail("a client does not find its allocation")
		}
		if a.running(now) {
			w.checkRight(a, fail)
		}
		if !w.known[a.id] {
			w.known[a.id] = true
			w.checkKey(a, fail)
		}
	}
	for i := range w.air.clients.chains {
		for a := w.air.clients.chains[i].Load(); a != nil; a = a.next.Load() {
			if w.air.clients.get(a.client) != a || !slices.Contains(all, a) {
				fail("%v finds an allocation that is not its own, or that the books don't know", a.client)
			}
		}
	}
	for _, c := range w.clients {
		if a := c.current(); a != nil && !slices.Contains(all, a) {
			fail("a client has an allocation that the books don't know")
		}
	}
	if n := w.s.core.counters.drops[dropPanic].Load(); n != 0 {
		fail("a panic was recovered: %s", w.complaint.String())
	}
	if said := w.complaint.String(); said != "" {
		fail("%s", said) // in particular, pion has agreed with the gate
	}
}

// checkQuotas: quotas and ports say what the books hold, and no limit is passed.
func (w *world) checkQuotas(fail func(string, ...any)) {
	b := w.s.books
	want, taken := newQuotas(&w.live.Limits), 0
	for _, a := range b.list() {
		want.add(a.holder())
		taken++
	}
	for _, r := range b.reservations {
		want.add(r.holder)
		taken++
	}
	if !maps.Equal(want.perUser, b.quotas.perUser) || !maps.Equal(want.perSource, b.quotas.perSource) ||
		want.held != b.quotas.held {
		fail("the quotas say %v %v %v, the books hold %v %v %v", b.quotas.perUser, b.quotas.perSource, b.quotas.held,
			want.perUser, want.perSource, want.held)
	}
	if n := w.portsTaken(taken); n != taken {
		fail("%d ports are taken, the books hold %d", n, taken)
	}
	w.checkLimits(want, taken, fail)
	w.held = want
}

// checkLimits: no limit is passed. What was had before it was lowered stays, but does not grow.
func (w *world) checkLimits(held quotas, taken int, fail func(string, ...any)) {
	for who, n := range held.perUser {
		if n > w.held.perUser[who] && n > w.most(func(l *Live) int { return l.Limits.PerUser }) {
			fail("%s holds %d", who, n)
		}
	}
	for block, n := range held.perSource {
		times := map[int]int{32: 1, 64: 1, 56: 2, 48: 4}[block.Bits()]
		if n > w.held.perSource[block] && n > w.most(func(l *Live) int { return times * l.Limits.PerSource }) {
			fail("%v holds %d", block, n)
		}
	}
	const others = groups - 1
	before := 0
	for g, n := range held.held[0] {
		before += w.held.held[0][g]
		if n > w.held.held[0][g] && (n > worldPorts-others*(worldPorts/guaranteed) ||
			n > w.most(func(l *Live) int { return l.Limits.Allocations - others*(l.Limits.Allocations/guaranteed) })) {
			fail("group %d holds %d ports", g, n)
		}
	}
	if taken > before && taken > w.most(func(l *Live) int { return l.Limits.Allocations }) {
		fail("%d allocations and reserved ports", taken)
	}
}

// most is the highest of the limits that were in force since the last check; 0 means none.
func (w *world) most(of func(*Live) int) (most int) {
	for i := range w.inForce {
		limit := of(&w.inForce[i])
		if limit == 0 {
			return math.MaxInt
		}
		most = max(most, limit)
	}
	return most
}

// checkHoldings: an allocation has what it may have: permissions for peers that the lists in force
// open, as many of these and of channels as there may be, and time. What it had before a limit was
// lowered stays, but does not grow.
func (w *world) checkHoldings(fail func(string, ...any)) {
	now, had := w.s.core.clock.now(), map[uint64]holding{}
	for _, a := range w.s.books.list() {
		for _, peer := range a.peers() {
			w.checkGrant(a, peer, fail)
		}
		a.mu.RLock()
		has, before := holding{a.permissions.len(), a.channels.len(), a.expires.Load()}, w.had[a.id]
		a.mu.RUnlock()
		if has.permissions > before.permissions &&
			has.permissions > w.most(func(l *Live) int { return l.Limits.Permissions }) {
			fail("an allocation has %d permissions", has.permissions)
		}
		if has.channels > before.channels && has.channels > w.most(func(l *Live) int { return l.Limits.Channels }) {
			fail("an allocation has %d channels", has.channels)
		}
		longest := w.most(func(l *Live) int { // MinLifetime wins
			if l.FirstLifetime == 0 {
				return 0
			}
			return int(max(l.FirstLifetime, time.Minute))
		})
		if has.expires > before.expires && !a.inUse() && has.expires-now > int64(longest) {
			fail("an allocation that is not in use gets %v", time.Duration(has.expires-now))
		}
		had[a.id] = has
	}
	w.had = had
}

// checkGrant: a permission allows what the policy in force does, and nothing that is denied.
func (w *world) checkGrant(a *allocation, peer netip.Addr, fail func(string, ...any)) {
	a.mu.RLock()
	g, runs := a.permissions.get(peer).grant, a.permissions.get(peer).expires.Load() > w.s.core.clock.now()
	a.mu.RUnlock()
	if g == (grant{}) && runs {
		fail("a permission for %v runs and allows nothing", peer)
	}
	if want := w.s.judge.grantFor(a, peer); g != want {
		fail("a permission for %v allows %+v, the policy %+v", peer, g, want)
	}
	lists := func(list []netip.Prefix) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(peer) })
	}
	private := peer == netip.MustParseAddr("10.0.0.1")
	if g.outside && (lists(w.live.DenyPeers) || private && !lists(w.live.AllowPeers)) {
		fail("a permission for %v allows %+v, whatever the lists say", peer, g)
	}
}

// checkQueue: users and sources have waiting what waits.
func (w *world) checkQueue(fail func(string, ...any)) {
	q := w.s.books.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	users, sources := 0, 0
	for _, s := range q.principals {
		users += s.n
	}
	for _, s := range q.sources {
		sources += s.n
	}
	// A source of IPv6 counts in its wider blocks, too.
	want := 0
	for _, r := range q.waiting {
		want += len(source.Blocks(r.client.Addr()))
	}
	if n := len(q.waiting); users != n || sources != want || n > worldQueue {
		fail("%d requests wait; users have %d, sources %d of %d", n, users, sources, want)
	}
	w.checkProgress(fail)
}

// checkProgress: every request is taken before those that come when its turn has. Until then each
// user has as many turns as it would have had. The queue is locked.
func (w *world) checkProgress(fail func(string, ...any)) {
	q, since := w.s.books.queue, map[uint64]beginning{}
	for _, r := range q.waiting {
		b, known := w.since[r.arrival]
		if !known {
			b = beginning{q.takes, q.now, uint64(len(q.waiting))}
		}
		since[r.arrival] = b
		ahead := uint64(0)
		if r.turn > b.now {
			ahead = r.turn - b.now
		}
		if most := b.waiting + (ahead+1)*uint64(len(w.clients)); q.takes-b.takes > most {
			fail("a request waits for the %dth turn, %d at most", q.takes-b.takes, most)
		}
	}
	w.since = since
}

// checkLedger: each request has been answered, or waits, or was counted as dropped.
func (w *world) checkLedger(fail func(string, ...any)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q := w.s.books.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := map[[12]byte]int{}
	for _, r := range q.waiting {
		waiting[[12]byte(r.msg.TransactionID())]++
	}
	lost := 0
	for tid, n := range w.asked {
		if lost += n - waiting[tid]; n < waiting[tid] {
			fail("a request waits that was answered")
		}
	}
	drops := &w.s.core.counters.drops
	if counted := drops[dropBusy].Load() + drops[dropRateLimited].Load(); w.extra != 0 || uint64(lost) != counted {
		fail("%d requests have no answer, and %d are counted as dropped; %d are answered twice", lost, counted, w.extra)
	}
}

// checkKey: a new allocation was made with a key that is in force.
func (w *world) checkKey(a *allocation, fail func(string, ...any)) {
	ok := a.class == cred.Static && bytes.Equal(w.live.Users[a.user], a.key)
	w.live.Keys.Each(a.user, func(c cred.Class, password string) bool {
		ok = ok || c == a.class && bytes.Equal(cred.LongTermKey(a.user, testRealm, password), a.key)
		return ok
	})
	if !ok {
		fail("an allocation was made with a key that is not in force")
	}
}

// checkRight: whom a running allocation is for still has the right to it.
func (w *world) checkRight(a *allocation, fail func(string, ...any)) {
	if w.s.books.keys.banned(a.class, a.user, a.client.Addr()) {
		fail("an allocation of somebody who is banned runs")
	}
	if a.link.closed() {
		fail("an allocation runs whose stream has ended")
	}
	switch a.class {
	case cred.Static:
		if !bytes.Equal(w.live.Users[a.user], a.key) {
			fail("an allocation runs whose user is gone")
		}
	case cred.Hub:
		r := w.s.judge.rooms
		r.mu.Lock()
		m := a.scope.member
		_, lingers := r.lost[m]
		there := m != nil && (r.members[m.id] == m || lingers)
		r.mu.Unlock()
		if !there {
			fail("an allocation runs whose session is over")
		}
	}
}

func (w *world) end() {
	w.watchdog.Stop()
	b := w.s.books
	b.close()
	if n := len(b.quotas.perUser) + len(b.quotas.perSource) + len(b.reservations) + b.size(); n != 0 {
		w.t.Errorf("%d things are left in the books", n)
	}
	if n := w.portsTaken(0); n != 0 {
		w.t.Errorf("%d ports are left taken", n)
	}
}

// portsTaken counts the ports that are taken. It waits until they are as many as wanted: who reads
// a socket that was closed meanwhile keeps its port for a moment.
func (w *world) portsTaken(want int) (n int) {
	p := w.s.books.pools[0]
	for deadline := time.Now().Add(patience); p != nil; runtime.Gosched() {
		if n = p.Taken(); n == want || time.Now().After(deadline) {
			break
		}
	}
	return n
}

// Gate, books and lane keep what they promise whatever several clients ask for, in whatever order
// the books, reloads, bans and ends come in between: no relay without the right to one, ports and
// quotas that add up, no packet without a permission, nobody who waits.
func FuzzServer(f *testing.F) {
	f.Add([]byte{0, 0, 0, 3, 9, 0, 3, 0, 9, 0, 5, 0, 11, 0})
	f.Add([]byte{0, 0, 13, 1, 9, 0, 10, 0, 0, 0, 9, 0})                         // a password changes in between
	f.Add([]byte{0, 6, 9, 0, 19 + 20, 2, 0, 7, 9, 0, 12, 5, 11, 0})             // a secret, amid an allocation
	f.Add([]byte{0, 3, 0, 4, 17, 3, 17, 4, 9, 0, 15, 0x83, 12, 1, 11, 0})       // sessions that are lost
	f.Add([]byte{20, 0, 20, 1, 9, 0, 12, 1, 11, 0, 0, 1, 9, 0})                 // reservations
	f.Add([]byte{0, 0, 9, 0, 0, 2, 9, 0, 3, 0, 63, 2, 9, 0, 45, 0, 5, 2})       // relay to relay
	f.Add([]byte{0, 0, 9, 0, 19 + 40, 0, 0, 1, 9, 0, 14, 0x80, 7, 0, 10, 0})    // bans
	f.Add([]byte{0, 5, 18, 5, 9, 0, 18, 5, 0, 5, 9, 0, 19 + 120, 5, 0, 5, 9})   // streams that end
	f.Add([]byte{0, 0, 0, 6, 9, 0, 3, 0, 3, 6, 9, 0, 5 + 120, 0, 5, 6})         // relays of two classes
	f.Add([]byte{0, 3, 0, 5, 17, 3, 37, 5, 9, 0, 3, 3, 3, 5, 9, 0, 5 + 100, 3}) // of two rooms
	f.Add([]byte{0, 2, 9, 0, 19 + 20, 1, 20, 0, 9, 0, 12, 1, 11, 0})            // a password, amid a reservation
	f.Add([]byte{0, 2, 9, 0, 19 + 60, 3, 20, 3, 9, 0, 16, 3, 0, 3, 9, 0})       // a session, amid a reservation
	// On UDP: a client moves to another port, from relay to relay, as one user from two places.
	f.Add([]byte{0, 13, 9, 0, 18, 13, 0, 13, 9, 0, 12, 3, 0, 15, 18, 15, 9, 0, 11, 0})
	f.Add([]byte{0, 9, 0, 10, 9, 0, 3, 9, 3, 10, 9, 0, 5 + 20*10, 9, 5 + 20*9, 10, 18, 9, 5 + 20*9, 10})
	// Reloads of the secret: what was issued before is good, or not; what runs goes on.
	f.Add([]byte{0, 6, 0, 7, 9, 0, 13, 2, 48, 6, 48, 7, 0, 8, 0, 0x86, 0, 0x87, 9, 0})
	f.Add([]byte{0, 8, 0, 11, 9, 0, 13, 3, 0, 0x89, 0, 0x8c, 9, 0, 48, 8, 48, 11, 13, 2, 0, 0x8a, 9, 0})
	f.Add([]byte{0, 9, 13, 2, 9, 0, 0, 9, 19 + 20, 3, 9, 0, 0, 12, 19 + 20, 2, 9, 0, 48, 9}) // amid, in between
	// Ports for a whole line: a source, a /56, a /48.
	f.Add([]byte{20, 8, 20, 9, 9, 0, 20, 10, 20, 11, 9, 0, 0, 9, 0, 12, 9, 0, 20, 12, 9, 0, 48, 12})
	// All that there may be.
	f.Add([]byte{20, 0, 20, 1, 20, 2, 20, 3, 20, 4, 20, 5, 20, 6, 20, 7, 20, 8, 20, 10, 20, 12, 20, 13, 20, 14, 20, 15,
		9, 0})
	// More requests than there is room for, some of them again.
	f.Add([]byte{0, 0, 0, 3, 9, 0, 68, 0, 68, 0, 68, 3, 68, 1, 68, 2, 28, 2, 68, 7, 68, 8, 68, 9, 68, 13, 68, 12,
		68, 14, 7, 0, 7, 0, 68, 0, 28, 0, 7, 0, 9, 0, 28, 0, 9, 0})
	// Lists, limits and first lifetimes change, before, amid and after what they are about.
	f.Add([]byte{0, 0, 9, 0, 13, 0x41, 63, 0, 3 + 200, 0, 9, 0, 13, 0x40, 13, 0x40, 13, 0x41, 63, 0, 9, 0})
	f.Add([]byte{0, 0, 9, 0, 203, 0, 4 + 200, 0x20, 9, 0, 13, 0x40, 203, 0, 9, 0, 13, 0x40, 203, 0, 9, 0})
	f.Add([]byte{0, 0, 0, 1, 0, 2, 9, 0, 13, 0x46, 0, 0x10, 0, 13, 9, 0, 3, 0, 3 + 40, 0, 9, 0, 13, 0x4a, 0, 13, 0, 6,
		9, 0})
	f.Add([]byte{20, 0, 9, 0, 19 + 20, 0x46, 20, 3, 9, 0, 13, 0x4e, 20, 9, 20, 10, 20, 12, 9, 0, 13, 0x46, 11, 0})
	f.Add([]byte{13, 0x47, 0, 0, 9, 0, 12, 2, 11, 0, 19 + 20, 0x4f, 0, 0, 9, 0, 13, 0x47, 42, 0, 9, 0, 48, 0, 13, 0x43,
		42, 0})
	wait := []byte{68, 0, 68, 1, 68, 3} // while others come and are taken
	for i := range byte(60) {
		wait = append(wait, 0, i%16, 7, 0)
	}
	f.Add(wait)
	f.Add([]byte{68, 0x80, 68, 0x80, 68, 0x88, 68, 0x89, 0, 8, 9, 0}) // wrong passwords
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) > 400 {
			return
		}
		w := newWorld(t)
		defer w.end()
		for i := 0; i+1 < len(steps); i += 2 {
			w.watchdog.Reset(stepPatience)
			w.step(steps[i], steps[i+1])
			w.check(fmt.Sprintf("step %d (%d, %d)", i/2, steps[i]%20, steps[i+1]))
		}
	})
}
