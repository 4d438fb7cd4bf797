package turnsvc

import (
	"net/netip"
	"testing"
	"time"

	"signalbox/turnsvc/internal/wire"
)

// answerLink is the link of a client over UDP, or over what transport says, that counts answers.
type answerLink struct {
	discardLink
	over string
	n    *int
}

func (l answerLink) transport() string             { return l.over }
func (l answerLink) answer([]byte, netip.AddrPort) { *l.n++ }

// asker counts how many of its Binding requests a server answers.
type asker struct {
	s   *Server
	now time.Time // stands
}

func newAsker(t *testing.T) *asker {
	a := &asker{s: newServer(t), now: time.Unix(1_800_000_000, 0)}
	a.s.core.clock.read = func() time.Time { return a.now }
	return a
}

func (a *asker) ask(from string, times int, frame []byte, over string) (answers int) {
	in := &inlet{link: answerLink{over: over, n: &answers}}
	buf := new(wire.Buffer)
	for range times {
		a.s.front.receive(in, buf.Packet(copy(buf[wire.Headroom:], frame)), netip.MustParseAddrPort(from))
	}
	return answers
}

// Binding requests are limited by source, and a flood of one, or in its name, takes nothing from
// others, nor from others behind the same address.
func TestIssue16BindingsAreLimitedBySource(t *testing.T) {
	t.Parallel()
	const flood = 10 * bindingsPerSource
	for what, frame := range map[string][]byte{"Binding": bindingRequest(), "classic": classicRequest()} {
		a := newAsker(t)
		if n := a.ask("192.0.2.1:1", flood, frame, "udp"); n < bindingsPerSource || n > bindingsPerSource+1 {
			t.Errorf("%s: %d answers to a flood, want %d", what, n, bindingsPerSource)
		}
		for _, other := range []string{"192.0.2.1:2", "192.0.2.2:1", "[2001:db8::1]:1"} {
			if n := a.ask(other, 1, frame, "udp"); n != 1 {
				t.Errorf("%s: %s gets no answer beside the flood", what, other)
			}
		}
		if n := a.ask("192.0.2.1:1", flood, frame, "tcp"); n != flood {
			t.Errorf("%s: %d answers over a stream, want %d", what, n, flood)
		}
		if n := a.s.Snapshot().Drops["binding-rate"]; n < flood-bindingsPerSource-1 || n >= flood {
			t.Errorf("%s: %d are counted", what, n)
		}
		a.now = a.now.Add(2 * time.Second)
		if n := a.ask("192.0.2.1:1", 3, frame, "udp"); n != 3 {
			t.Errorf("%s: %d of 3 answers later", what, n)
		}
	}
}

// In the name of one address, with any number of ports, no more is reflected than a bound; and one
// line of IPv6 has not the limit of a source for each of its networks.
func TestIssue16BindingsOfManyPortsAreBounded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		from  func(i int) netip.Addr
		block int // index of the widest that all are in; see source.Blocks
	}{
		"an address": {func(int) netip.Addr { return netip.MustParseAddr("192.0.2.1") }, 0},
		"a /64": {func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(i >> 8), 15: byte(i)})
		}, 0},
		"a /48": {func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 6: byte(i >> 8), 7: byte(i)})
		}, 2},
	} {
		a := newAsker(t)
		most := bindingsPerSource * (1 + spareBindings) << tc.block
		answers := 0
		for i := range 2 * most {
			answers += a.ask(netip.AddrPortFrom(tc.from(i), uint16(1+i)).String(), 1, bindingRequest(), "udp")
		}
		if answers > most || answers < most/2 {
			t.Errorf("%s: %d answers, want %d at most", name, answers, most)
		}
	}
}
