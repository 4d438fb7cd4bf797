package turnsvc

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// standStill stops the server's clock: what is counted by the second is counted in one.
func standStill(o *Options) {
	now := time.Now()
	o.Now = func() time.Time { return now }
}

// spoofedLink is a UDP socket whose answers go to whoever has the address: not to the attacker.
type spoofedLink struct{ discardLink }

func (spoofedLink) transport() string                         { return "udp" }
func (spoofedLink) allocation(netip.AddrPort) (a *allocation) { return nil }

// spoof has the server receive n datagrams, each as if from the address and the port for its
// number.
func (r *rig) spoof(ip string, n int, port func(i int) int, frame func(i int) []byte) {
	in, buf := &inlet{link: spoofedLink{}}, new(wire.Buffer)
	for i := range n {
		src := netip.AddrPortFrom(netip.MustParseAddr(ip), uint16(port(i)))
		r.s.front.receive(in, buf.Packet(copy(buf[wire.Headroom:], frame(i))), src)
	}
}

// In one second come thousands of Allocates in the name of an address, from all its ports. Its
// owner gets in over UDP, and over TCP without even a wait.
func TestAttackF4SpoofedAllocatesLockNobodyOut(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *Options) { standStill(o); o.Limits.UnauthorizedPerSource = 100 })
			unsigned := (&client{}).build(wire.MethodAllocate, withUDP)
			garbage := (&client{user: "u", nonce: make([]byte, nonceSize)}).build(wire.MethodAllocate, withUDP)
			r.spoof("127.0.0.1", 4000, func(i int) int { return 1024 + i },
				func(i int) []byte { return [][]byte{unsigned, garbage}[i%2] })
			const owners = 20
			in := 0
			for range owners {
				c := r.dial(transport, "u", "p")
				c.write(c.build(wire.MethodAllocate, withUDP))
				m := c.answerOrNil(time.Second / 4)
				if m == nil {
					continue // its port is among those that met another in a slot; it would ask again
				}
				nonce, _ := m.Get(wire.AttrNonce)
				c.nonce = append([]byte(nil), nonce...)
				c.allocate()
				in++
			}
			if want := map[string]int{"udp": owners * 3 / 4, "tcp": owners}[transport]; in < want {
				t.Errorf("%d of %d got in, want %d", in, owners, want)
			}
			if n := r.s.Snapshot().Refusals[401] + r.s.Snapshot().Refusals[438]; n > 100*(1+spareAnswers)+2*owners {
				t.Errorf("%d answers to one source in a second", n)
			}
		})
	}
}

// Somebody behind the same NAT guesses at passwords, with a good nonce, as fast as it can.
func TestAttackF4WrongPasswordsLockOutNobodyElse(t *testing.T) {
	const limit = 100
	each(t, func(o *Options) { standStill(o); o.Limits.UnauthorizedPerSource = limit },
		func(t *testing.T, r *rig, transport string) {
			wrong := r.dial("udp", "u", "wrong")
			wrong.refused(401, wire.MethodAllocate, withUDP)
			port := int(wire.AddrPort(wrong.conn.LocalAddr()).Port())
			r.spoof("127.0.0.1", 20*limit, func(int) int { return port },
				func(int) []byte { return wrong.build(wire.MethodAllocate, withUDP) })
			if n := r.s.Snapshot().Refusals[401]; n > limit+3 {
				t.Errorf("%d guesses were answered in a second", n)
			}
			// They hold a nonce: another user, and the same one with the right password.
			for _, c := range []*client{r.dial(transport, "v", "q"), r.dial(transport, "u", "p")} {
				c.nonce = wrong.nonce
				if m := c.answerTo(c.build(wire.MethodAllocate, withUDP)); m.Class != wire.ClassSuccess {
					t.Errorf("%s with the right password: code %d", c.user, m.code())
				}
			}
			wrong.write(wrong.build(wire.MethodAllocate, withUDP))
			if m := wrong.answerOrNil(50 * time.Millisecond); m != nil {
				t.Errorf("one more guess is answered: %d", m.code())
			}
		})
}

