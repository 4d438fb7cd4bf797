package turnsvc

import (
	"net/netip"
	"testing"
	"time"

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
		if !w.allow(at(port), now) || !w.mayGuess(at(port), "u", now) {
			t.Fatal("without a limit one is refused")
		}
	}
}
