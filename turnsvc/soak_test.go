package turnsvc

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/turnsvc/internal/wire"
)

// Clients that create, relay and die in every way: when they have gone, ports, goroutines and
// memory are where they were.
func TestSoak(t *testing.T) { soak(t, 20, 3*time.Second) }

func TestLongSoak(t *testing.T) {
	testkit.Long(t)
	soak(t, 200, 5*time.Minute)
}

func soak(t *testing.T, clients int, length time.Duration) {
	r := newRig(t, func(o *Options) { o.MinPort, o.MaxPort = 34000, 36999 })
	peer := r.peer()
	var echoes sync.WaitGroup
	echoes.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := peer.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			peer.WriteToUDPAddrPort(buf[:n], from) //nolint:errcheck // its relay may be gone
		}
	})
	defer echoes.Wait()
	defer peer.Close()

	var lives, echoed atomic.Int64
	run := func(clients int, length time.Duration) {
		until := time.Now().Add(length)
		var wg sync.WaitGroup
		wg.Go(func() {
			for time.Now().Before(until) {
				time.Sleep(100 * time.Millisecond)
				r.advance(5 * time.Second) // whoever died without a word expires meanwhile
			}
		})
		for i := range clients {
			wg.Go(func() {
				for time.Now().Before(until) && !t.Failed() {
					r.live(transports[i%2], peer, &echoed)
					lives.Add(1)
				}
			})
		}
		wg.Wait()
	}
	settled := func() {
		t.Helper()
		eventually(t, "nothing is held", func() bool {
			r.advance(maxLifetime)
			return r.held() == 0 && r.s.streams.count() == 0
		})
	}
	run(clients, min(length/5, 10*time.Second)) // everything has been used once
	settled()
	heap, goroutines := memory()
	run(clients, length)
	settled()
	eventually(t, "goroutines end", func() bool { _, n := memory(); return n <= goroutines+2 })
	after, _ := memory()
	if after > heap+4<<20 {
		t.Errorf("the heap grew from %d to %d KiB", heap>>10, after>>10)
	}
	for i, pool := range r.s.books.pools {
		if pool == nil {
			continue
		}
		eventually(t, fmt.Sprintf("all ports of pool %d are free", i), func() bool {
			return r.inBooks(pool.Taken) == 0 // whoever read a socket that was closed keeps its port for a moment
		})
	}
	drops := r.s.Snapshot().Drops
	t.Logf("%d lives, %d packets echoed; heap %d KiB, then %d; drops %v", lives.Load(), echoed.Load(), heap>>10,
		after>>10, drops)
	if lives.Load() < int64(clients) || echoed.Load() < lives.Load() {
		t.Errorf("%d lives of %d clients, %d packets echoed: that was no soak", lives.Load(), clients, echoed.Load())
	}
}

// live is one client's life. It fails the test only for what the server does wrong.
func (r *rig) live(transport string, peer *net.UDPConn, echoed *atomic.Int64) {
	conn, err := net.Dial(transport, r.addr[transport])
	if err != nil {
		r.t.Errorf("dial: %v", err)
		return
	}
	defer conn.Close()
	c := r.clientOn(conn, transport)
	at := peer.LocalAddr().String()
	var attrs []setter
	switch rand.IntN(4) {
	case 0:
		attrs = append(attrs, attr(wire.AttrEvenPort, 0x80))
	case 1:
		attrs = append(attrs, withLifetime(60))
	}
	if m := c.try(wire.MethodAllocate, append(attrs, withUDP)...); m == nil || m.Class != wire.ClassSuccess {
		return // the server was busy, or out of ports
	}
	c.try(wire.MethodChannelBind, withChannel(0x4000), withPeer(at))
	for i := range rand.IntN(20) {
		data := fmt.Sprint("packet ", i)
		if i%2 == 0 {
			conn.Write(c.channelFrame(0x4000, data)) //nolint:errcheck // a dead client's packet
		} else {
			conn.Write(c.sendFrame(at, data)) //nolint:errcheck
		}
		if frame := c.read(300 * time.Millisecond); frame != nil {
			echoed.Add(1)
		}
	}
	switch rand.IntN(6) {
	case 0:
		c.try(wire.MethodRefresh, withLifetime(0))
	case 1: // without a word
	case 2: // and in the middle of a frame
		conn.Write(c.build(wire.MethodRefresh)[:30]) //nolint:errcheck
	case 3: // with a request on its way
		conn.Write(c.build(wire.MethodCreatePermission, withPeer(at))) //nolint:errcheck
	case 4:
		for _, a := range r.s.books.list() {
			if a.client == wire.AddrPort(conn.LocalAddr()) {
				r.s.books.end(a, endKicked)             // a kick
				conn.Write(c.build(wire.MethodRefresh)) //nolint:errcheck
			}
		}
	case 5: // with a reset
		if tcp, ok := conn.(*net.TCPConn); ok {
			tcp.SetLinger(0) //nolint:errcheck
		}
	}
}

