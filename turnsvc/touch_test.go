package turnsvc

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// stall is where a goroutine stands still until it is freed.
type stall struct{ reached, freed chan struct{} }

func newStall() *stall { return &stall{make(chan struct{}, 1), make(chan struct{})} }

func (s *stall) wait() {
	select {
	case s.reached <- struct{}{}:
	default:
	}
	<-s.freed
}

// Write is of a log.
func (s *stall) Write(b []byte) (int, error) {
	s.wait()
	return len(b), nil
}

// stalledLink stands still with the data for its client.
type stalledLink struct {
	wirelessLink
	stall *stall
}

func (l *stalledLink) data(frame []byte, to netip.AddrPort) bool {
	if frame[1] == wire.MethodData|wire.ClassIndication {
		l.stall.wait()
	}
	return l.wirelessLink.data(frame, to)
}

func (l *stalledLink) run(list wire.Run, _ uint16, _ netip.AddrPort, _ *socket.RunLimit) (p, b int, ok bool) {
	l.stall.wait()
	return len(list), 0, true
}

// Whoever feeds a watchdog hears if those stand still who serve everybody, and not of idle ones.
func TestTouchFindsWhoStandsStill(t *testing.T) {
	for who, stop := range map[string]func(r *rig, s *stall){
		"the reader of a socket": func(r *rig, _ *stall) {
			c := r.dial("udp", "u", "wrong")
			c.write(c.build(wire.MethodAllocate, withUDP))
			c.nonce, _ = c.answer().Get(wire.AttrNonce)
			c.write(c.build(wire.MethodAllocate, withUDP)) // its refusal has a line
		},
		"the books": func(r *rig, s *stall) {
			booked(r.t, r.s, func() int { s.wait(); return 0 })
		},
		"the reader of relays": func(r *rig, s *stall) {
			src := netip.MustParseAddrPort("127.0.0.1:9")
			l := &stalledLink{wirelessLink{client: src}, s}
			in, buf := &inlet{link: l}, new(wire.Buffer)
			c := &client{t: r.t, user: "u", key: cred.LongTermKey("u", testRealm, "p"),
				nonce: r.s.gate.challenges.nonces.append(nil, src.Addr(), r.s.core.clock.wall())}
			peer := r.peer()
			for _, frame := range [][]byte{c.build(wire.MethodAllocate, withUDP),
				c.build(wire.MethodCreatePermission, withPeer(peer.LocalAddr().String()))} {
				r.s.front.receive(in, buf.Packet(copy(buf[wire.Headroom:], frame)), src)
				r.inBooks(func() int { return 0 })
			}
			if _, err := peer.WriteToUDPAddrPort([]byte("hello"), l.a.Load().relay.Addr); err != nil {
				r.t.Fatal(err)
			}
		},
	} {
		t.Run(who, func(t *testing.T) {
			s := newStall()
			r := newRig(t, func(o *Options) {
				if who == "the reader of a socket" {
					o.Log = slog.New(slog.NewTextHandler(s, nil))
				}
			})
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := r.s.Touch(ctx); err != nil {
				t.Fatalf("before: %v", err)
			}
			if who == "the reader of relays" && r.inBooks(func() int { return len(r.s.books.readers.Pulses()) }) == 0 {
				t.Skip("each relay has a reader of its own here")
			}
			stop(r, s)
			<-s.reached
			short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			if r.s.Touch(short) == nil {
				t.Errorf("%s stands still, and it is not seen", who)
			}
			close(s.freed)
			if err := r.s.Touch(ctx); err != nil {
				t.Errorf("after: %v", err)
			}
		})
	}
}