func TestAllowance(t *testing.T) {
	t.Parallel()
	at := func(port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(port))
	}
	w, now := newAllowance(2, 3), time.Unix(1000, 0)
	var had []int
	for port := range 12 {
		for range 3 {
			if w.allow(at(port), now) {
				had = append(had, port)
			}
		}
	}
	// Two by the limit, then one for each client, up to three times the limit.
	if len(had) != 2+6 || had[0] != 0 || had[1] != 0 || had[2] != 0 || had[3] != 1 {
		t.Errorf("answers to %v", had)
	}
	if !w.allow(at(99), now.Add(time.Second)) {
		t.Error("the next second has none")
	}
	w.setLimit(0)
	for port := range 100 {
		if _, ok := w.guess(at(port), "u", now); !ok || !w.allow(at(port), now) {
			t.Fatal("without a limit one is refused")
		}
	}
}

// dialFrom opens a client that comes from another loopback address.
func (r *rig) dialFrom(ip, user, password string) *client {
	r.t.Helper()
	dialer := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 0))}
	conn, err := dialer.Dial("udp", r.addr["udp"])
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return &client{t: r.t, conn: conn, user: user, key: cred.LongTermKey(user, testRealm, password)}
}

// Four addresses with credentials of /api/ice, as many as it takes, may have all ports by the
// limits of users and sources. Static users, other programs' users and sessions still get theirs.
func TestAttackF5NoClassTakesAllPorts(t *testing.T) {
	const ports = 64
	for name, limits := range map[string]Limits{
		"ports": {PerSource: ports / 4}, "allocations": {PerSource: ports / 4, Allocations: ports},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.Limits = limits; o.MinPort, o.MaxPort = 32300, 32300+ports-1 })
			taken := 0
			for i := range 2 * ports {
				user, password := r.keys.Mint(cred.ICE, fmt.Sprint(i), r.s.core.clock.wall().Add(time.Hour))
				c := r.dialFrom(fmt.Sprint("127.0.1.", 1+i%4), user, password)
				switch m := c.request(wire.MethodAllocate, withUDP); m.code() {
				case 0:
					taken++
				case 486, 508:
				default:
					t.Fatalf("code %d", m.code())
				}
			}
			if want := ports - 2*ports/guaranteed; taken != want {
				t.Errorf("%d of %d ports are taken, want %d", taken, ports, want)
			}
			for range ports / guaranteed / 2 {
				r.dial("udp", "u", "p").allocate()
				r.minted("udp", cred.Shared, "x", time.Hour).allocate()
				r.session("udp", "s", "203.0.114.1").allocate()
				r.session("udp", "s", "203.0.114.1").allocate()
			}
			r.dialFrom("127.0.2.1", "v", "q").refused(508, wire.MethodAllocate, withUDP)
		})
	}
}

// One line has many /64s; it has not the limit of a source for each.
func TestAttackF5LinesOfIPv6AreLimited(t *testing.T) {
	t.Parallel()
	const limit = 10
	l := &Limits{PerSource: limit}
	for name, c := range map[string]struct {
		of   func(i int) string
		want int
	}{
		"IPv4":       {func(i int) string { return "192.0.2.1" }, limit},
		"one /64":    {func(i int) string { return fmt.Sprintf("2001:db8::%x", i) }, limit},
		"one /56":    {func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i%256) }, 2 * limit},
		"one /48":    {func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i*256) }, 4 * limit},
		"many lines": {func(i int) string { return fmt.Sprintf("2001:db8:%x::1", i) }, 200},
	} {
		q := newQuotas(l)
		var in []holder
		for i := range 200 {
			if h := (holder{client: netip.MustParseAddr(c.of(i))}); q.fitsSource(1, l, h) {
				q.add(h)
				in = append(in, h)
			}
		}
		if len(in) != c.want {
			t.Errorf("%s: %d, want %d", name, len(in), c.want)
		}
		for _, h := range in {
			q.giveBack(h)
		}
		if len(q.perSource)+len(q.perUser) != 0 || q.held != [2][groups]int{} {
			t.Errorf("%s: something stays: %v", name, q)
		}
	}
}

