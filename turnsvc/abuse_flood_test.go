package turnsvc

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// discardLink takes answers to strangers.
type discardLink struct{ probeLink }

// memory is the live heap and the number of goroutines.
func memory() (heap uint64, goroutines int) {
	runtime.GC()
	runtime.GC() // pools are emptied in the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}

// First packets of strangers leave nothing behind. The whole process is measured in scripts/lab.
func TestAbuse23FirstPacketsCostNoMemory(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.UnauthorizedPerSource = 10 })
	in := &inlet{link: answerLink{discardLink{probeLink{func() {}}}, "udp", new(int)}}
	buf := new(wire.Buffer)
	frames := [][]byte{
		(&client{}).build(wire.MethodBinding), (&client{}).build(wire.MethodAllocate, withUDP),
		{0x40, 0, 0, 4, 1, 2, 3, 4},
		make([]byte, 100),
		(&client{user: "u", nonce: make([]byte, nonceSize)}).build(wire.MethodAllocate, withUDP),
	}
	before, goroutines := memory()
	for i := range 100_000 {
		ip := [4]byte{198}
		binary.BigEndian.PutUint16(ip[2:], uint16(i))
		ip[1] = byte(i >> 16)
		for _, f := range frames[:2+i%4/3*3] {
			r.s.front.receive(in, buf.Packet(copy(buf[wire.Headroom:], f)),
				netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(i)))
		}
	}
	after, left := memory()
	if after > before+1<<20 {
		t.Errorf("the heap grew by %d KiB", (after-before)>>10)
	}
	if left > goroutines+2 {
		t.Errorf("%d goroutines, before %d", left, goroutines)
	}
	if n := r.s.Snapshot().Bindings; n != 100_000 {
		t.Errorf("%d Binding requests answered", n)
	}
}

func TestAbuse24StrangersAreLimitedAndGetLittle(t *testing.T) {
	const limit = 10
	each(t, func(o *Options) { o.Limits.UnauthorizedPerSource = limit }, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		began := time.Now()
		for range 20 * limit {
			c.write(c.unsigned(wire.MethodAllocate, withUDP))
		}
		eventually(t, "all are handled", func() bool {
			snap := r.s.Snapshot()
			return snap.Refusals[401]+snap.Drops["rate-limited"] == 20*limit
		})
		if got, seconds := r.s.Snapshot().Refusals[401], uint64(time.Since(began)/time.Second)+2; got > limit*seconds {
			t.Errorf("%d answers to one source in %d seconds", got, seconds)
		}
	})
	// A realm of 20 characters, and the smallest request: no FINGERPRINT.
	each(t, func(o *Options) { o.Realm = "twenty.characters.ab" }, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		rand12(&c.tid)
		b := wire.Begin(nil, wire.MethodAllocate, wire.ClassRequest, c.tid[:])
		withUDP(&b)
		request := b.End(false)
		for name, frame := range map[string][]byte{
			"first packet":            request,
			"signature out of shape":  appended(request, attr(wire.AttrMessageIntegrity)),
			"nothing but a signature": appended(request, attr(wire.AttrMessageIntegrity, make([]byte, 20)...)),
		} {
			if m := c.answerTo(frame); len(m.Raw) > 3*len(frame) {
				t.Errorf("%s: %d bytes are answered with %d", name, len(frame), len(m.Raw))
			} else if reason, _ := m.Get(wire.AttrErrorCode); len(reason) != 4 {
				t.Errorf("%s: with the words %q", name, reason[4:])
			}
		}
		if transport != "udp" {
			return
		}
		empty := func(method, class uint16) []byte {
			b := wire.Begin(nil, method, class, c.tid[:])
			return b.End(false)
		}
		for name, frame := range map[string][]byte{
			"nothing": {}, "one byte": {0}, "half a header": request[:10],
			"a wrong length":    append(request[:len(request):len(request)], 0, 0, 0, 0),
			"an unknown method": empty(0x0FF, wire.ClassRequest),
			"a success answer":  empty(wire.MethodAllocate, wire.ClassSuccess),
			"an error answer":   empty(wire.MethodBinding, wire.ClassError),
			"Data":              empty(wire.MethodData, wire.ClassIndication),
			"Send":              c.sendFrame("127.0.0.1:9", "x"), "ChannelData": c.channelFrame(0x4000, "x"),
			"RTP": append([]byte{0x80, 0x60}, make([]byte, 40)...),
			"DNS": append([]byte{0xAB, 0xCD, 1, 0, 0, 1}, make([]byte, 20)...),
		} {
			c.write(frame)
			if m := c.readConn(20 * time.Millisecond); m != nil {
				t.Errorf("%s is answered with % x", name, m)
			}
		}
	})
}

