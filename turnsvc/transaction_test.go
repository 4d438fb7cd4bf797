package turnsvc

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

func TestRetransmittedRequestsGetTheSameAnswer(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.refused(400, wire.MethodAllocate) // learns a nonce
		frames := [][]byte{
			c.build(wire.MethodAllocate, withUDP, attr(wire.AttrEvenPort, 0x80)),
			c.build(wire.MethodRefresh, withLifetime(700)),
			c.build(wire.MethodCreatePermission, withPeer("127.0.0.1:9")),
			c.build(wire.MethodChannelBind, withChannel(0x4000), withPeer("127.0.0.1:9")),
			c.build(wire.MethodChannelBind, withChannel(0x4000), withPeer("127.0.0.1:10")), // which is refused
			c.build(wire.MethodRefresh, withLifetime(0)),
		}
		var answers [][]byte
		for _, frame := range frames {
			c.tid = [12]byte(frame[8:wire.HeaderSize])
			first := c.answerTo(frame).Raw
			second := c.answerTo(frame).Raw
			if !bytes.Equal(first, second) {
				t.Errorf("method %#x: answers differ:\n% x\n% x", frame[1], first, second)
			}
			answers = append(answers, first)
		}
		if n := r.s.Allocations(); n != 0 {
			t.Errorf("%d allocations", n)
		}
		// Late ones: the Allocate makes no second allocation, nor does the Refresh 0 get another
		// answer.
		for i, frame := range frames {
			c.tid = [12]byte(frame[8:wire.HeaderSize])
			if again := c.answerTo(frame).Raw; !bytes.Equal(again, answers[i]) {
				t.Errorf("method %#x: a late answer differs:\n% x\n% x", frame[1], answers[i], again)
			}
		}
		if n := r.s.Allocations(); n != 0 {
			t.Errorf("a late retransmission made %d allocations", n)
		}

		// Nobody else gets them, and they are not kept for ever.
		thief := frames[0]
		c.user, c.key = "v", cred.LongTermKey("v", testRealm, "q")
		copy(c.tid[:], thief[8:wire.HeaderSize])
		if m := c.answerTo(c.buildSigned(wire.MethodRefresh, nil, 0)); m.code() != 437 {
			t.Errorf("another user's request with that transaction: code %d", m.code())
		}
		r.advance(replyLifetime)
		eventually(t, "a generation is over", func() bool { return r.repliesOn(transport, true) == 0 })
		r.advance(replyLifetime)
		eventually(t, "the answers are forgotten",
			func() bool { return r.repliesOn(transport, true)+r.repliesOn(transport, false) == 0 })
	})
}

// repliesOn counts the answers that are kept for a transport, which leaves out the tests' own
// probes.
func (r *rig) repliesOn(transport string, young bool) int {
	return r.inBooks(func() (n int) {
		kept := r.s.books.replies.old
		if young {
			kept = r.s.books.replies.young
		}
		for key := range kept {
			if key.transport == transport {
				n++
			}
		}
		return n
	})
}

func TestKeptRepliesAreBounded(t *testing.T) {
	var p replies
	r := &request{link: probeLink{func() {}}, key: []byte("key"), raw: make([]byte, wire.HeaderSize)}
	r.msg.Raw = r.raw
	for i := range 3 * maxReplies {
		copy(r.raw[8:], fmt.Sprintf("%012d", i))
		p.keep(r, r.raw, int64(i))
		p.keep(r, r.raw, int64(i)) // again, as if handled twice
		if len(p.young)+len(p.old) > maxReplies {
			t.Fatalf("%d answers are kept", len(p.young)+len(p.old))
		}
	}
	if p.find(r) == nil {
		t.Error("the newest answer is not found")
	}
	p.turned = 0
	p.forget(int64(replyLifetime) - 1)
	p.forget(int64(replyLifetime))
	if p.find(r) == nil {
		t.Error("an answer is not found within its lifetime")
	}
	if p.forget(2 * int64(replyLifetime)); p.find(r) != nil || p.young != nil || len(p.old) != 0 {
		t.Error("an old answer is found")
	}
}