// What is only taken comes back soon, and what is no longer used; what is used lasts as long as was
// asked for, even for a client that does not look at what it was granted, and is used for the first
// time when it is nearly over.
func TestAttackF5FirstLifetimesAreShort(t *testing.T) {
	each(t, func(o *Options) { o.FirstLifetime = 2 * time.Minute }, func(t *testing.T, r *rig, transport string) {
		granted := func(c *client, method uint16, attrs ...setter) time.Duration {
			t.Helper()
			return c.ok(method, attrs...).lifetime()
		}
		idle, busy, gone := r.dial(transport, "u", "p"), r.dial(transport, "v", "q"), r.dial(transport, "v", "q")
		peer := r.peer()
		at := peer.LocalAddr().String()
		for _, c := range []*client{idle, busy, gone} {
			if got := granted(c, wire.MethodAllocate, withUDP); got != 2*time.Minute {
				t.Errorf("a new allocation is granted %v", got)
			}
			if got := granted(c, wire.MethodRefresh, withLifetime(700)); got != 2*time.Minute {
				t.Errorf("an unused allocation is granted %v", got)
			}
		}
		use := func(c *client) {
			t.Helper()
			c.ok(wire.MethodCreatePermission, withPeer(at))
			c.write(c.sendFrame(at, "x"))
			_, relayed := readPeer(t, peer)
			if _, err := peer.WriteToUDPAddrPort([]byte("y"), relayed); err != nil {
				t.Fatal(err)
			}
			c.received()
			// What was not sent does not count, so it counts just after it was sent; see
			// TestAttackF10WhatWasNotSentDoesNotCount.
			at := wire.AddrPort(c.conn.LocalAddr())
			eventually(t, "what the client got counts", func() bool {
				return slices.ContainsFunc(r.s.books.list(),
					func(a *allocation) bool { return a.client == at && a.inUse() })
			})
		}
		left := func(want int) {
			t.Helper()
			eventually(t, fmt.Sprint(want, " are left"), func() bool { return r.s.Allocations() == want })
		}
		use(gone)
		r.advance(119 * time.Second)
		use(busy)
		r.advance(3 * time.Second) // over, but for the one
		left(1)
		for range 6 {
			r.advance(80 * time.Second)
			use(busy)
		}
		r.inBooks(func() int { r.s.books.sweep(); return 0 })
		left(1)
		r.advance(100 * time.Second) // after all that was asked for
		left(0)
		idle.refused(437, wire.MethodRefresh)

		granted(busy, wire.MethodAllocate, withUDP)
		busy.ok(wire.MethodCreatePermission, withPeer(at))
		busy.write(busy.sendFrame(at, "x"))
		readPeer(t, peer)
		if got := granted(busy, wire.MethodRefresh, withLifetime(3000)); got != 2*time.Minute {
			t.Errorf("an allocation that got nothing is granted %v", got)
		}
		use(busy)
		if got := granted(busy, wire.MethodRefresh); got != defaultLifetime {
			t.Errorf("a used allocation is granted %v", got)
		}
		if got := granted(busy, wire.MethodRefresh, withLifetime(0)); got != 0 {
			t.Errorf("refresh with 0: granted %v", got)
		}
	})
}

// Under many names a guesser at static users gets no more than a few times as many guesses, and one
// at a secret, which nobody guesses, no more work done than that.
func TestAttackF4NewNamesAreNoNewGuesses(t *testing.T) {
	const limit = 10
	now := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		user func(int) string
		most int
	}{
		"shared": {func(int) string { return "" }, spareLooks * limit},
		"static": {func(i int) string { return fmt.Sprint("user", i) }, spareGuesses * limit},
	} {
		w, looked := newAllowance(limit, spareGuesses), 0
		from := netip.MustParseAddrPort("192.0.2.1:5000")
		for i := range 10000 {
			if _, ok := w.guess(from, c.user(i), now); ok {
				looked++
			}
		}
		if looked > c.most+1 { // one is the client's own
			t.Errorf("%s: %d guesses in a second, want %d at most", name, looked, c.most+1)
		}
	}
}