// try is request for a client whose packets may be lost: it returns nil if there is no answer.
func (c *client) try(method uint16, attrs ...setter) *message {
	for range 4 {
		if _, err := c.conn.Write(c.build(method, attrs...)); err != nil {
			return nil
		}
		m := c.answerOrNil(2 * time.Second)
		if m == nil {
			continue
		}
		if nonce, ok := m.Get(wire.AttrNonce); ok {
			c.nonce = append([]byte(nil), nonce...)
			continue
		}
		return m
	}
	return nil
}

// Kill, refresh 0, expiry and stream close race with a thousand CreatePermissions a second.
func TestEndsRaceWithRequests(t *testing.T) { endsRace(t, 2*time.Second) }

func TestLongEndsRaceWithRequests(t *testing.T) {
	testkit.Long(t)
	endsRace(t, time.Minute)
}

// endSomehow ends a client's allocation in one of four ways.
func (r *rig) endSomehow(c *client, way int) {
	mine := func(do func(*allocation)) {
		for _, a := range r.s.books.list() {
			if a.client == wire.AddrPort(c.conn.LocalAddr()) {
				do(a)
			}
		}
	}
	switch way {
	case 0:
		mine(func(a *allocation) { r.s.books.end(a, endKicked) })
	case 1:
		mine(func(a *allocation) { a.expires.Store(1) }) // its time is over
	case 2:
		if c.stream {
			c.conn.Close()
		} else {
			mine(func(a *allocation) { a.relay.Close() })
		}
	case 3: // refresh 0, which the client sends
	}
}

func endsRace(t *testing.T, length time.Duration) {
	const clients = 8
	r := newRig(t, nil)
	until := time.Now().Add(length)
	var wg sync.WaitGroup
	var sent, ends atomic.Int64
	for i := range clients {
		wg.Go(func() {
			transport := transports[i%2]
			var c *client
			for round := 0; time.Now().Before(until) && !t.Failed(); round++ {
				if c == nil {
					c = r.dial(transport, "u", "p")
				}
				m := c.try(wire.MethodAllocate, withUDP)
				if m == nil || m.Class != wire.ClassSuccess && m.code() != 437 {
					t.Errorf("the 5-tuple is lost: %+v", m)
					return
				}
				c.unhandled = nil
				stop := make(chan struct{})
				var end sync.WaitGroup
				end.Go(func() {
					select {
					case <-time.After(time.Duration(rand.IntN(20)) * time.Millisecond):
					case <-stop:
					}
					r.endSomehow(c, round%4)
				})
				failed := false
				for j := range 25 {
					if _, err := c.conn.Write(c.build(wire.MethodCreatePermission,
						withPeer(fmt.Sprintf("127.0.0.%d:9", 1+j)))); err != nil {
						failed = true // closed, as it should be
						break
					}
					sent.Add(1)
					if round%4 == 3 && j == 12 {
						c.conn.Write(c.build(wire.MethodRefresh, withLifetime(0))) //nolint:errcheck // see above
					}
					time.Sleep(time.Second * clients / 1200) // 1,200 a second in all
				}
				close(stop)
				end.Wait()
				ends.Add(1)
				if failed || c.stream && round%4 == 2 {
					c.conn.Close()
					c = nil
					continue
				}
				if c.try(wire.MethodRefresh, withLifetime(0)) == nil {
					t.Error("the 5-tuple gets no answer")
					return
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d CreatePermissions, %d ends", sent.Load(), ends.Load())
	if rate := float64(sent.Load()) / length.Seconds(); rate < 500 {
		t.Logf("only %.0f requests a second: this machine is busy", rate)
	}
	r.dial("udp", "v", "q").allocate()
	eventually(t, "all but that are over", func() bool { return r.s.Allocations() == 1 })
}