// However much the others ask for, an Allocate whose answer was lost gets it when it is repeated.
func TestAllocateIsAnsweredAgainUnderANeighboursLoad(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.refused(400, wire.MethodAllocate) // learns a nonce
		frame := c.build(wire.MethodAllocate, withUDP, attr(wire.AttrEvenPort, 0x80))
		first := c.answerTo(frame).Raw
		left := r.inBooks(func() int {
			b := r.s.books
			for i := range maxReplies { // as the answers to so many Refreshes
				probe := &request{link: probeLink{}, raw: fmt.Appendf(nil, "12345678%012d", i),
					msg: wire.Message{Method: wire.MethodRefresh}}
				probe.msg.Raw = probe.raw
				b.replies.keep(probe, probe.raw, b.clock.now())
			}
			n := 0
			for _, generation := range []map[replyKey]keptReply{b.replies.young, b.replies.old} {
				for key := range generation {
					if key.transport == transport {
						n++
					}
				}
			}
			return n
		})
		if left != 0 {
			t.Fatalf("%d of the answers to the client are left", left)
		}
		if again := c.answerTo(frame).Raw; !bytes.Equal(again, first) {
			t.Errorf("the answers differ:\n% x\n% x", first, again)
		}
		c.refused(437, wire.MethodAllocate, withUDP)
		r.advance(replyLifetime)
		c.tid = [12]byte(frame[8:wire.HeaderSize])
		if m := c.answerTo(frame); m.code() != 437 {
			t.Errorf("long after: code %d", m.code())
		}
	})
}

func TestDontFragment(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		if !socket.CanKeepWhole {
			m := c.refused(420, wire.MethodAllocate, withUDP, attr(wire.AttrDontFragment))
			if list, _ := m.Get(wire.AttrUnknownAttributes); !bytes.Equal(list, []byte{0, wire.AttrDontFragment}) {
				t.Errorf("UNKNOWN-ATTRIBUTES % x", list)
			}
			return
		}
		families := []byte{wire.FamilyIPv4}
		if haveIPv6() {
			families = append(families, wire.FamilyIPv6)
		}
		for _, family := range families {
			c := r.dial(transport, "u", "p")
			c.allocate(withFamily(family), attr(wire.AttrDontFragment))
			peer := r.peerAt(map[byte]string{wire.FamilyIPv4: "127.0.0.1", wire.FamilyIPv6: "::1"}[family])
			at := peer.LocalAddr().String()
			c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(at))
			send := func(whole bool) []byte {
				b := wire.Begin(nil, wire.MethodSend, wire.ClassIndication, make([]byte, 12))
				withPeer(at)(&b)
				if whole {
					b.Attr(wire.AttrDontFragment, nil)
				}
				b.Attr(wire.AttrData, []byte("x"))
				return b.End(false)
			}
			a := r.s.books.list()[0]
			for i, step := range []struct {
				frame []byte
				whole bool
			}{{send(false), false}, {send(true), true}, {send(true), true}, {c.channelFrame(0x4000, "x"), false},
				{send(true), true}, {send(false), false}} {
				c.write(step.frame)
				readPeer(t, peer)
				if got := keepsWhole(t, a.relay); got != step.whole {
					t.Errorf("family %d, step %d: DF is %v, want %v", family, i, got, step.whole)
				}
			}
			c.ok(wire.MethodRefresh, withLifetime(0), attr(wire.AttrDontFragment)) // where it means nothing
		}
	})
}

// The statistics of TestAbuse12, on the clock.
func TestLongAbuse12TimingTellsNoUser(t *testing.T) {
	testkit.Long(t)
	r := newRig(t, nil)
	in := &inlet{link: discardLink{probeLink{func() {}}}}
	here := wire.AddrPort(r.dial("udp", "u", "p").conn.LocalAddr())
	frame := func(user string) []byte {
		c := &client{user: user, key: make([]byte, 16), nonce: r.s.gate.challenges.nonces.append(nil, here.Addr(),
			r.s.core.clock.wall())}
		return c.build(wire.MethodAllocate, withUDP)
	}
	known, unknown := frame("u"), frame("x")
	buf := new(wire.Buffer)
	cost := func(f []byte) time.Duration {
		began := time.Now()
		for range 50 {
			r.s.front.receive(in, buf.Packet(copy(buf[wire.Headroom:], f)), here)
		}
		return time.Since(began)
	}
	var k, u []time.Duration
	for range 2000 { // by turns, so that what disturbs one disturbs the other
		k, u = append(k, cost(known)), append(u, cost(unknown))
	}
	if a, b := median(k), median(u); a > b+b/10 || b > a+a/10 {
		t.Errorf("a known user's wrong password takes %v, an unknown user %v", a/50, b/50)
	} else {
		t.Logf("a known user's wrong password takes %v, an unknown user %v", a/50, b/50)
	}
}