// Somebody behind the same NAT guesses from all its ports, as often as the budget of all clients
// there may be beyond the limit: at one user's password, and at credentials that the box or another
// program has made. Neither keeps out anybody but newcomers of that one user.
func TestAttackF4GuessesFromManyPortsLockOutNobodyElse(t *testing.T) {
	const limit = 10
	for name, guessed := range map[string]func(r *rig, i int) string{
		"one user": func(*rig, int) string { return "u" },
		"minted names": func(r *rig, i int) string {
			return fmt.Sprintf("%d:%d", r.s.core.clock.wall().Add(time.Hour).Unix(), i)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *Options) { standStill(o); o.Limits.UnauthorizedPerSource = limit })
			nonce := r.s.gate.challenges.nonces.append(nil, netip.MustParseAddr("127.0.0.1"), r.s.core.clock.wall())
			n := 0
			r.spoof("127.0.0.1", 5*limit*(1+spareGuesses), func(i int) int { return 1024 + i }, func(i int) []byte {
				n++
				wrong := &client{user: guessed(r, i), key: make([]byte, 16), nonce: nonce}
				return wrong.build(wire.MethodAllocate, withUDP)
			})
			newcomers := []*client{r.dial("udp", "v", "q"), r.dial("tcp", "v", "q")}
			for _, class := range []cred.Class{cred.ICE, cred.Shared} {
				newcomers = append(newcomers,
					r.minted("udp", class, "x", time.Hour), r.minted("tcp", class, "x", time.Hour))
			}
			newcomers = append(newcomers, r.session("udp", "s", "203.0.114.1"))
			for _, c := range newcomers {
				c.nonce = nonce
				c.write(c.build(wire.MethodAllocate, withUDP))
				if m := c.answerOrNil(patience); m == nil || m.Class != wire.ClassSuccess {
					t.Errorf("%s is kept out by %d guesses", c.user, n)
				}
			}
		})
	}
}

// Thousands of connections of one client have a guess at one user's key at once. None is looked at
// before it is counted.
func TestAttackF4GuessesAtOnceAreNoMore(t *testing.T) {
	t.Parallel()
	const limit, at = 100, 3000
	from := netip.MustParseAddr("192.0.2.1")
	w, now := newAllowance(limit, spareGuesses), time.Unix(1000, 0)
	var looked atomic.Int32
	atOnce(at, func(i int) {
		if _, ok := w.guess(netip.AddrPortFrom(from, uint16(1024+i)), "u", now); ok {
			looked.Add(1) // and nobody knows yet whether it is right
		}
	})
	if n := looked.Load(); n < limit || n > limit*(1+spareGuesses) {
		t.Errorf("%d of %d guesses are looked at, want at most %d", n, at, limit*(1+spareGuesses))
	}

	// Right ones use nothing up: there may be any number of them in a second.
	w, looked = newAllowance(limit, spareGuesses), atomic.Int32{}
	atOnce(at, func(i int) {
		for range 10 {
			for {
				counted, ok := w.guess(netip.AddrPortFrom(from, uint16(1024+i)), "u", now)
				if ok {
					counted.giveBack()
					break
				}
				runtime.Gosched() // as many as may be are being looked at just now
			}
		}
		looked.Add(1)
	})
	if n := looked.Load(); n != at {
		t.Errorf("%d of %d clients with the right key got in", n, at)
	}
	for i := range limit {
		if _, ok := w.guess(netip.AddrPortFrom(from, uint16(i)), "u", now); !ok {
			t.Fatalf("wrong guess %d is refused after right ones", i)
		}
	}
}