// appended adds an attribute to a finished message.
func appended(frame []byte, a setter) []byte {
	b := wire.Builder{Buf: append([]byte(nil), frame...)}
	a(&b)
	return b.End(false)
}

func TestAbuse25QuotasComeBackOnEveryWayOut(t *testing.T) {
	one := func(r *rig, transport string) *client {
		c := r.dial(transport, "u", "p")
		c.allocate()
		return c
	}
	for _, way := range []struct {
		name string
		end  func(r *rig, a, b *client)
	}{
		{"refresh 0", func(_ *rig, a, b *client) {
			a.ok(wire.MethodRefresh, withLifetime(0))
			b.ok(wire.MethodRefresh,
				withLifetime(0))
		}},
		{"expiry", func(r *rig, _, _ *client) { r.advance(601 * time.Second) }},
		{"kick", func(r *rig, _, _ *client) {
			for _, a := range r.s.books.list() {
				r.s.books.end(a, endKicked)
			}
		}},
		{"close", func(r *rig, a, b *client) {
			a.conn.Close()
			b.conn.Close()
			if !a.stream {
				r.advance(601 * time.Second) // nobody hears that
			}
		}},
		{"broken relay sockets", func(r *rig, a, b *client) {
			for _, a := range r.s.books.list() {
				a.relay.Close()
			}
			a.ok(wire.MethodRefresh, withLifetime(0))
			b.ok(wire.MethodRefresh, withLifetime(0))
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			for name, limit := range map[string]Limits{"user": {PerUser: 2}, "source": {PerSource: 2},
				"all": {Allocations: 2}} {
				code := map[string]int{"user": 486, "source": 486, "all": 508}[name]
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					each(t, func(o *Options) { o.Limits = limit }, func(t *testing.T, r *rig, transport string) {
						a := one(r, transport)
						// it takes two
						r.dial(transport, "u", "p").refused(code, wire.MethodAllocate, withUDP,
							attr(wire.AttrEvenPort, 0x80))
						b := one(r, transport)
						r.dial(transport, "u", "p").refused(code, wire.MethodAllocate, withUDP)
						way.end(r, a, b)
						eventually(t, "nothing is held", func() bool { return r.held() == 0 })

						// A reserved port counts until it is used or forgotten.
						m := r.dial(transport, "u", "p").ok(wire.MethodAllocate, withUDP, attr(wire.AttrEvenPort, 0x80))
						token, _ := m.Get(wire.AttrReservationToken)
						r.dial(transport, "u", "p").refused(code, wire.MethodAllocate, withUDP)
						r.dial(transport, "u", "p").allocate(attr(wire.AttrReservationToken, token...))
						r.dial(transport, "u", "p").refused(code, wire.MethodAllocate, withUDP)
						r.advance(601 * time.Second)
						eventually(t, "nothing is held", func() bool { return r.held() == 0 })
					})
				})
			}
		})
	}
}

// held counts what the books hold.
func (r *rig) held() int {
	return r.inBooks(func() int {
		b := r.s.books
		return len(b.quotas.perUser) + len(b.quotas.perSource) + len(b.all) + len(b.reservations)
	})
}

