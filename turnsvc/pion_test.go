package turnsvc

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/turnsvc/internal/wire"
)

// Each test here is named after a fact of pion/turn v4.1.4 or pion/stun that would let a stranger
// crash, hang or abuse a server that uses them plainly, and shows that this one does not let them
// near.

// CVE-2026-54909: a Send indication with an empty XOR-PEER-ADDRESS panicked the process (stun
// before v3.1.5).
func TestPionFactCrashFrame(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.allocate()
		for size := range 32 {
			for _, method := range []uint16{wire.MethodSend | wire.ClassIndication, wire.MethodCreatePermission,
				wire.MethodChannelBind,
				wire.MethodBinding} {
				b := wire.Begin(nil, method&0xF, method&0x110, make([]byte, 12))
				b.Attr(wire.AttrXORPeerAddress, make([]byte, size))
				b.Attr(wire.AttrData, []byte("x"))
				c.write(b.End(false))
			}
		}
		c.ok(wire.MethodRefresh) // it lives
	})
}

// A ChannelData length of 0xFFFC or more, or a STUN length of 0xFFEC or more, made pion's STUNConn
// return (0, nil) for ever, before authentication and also after the peer had gone: a core burnt
// for each connection.
func TestPionFactSpinFrame(t *testing.T) {
	for _, frame := range [][]byte{
		{0x40, 0x00, 0xFF, 0xFC, 1, 2, 3, 4, 5}, {0x40, 0x00, 0xFF, 0xFF, 1, 2, 3, 4, 5},
		append([]byte{0x00, 0x01, 0xFF, 0xEC, 0x21, 0x12, 0xA4, 0x42}, make([]byte, 12)...),
		append([]byte{0x00, 0x01, 0xFF, 0xFF, 0x21, 0x12, 0xA4, 0x42}, make([]byte, 12)...),
		[]byte("GET / HTTP/1.1\r\n\r\n"), {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC},
	} {
		r := newRig(t, nil)
		c := r.dial("tcp", "u", "p")
		c.write(frame)
		if frame[2] != 0xFF || frame[0] == 0x40 || frame[3] == 0xFF {
			// What can't be TURN at this point closes the connection at once.
			if _, err := c.conn.Read(make([]byte, 1)); err == nil {
				t.Errorf("% x got an answer", frame[:4])
			}
		}
		c.conn.Close()
		eventually(t, "the connection is over", func() bool {
			r.s.streams.mu.Lock()
			defer r.s.streams.mu.Unlock()
			return len(r.s.streams.all) == 0
		})
	}
	// With an allocation the longest ChannelData is just a long frame, and the stream goes on
	// behind it.
	r := newRig(t, nil)
	c := r.dial("tcp", "u", "p")
	c.allocate()
	c.write(append([]byte{0x40, 0x00, 0xFF, 0xFD}, make([]byte, 0x10000)...))
	c.ok(wire.MethodRefresh)
}

// pion answers 400 to a wrong password, without a nonce; and lets loopback peers through.
func TestPionFactWrongPasswordIs401(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		r.dial(transport, "u", "wrong").refused(401, wire.MethodAllocate, withUDP)
	})
}

func TestPionFactLoopbackPeerIsRefused(t *testing.T) {
	each(t, func(o *Options) { o.AllowLoopback = false },
		func(t *testing.T, r *rig, transport string) {
			c := r.dial(transport, "u", "p")
			c.allocate()
			c.refused(403, wire.MethodCreatePermission, withPeer("127.0.0.2:9"))
		})
}

// Closing a relay socket while that client's CreatePermissions were in flight killed the process: a
// nil dereference in pion's own goroutine. Here allocations end in every way while requests pour
// in, and every 5-tuple can allocate again.
func TestPionFactRelaySocketClosedWhileCreatePermissionsInFlight(t *testing.T) {
	r := newRig(t, nil)
	const clients, rounds = 8, 40
	var wg sync.WaitGroup
	for i := range clients {
		c := r.dial(transports[i%2], "u", "p")
		c.refused(400, wire.MethodAllocate) // learns a nonce
		wg.Go(func() {
			for round := range rounds {
				c.allocateAgain()
				for range 20 {
					c.write(c.build(wire.MethodCreatePermission, withPeer("127.0.0.1:9"), withPeer("127.0.0.2:9")))
				}
				switch round % 3 {
				case 0: // a kick, from outside
					for _, a := range r.s.books.list() {
						if a.client == wire.AddrPort(c.conn.LocalAddr()) {
							r.s.books.end(a, endKicked)
						}
					}
				case 1: // its relay socket fails
					for _, a := range r.s.books.list() {
						if a.client == wire.AddrPort(c.conn.LocalAddr()) {
							a.relay.Close()
						}
					}
					c.write(c.build(wire.MethodRefresh, withLifetime(0)))
				case 2:
					c.write(c.build(wire.MethodRefresh, withLifetime(0)))
				}
			}
		})
	}
	wg.Wait()
	r.dial("udp", "v", "q").allocate()
}

// allocateAgain allocates, however long answers to earlier requests still come.
func (c *client) allocateAgain() {
	c.t.Helper()
	for range 200 {
		c.write(c.build(wire.MethodAllocate, withUDP))
		if m := c.answerOrNil(2 * time.Second); m != nil && m.Class == wire.ClassSuccess {
			c.unhandled = nil
			return
		}
		c.write(c.build(wire.MethodRefresh, withLifetime(0)))
		c.answerOrNil(2 * time.Second)
	}
	c.t.Error("the 5-tuple is lost")
}

// An idle allocation costs no goroutine of pion's.
func TestPionFactNoGoroutineForAnAllocation(t *testing.T) {
	r := newRig(t, nil)
	for range 10 {
		r.dial("udp", "u", "p").allocate()
	}
	eventually(t, "pion's relay goroutines end", func() bool {
		buf := make([]byte, 1<<20)
		return !strings.Contains(string(buf[:runtime.Stack(buf, true)]), "packetHandler")
	})
}