// The same over the gate, from streams that wait for their turn.
func TestAttackF4StreamsGuessNoFaster(t *testing.T) {
	t.Parallel()
	const limit, at = 20, 600
	r := newRig(t, func(o *Options) { standStill(o); o.Limits.UnauthorizedPerSource = limit })
	here := netip.MustParseAddr("127.0.0.1")
	wrong := &client{t: t, user: "u", key: make([]byte, 16),
		nonce: r.s.gate.challenges.nonces.append(nil, here, r.s.core.clock.wall())}
	frame := wrong.build(wire.MethodAllocate, withUDP)
	r.s.gate.proven.setLimit(0) // so that each guess that is looked at is answered
	atOnce(at, func(i int) {
		in, buf := &inlet{link: spoofedLink{}}, new(wire.Buffer)
		r.s.front.receive(in, buf.Packet(copy(buf[wire.Headroom:], frame)), netip.AddrPortFrom(here, uint16(1024+i)))
	})
	if n := r.s.Snapshot().Refusals[401]; n < limit || n > limit*(1+spareGuesses) {
		t.Errorf("%d guesses are looked at, want at most %d", n, limit*(1+spareGuesses))
	}
}

// atOnce runs f so many times at once, and waits.
func atOnce(n int, f func(i int)) {
	var running sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		running.Go(func() { <-start; f(i) })
	}
	close(start)
	running.Wait()
}

// One line of IPv6 has many /64s; it has not the guesses of a source for each.
func TestAttackF4LinesOfIPv6GuessNoFaster(t *testing.T) {
	t.Parallel()
	const limit = 10
	now := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		of   func(i int) string
		want int
	}{
		"one /64": {func(i int) string { return fmt.Sprintf("2001:db8::%x", i) }, limit},
		"one /56": {func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i%256) }, 2 * limit},
		"one /48": {func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i) }, 4 * limit},
	} {
		for _, user := range []string{"u", ""} {
			w, looked := newAllowance(limit, spareGuesses), 0
			for i := range 20_000 {
				from := netip.AddrPortFrom(netip.MustParseAddr(c.of(i)), uint16(i))
				if _, ok := w.guess(from, user, now); ok {
					looked++
				}
			}
			// And one for each client that has had none, within a bound.
			most := c.want * (1 + spareGuesses)
			if user != "u" {
				most = c.want * (spareLooks + spareGuesses)
			}
			if looked < c.want || looked > most {
				t.Errorf("%s, %s: %d guesses in a second, want at most %d", name, user, looked, most)
			}
		}
		// Under other names there are no more than a few times as many.
		w, looked := newAllowance(limit, spareGuesses), 0
		for i := range 20_000 {
			from := netip.AddrPortFrom(netip.MustParseAddr(c.of(i)), uint16(i))
			if _, ok := w.guess(from, fmt.Sprint("user", i), now); ok {
				looked++
			}
		}
		if most := c.want * 2 * spareGuesses; looked > most {
			t.Errorf("%s, many users: %d guesses in a second, want at most %d", name, looked, most)
		}
	}
}

// A guess that another block has no room for is counted in none.
func TestAttackF4GuessesInVainAreNotCounted(t *testing.T) {
	t.Parallel()
	const limit = 10
	w, now := newAllowance(limit, 1), time.Unix(1000, 0)
	in := func(subnet int) (n int) {
		for i := range 10 * limit {
			from := netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::1", subnet)), uint16(i))
			if _, ok := w.guess(from, "u", now); ok {
				n++
			}
		}
		return n
	}
	for _, subnet := range []int{1, 2, 3} { // the third is refused by the /56
		in(subnet)
	}
	if n := in(0x100); n != 2*limit { // of another /56 of the same line: all that a /64 may have
		t.Errorf("%d guesses, want %d", n, 2*limit)
	}
}

// Whoever has read the clock just before a second turned begins no other second.
func TestSecondsTurnOnce(t *testing.T) {
	t.Parallel()
	var slot atomic.Uint64
	before, after := time.Unix(1000, 999), time.Unix(1001, 0)
	n := 0
	for i := range 100 {
		var counted tally
		if counted.count(&slot, 10, []time.Time{before, after}[i%2]) {
			n++
		}
	}
	if n > 11 {
		t.Errorf("%d are counted in two seconds' turn, want 11", n)
	}
	var counted tally
	if !counted.count(&slot, 10, time.Unix(2000, 0)) {
		t.Error("a later second begins with nothing left")
	}
	counted.giveBack()
	if slot.Load() != 2000<<32 {
		t.Errorf("%x is left", slot.Load())
	}
	if !counted.count(&slot, 10, time.Unix(900, 0)) {
		t.Error("nothing is counted after the clock was set back")
	}
}