func TestAbuse26ManyChannelsSlowNobody(t *testing.T) {
	r := newRig(t, nil)
	peer := r.peer()
	at := wire.AddrPort(peer.LocalAddr())
	heavy, light := r.dial("udp", "u", "p"), r.dial("udp", "v", "q")
	const channels = 4096
	for _, c := range []*client{heavy, light} {
		c.allocate()
		c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(at.String()))
	}
	for i := 1; i < channels; i++ {
		heavy.ok(wire.MethodChannelBind, withChannel(0x4000+uint16(i)),
			withPeer(fmt.Sprintf("127.0.%d.%d:9", 1+i/200, 1+i%200)))
	}
	if n := r.s.Snapshot().Allocations; n[0].Channels+n[1].Channels != channels+1 {
		t.Fatalf("%d channels", n[0].Channels+n[1].Channels)
	}
	now := r.s.core.clock.now()
	cost := func(c *client) time.Duration {
		var a *allocation
		for _, a = range r.s.books.list() {
			if a.client == wire.AddrPort(c.conn.LocalAddr()) {
				break
			}
		}
		best := time.Hour
		for range 20 {
			began := time.Now()
			for range 2000 {
				a.channelByNumber(0x4000, now)
				a.admits(at, now)
			}
			best = min(best, time.Since(began))
		}
		return best
	}
	if h, l := cost(heavy), cost(light); h > 4*l {
		t.Errorf("a packet of %d channels takes %v, of one %v", channels, h/2000, l/2000)
	}
}

func TestAbuse27EvenPortFlood(t *testing.T) {
	each(t, func(o *Options) { o.Limits.PerUser = 16; o.MinPort, o.MaxPort = 32200, 32299 },
		func(t *testing.T, r *rig, transport string) {
			opened := 0
			r.inBooks(func() int {
				b := r.s.books
				low := b.minPort
				if transport == "tcp" {
					low += 100 // each its own: a port that the other holds is opened in vain
				}
				b.pools[0] = socket.NewPool[allocation](low, low+99)
				open := b.pools[0].OpenPort
				b.pools[0].OpenPort = func(at netip.AddrPort) (*socket.Relay, error) { opened++; return open(at) }
				return 0
			})
			free := func() int {
				return r.inBooks(func() int { return 100 - r.s.books.pools[0].Taken() })
			}
			for range 50 { // allocate a pair and leave the second behind
				c := r.dial(transport, "u", "p")
				if c.request(wire.MethodAllocate, withUDP, attr(wire.AttrEvenPort, 0x80)).Class == wire.ClassSuccess {
					c.ok(wire.MethodRefresh, withLifetime(0))
				}
			}
			if n := free(); n < 100-16 {
				t.Errorf("one user holds %d of 100 ports", 100-n)
			}
			if n := r.inBooks(func() int { return opened }); n > 3*16 {
				t.Errorf("%d sockets were opened for a quota of 16", n)
			}
			r.dial(transport, "v", "q").allocate(attr(wire.AttrEvenPort, 0x80)) // others are served
			r.advance(601 * time.Second)
			eventually(t, "all ports are back", func() bool { return free() == 100 })
			for i := range 200 {
				c := r.dial(transport, "u", "p")
				c.allocate([]setter{attr(wire.AttrEvenPort, 0), withLifetime(600)}[i%2])
				c.ok(wire.MethodRefresh, withLifetime(0))
				c.conn.Close()
			}
			if n := free(); n != 100 {
				t.Errorf("%d ports are free, want 100", n)
			}
		})
}

func TestAbuse28LifetimeIsClamped(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		for asked, want := range map[uint32]time.Duration{
			0: defaultLifetime, 1: defaultLifetime, 599: defaultLifetime, 601: 601 * time.Second,
			3600: maxLifetime, 0x7FFFFFFF: maxLifetime, 0xFFFFFFFF: maxLifetime,
		} {
			c := r.dial(transport, "u", "p")
			if got := c.ok(wire.MethodAllocate, withUDP, withLifetime(asked)).lifetime(); got != want {
				t.Errorf("LIFETIME %d: granted %v, want %v", asked, got, want)
			}
			if got := c.ok(wire.MethodRefresh, withLifetime(max(asked, 1))).lifetime(); got != want {
				t.Errorf("refresh with %d: granted %v, want %v", asked, got, want)
			}
			if got := c.ok(wire.MethodRefresh, withLifetime(0)).lifetime(); got != 0 {
				t.Errorf("refresh with 0: granted %v", got)
			}
			c.refused(437, wire.MethodRefresh)
		}
	})
}