// A packet to somebody, or from somebody, is not yet a use: else who only takes ports would send
// one. Nor is what an allocation says to another one of the same user, or of the same source, where
// anybody may be any number of users.
func TestAttackF5UseHasTwoEnds(t *testing.T) {
	each(t, func(o *Options) { o.FirstLifetime = 2 * time.Minute }, func(t *testing.T, r *rig, transport string) {
		long := func(c *client) bool {
			return c.ok(wire.MethodRefresh, withLifetime(3000)).lifetime() > 2*time.Minute
		}
		peer := r.peer()
		at := peer.LocalAddr().String()
		speaker, listener := r.dial(transport, "u", "p"), r.dial(transport, "u", "p")
		for _, c := range []*client{speaker, listener} {
			c.allocate()
			c.ok(wire.MethodCreatePermission, withPeer(at))
		}
		speaker.write(speaker.sendFrame(at, "x"))
		readPeer(t, peer)
		if _, err := peer.WriteToUDPAddrPort([]byte("x"), listener.relayed); err != nil {
			t.Fatal(err)
		}
		listener.received()
		if long(speaker) || long(listener) {
			t.Error("one direction is a use")
		}

		call := func(a, b *client) {
			t.Helper()
			a.allocate()
			b.allocate()
			for _, d := range [][2]*client{{a, b}, {b, a}} {
				d[0].ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(d[1].relayed.String()))
			}
			for _, d := range [][2]*client{{a, b}, {b, a}} {
				d[0].write(d[0].channelFrame(0x4000, "data"))
				d[1].received()
			}
		}
		anybody := func(from, id string) *client {
			user, password := r.keys.Mint(cred.ICE, id, r.s.core.clock.wall().Add(time.Hour))
			return r.dialFrom(from, user, password)
		}
		calls := map[string]struct {
			a, b *client
			used bool
		}{
			"one user":               {r.dial(transport, "u", "p"), r.dial(transport, "u", "p"), false},
			"two users":              {r.dial(transport, "u", "p"), r.dial(transport, "v", "q"), true},
			"anybody of one source":  {anybody("127.0.1.1", "x"), anybody("127.0.1.1", "y"), false},
			"anybody of two sources": {anybody("127.0.1.1", "x"), anybody("127.0.1.2", "y"), true},
			"sessions of one source": {r.session(transport, "s", "203.0.114.1", "tea"),
				r.session(transport, "t", "203.0.114.1", "tea"), false},
		}
		for name, c := range calls {
			call(c.a, c.b)
			if c.used { // what was sent counts just after
				eventually(t, "a call of "+name+" is a use", func() bool { return long(c.a) && long(c.b) })
			}
		}
		for name, c := range calls {
			if got := []bool{long(c.a), long(c.b)}; got[0] != c.used || got[1] != c.used {
				t.Errorf("a call of %s is a use: %v, want %v", name, got, c.used)
			}
		}
	})
}

// Two blocks of one line of IPv6 are one source of credentials that anybody can have.
func TestAttackF5ALineIsNobodyElse(t *testing.T) {
	t.Parallel()
	at := func(class cred.Class, from, principal string) *allocation {
		return &allocation{class: class, principal: principal, client: netip.AddrPortFrom(netip.MustParseAddr(from), 1)}
	}
	for _, c := range []struct {
		class cred.Class
		a, b  string
		other bool
	}{
		{cred.ICE, "2001:db8:1::1", "2001:db8:1::2", false},
		{cred.ICE, "2001:db8:1:1::1", "2001:db8:1:2::1", false},
		{cred.ICE, "2001:db8:1:1::1", "2001:db8:1:ff01::1", false},
		{cred.ICE, "2001:db8:1::1", "2001:db8:2::1", true},
		{cred.ICE, "192.0.2.1", "192.0.2.1", false},
		{cred.ICE, "192.0.2.1", "192.0.2.2", true},
		{cred.ICE, "192.0.2.1", "2001:db8:1::1", true},
		{cred.Hub, "2001:db8:1::1", "2001:db8:1::1", false},
		{cred.Static, "2001:db8:1::1", "2001:db8:1::1", true},
	} {
		if got := at(c.class, c.a, "x").isOther(at(c.class, c.b, "y")); got != c.other {
			t.Errorf("%s and %s, class %v: %v, want %v", c.a, c.b, c.class, got, c.other)
		}
	}
}

// deafLink is a client whose socket takes nothing.
type deafLink struct{ wirelessLink }

func (*deafLink) run(wire.Run, uint16, netip.AddrPort, *socket.RunLimit) (p, b int, ok bool) {
	return p, b, ok
}

func (*deafLink) data([]byte, netip.AddrPort) bool { return false }

// What is refused, or found no room on its way out, was not relayed, and is nothing of the month's.
func TestAttackF10WhatWasNotSentDoesNotCount(t *testing.T) {
	t.Parallel()
	r := newRig(t, midMonth)
	l := &deafLink{wirelessLink{client: netip.MustParseAddrPort("127.0.0.1:9")}}
	in, buf := &inlet{link: l}, new(wire.Buffer)
	deaf := &client{t: t, user: "u", key: cred.LongTermKey("u", testRealm, "p"),
		nonce: r.s.gate.challenges.nonces.append(nil, l.client.Addr(), r.s.core.clock.wall())}
	feed := func(frame []byte) { r.s.front.receive(in, buf.Packet(copy(buf[wire.Headroom:], frame)), l.client) }
	for _, frame := range [][]byte{
		deaf.build(wire.MethodAllocate, withUDP), deaf.build(wire.MethodCreatePermission, withPeer("127.0.0.1:9")),
	} {
		feed(frame)
		r.inBooks(func() int { return 0 })
	}
	a := l.a.Load()
	friend := r.dial("udp", "v", "q")
	friend.allocate()
	friend.ok(wire.MethodCreatePermission, withPeer("127.0.0.1:9"))
	stranger := r.minted("udp", cred.ICE, "x", time.Hour) // reaches only its like
	stranger.allocate()
	stranger.ok(wire.MethodCreatePermission, withPeer(a.relayed.String()))

	feed(deaf.sendFrame(stranger.relayed.String(), "denied by the other"))
	feed(deaf.sendFrame(netip.AddrPortFrom(a.relayed.Addr(), 1).String(), "to nobody, but that is the network's"))
	now := r.s.core.clock.now()
	got := func(at string) []wire.Datagram { return from(buf.Packet(5), netip.MustParseAddrPort(at)) }
	a.toPeer(got("127.0.0.1:9"), netip.MustParseAddrPort("255.255.255.255:9"), grant{outside: true}, false, now)
	a.toPeer(got("127.0.0.1:9"), netip.MustParseAddrPort("127.0.0.1:1"), grant{inside: true}, false, now)
	a.fromPeer(got("127.0.0.1:9"), now)
	friend.write(friend.sendFrame(a.relayed.String(), "a client whose socket is full"))
	stranger.write(stranger.sendFrame(a.relayed.String(), "denied"))
	eventually(t, "all are dropped", func() bool {
		drops := r.s.Snapshot().Drops
		return drops["peer-denied"] == 3 && drops["write-failed"] == 1
	})
	friend.ok(wire.MethodRefresh) // what it has sent before has been seen
	const text = len("to nobody, but that is the network's")
	if got := r.s.Summary().Relayed; got != (Relayed{FromClientBytes: uint64(text), FromClientPackets: 1}) {
		t.Errorf("relayed: %+v", got)
	}
	if got := r.s.Transfer().Bytes; got != int64(text+ipv4Header+udpHeader) {
		t.Errorf("%d bytes this month", got)
	}
	if a.inUse() || a.heard.Load() {
		t.Error("a client has heard what it was not sent")
	}
}