func TestAbuse30SilentConnectionsAreReaped(t *testing.T) {
	const conns = 1000
	r := newRigWith(t, nil, func(s *Server) { s.streams.timeouts = quick })
	_, before := memory()
	var silent []net.Conn
	for range conns {
		c := r.dial("tcp", "u", "p")
		silent = append(silent, c.conn)
	}
	talker := r.dial("tcp", "u", "p")
	talker.allocate()
	eventually(t, "the silent ones are closed", func() bool { return r.s.streams.count() == 1 })
	for _, c := range silent {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Fatal("a silent connection got an answer")
		} else if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Fatal("a silent connection is open")
		}
		c.Close()
	}
	eventually(t, "their goroutines end", func() bool { _, after := memory(); return after <= before+20 })
	// A client with an allocation may be silent for as long as that lasts.
	began := time.Now()
	eventually(t, "the idle time is over", func() bool { return time.Since(began) > quick.idle+quick.firstFrame })
	talker.ok(wire.MethodRefresh)

	// Caps hold per source and in all, and are given back.
	for _, limits := range []Limits{{Connections: 3}, {ConnectionsPerSource: 3}} {
		r := newRig(t, func(o *Options) { o.Limits = limits })
		var in []*client
		for range 3 {
			c := r.dial("tcp", "u", "p")
			c.allocate()
			in = append(in, c)
		}
		extra := r.dial("tcp", "u", "p")
		if n, _ := extra.conn.Read(make([]byte, 1)); n != 0 {
			t.Error("one too many was served")
		}
		in[0].conn.Close()
		eventually(t, "its place is free", func() bool { return r.s.streams.count() == 2 })
		r.dial("tcp", "u", "p").allocate()
	}
}

func TestAbuse32SlowStreamLosesItsOwnPacketsOnly(t *testing.T) {
	r := newRig(t, nil)
	slow, quick := r.dial("tcp", "u", "p"), r.dial("tcp", "v", "q")
	peer := r.peer()
	slow.allocate()
	quick.allocate()
	for _, c := range []*client{slow, quick} {
		c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(peer.LocalAddr().String()))
	}
	payload := make([]byte, 8000)
	flood := func() {
		if _, err := peer.WriteToUDPAddrPort(payload, slow.relayed); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < 20000 && r.s.Snapshot().Drops["slow-client"] == 0; i++ {
		flood()
	}
	if r.s.Snapshot().Drops["slow-client"] == 0 {
		t.Fatal("a client that does not read lost nothing")
	}
	before, _ := memory()
	for range 5000 { // 40 MB
		flood()
	}
	if after, _ := memory(); after > before+4<<20 {
		t.Errorf("the heap grew by %d KiB for a client that does not read", (after-before)>>10)
	}
	if _, err := peer.WriteToUDPAddrPort([]byte("prompt"), quick.relayed); err != nil {
		t.Fatal(err)
	}
	if _, _, data := quick.received(); data != "prompt" {
		t.Errorf("got %q", data)
	}
	quick.ok(wire.MethodRefresh) // nor do the books wait

	// What does get through, of what the kernel has for it, is whole frames.
	for range 5 {
		if _, n, data := slow.received(); n != 0x4000 || len(data) != len(payload) {
			t.Fatalf("%d bytes on channel %#x", len(data), n)
		}
	}
}

// Requests that are authentic, and too many.
func TestOneSourceDoesNotFillTheQueue(t *testing.T) {
	r := newRig(t, nil)
	release := r.hold()
	accepted := func(ip string) (n int) {
		for range grantQueue {
			raw := make([]byte, wire.HeaderSize)
			q := &request{link: probeLink{func() {}}, client: netip.AddrPortFrom(netip.MustParseAddr(ip), 9), raw: raw,
				msg: wire.Message{Method: wire.MethodRefresh, Raw: raw}}
			if r.s.books.submit(q) {
				n++
			}
		}
		return n
	}
	for _, ip := range []string{"192.0.2.1", "2001:db8::1"} {
		if n := accepted(ip); n != sourceQueue {
			t.Errorf("%d requests of one source wait, want %d", n, sourceQueue)
		}
	}
	if n := accepted("2001:db8::2"); n != 0 { // the same /64
		t.Errorf("its neighbor has %d more", n)
	}
	release()
	eventually(t, "they are handled", func() bool { return accepted("192.0.2.1") > 0 })
}
