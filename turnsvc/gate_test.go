package turnsvc

import (
	"log/slog"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// A flood in a client's name, which uses up the answers to its address, does not keep it from a new
// nonce: its call would end.
func TestFloodInAClientsNameEndsNoCall(t *testing.T) {
	each(t, func(o *Options) { o.Limits.UnauthorizedPerSource = 1 }, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.allocate()
		flood := r.dial("udp", "u", "wrong")
		flood.nonce = []byte("of the past")
		here := netip.MustParseAddr("127.0.0.1")
		dropped := func() uint64 { return r.s.Snapshot().Drops["rate-limited"] }
		for range 3 { // whenever a second begins, one answer is to be had
			c.nonce = r.s.gate.challenges.nonces.append(nil, here, r.s.core.clock.wall().Add(-time.Hour))
			before := dropped()
			flood.write(flood.unsigned(wire.MethodAllocate, withUDP))
			flood.write(flood.build(wire.MethodRefresh))
			flood.write(flood.unsigned(wire.MethodAllocate, withUDP))
			eventually(t, "the limit is reached", func() bool { return dropped() > before })
			if m := c.answerTo(c.build(wire.MethodRefresh)); m.code() != 438 {
				t.Fatalf("a stale nonce: code %d, want 438", m.code())
			} else if c.nonce, _ = m.Get(wire.AttrNonce); len(c.nonce) != nonceSize {
				t.Fatalf("NONCE %q", c.nonce)
			}
			if m := c.answerTo(c.build(wire.MethodRefresh)); m.Class != wire.ClassSuccess {
				t.Errorf("no recovery in one round trip, but %d", m.code())
			}
		}
	})
}

// Guesses at a key are limited before they cost a look at each; requests of an allocation are not,
// nor does a flood of strangers use them up.
func TestGuessesAreLimited(t *testing.T) {
	const limit = 5
	var at atomic.Int64 // the server's clock stands, so that all is in one second
	at.Store(time.Now().UnixNano())
	now := func() time.Time { return time.Unix(0, at.Load()) }
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.Limits.UnauthorizedPerSource = limit; o.Now = now })
			nonce := r.s.gate.challenges.nonces.append(nil, netip.MustParseAddr("127.0.0.1"), now())
			c, late, guesser := r.dial(transport, "u", "p"), r.dial(transport, "v", "q"),
				r.dial(transport, "u", "wrong")
			c.nonce, late.nonce, guesser.nonce = nonce, nonce, nonce
			handled := func(n uint64) func() bool {
				return func() bool {
					snap := r.s.Snapshot()
					return snap.Refusals[401]+snap.Drops["rate-limited"] == n
				}
			}
			for range 2 * limit {
				guesser.write(guesser.unsigned(wire.MethodAllocate, withUDP))
			}
			eventually(t, "strangers are limited", handled(2*limit))
			c.allocate() // whoever has a nonce is no stranger
			for range 2 * limit {
				guesser.write(guesser.build(wire.MethodAllocate, withUDP))
			}
			eventually(t, "guesses are limited", handled(4*limit))
			guesser.key = cred.LongTermKey("u", testRealm, "p")
			guesser.write(guesser.build(wire.MethodAllocate, withUDP))
			eventually(t, "and no more is looked at, not even a right one", handled(4*limit+1))
			c.ok(wire.MethodRefresh)
			late.allocate() // another user behind the same address is none of it
			at.Add(int64(time.Second))
			guesser.allocate()
		})
	}
}

func TestLongMessagesAreNotLookedAt(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.allocate()
		filled := func(n int) []byte { return c.build(wire.MethodRefresh, attr(0x8022, make([]byte, n)...)) }
		fits := maxMessage - len(filled(0))
		if m := c.answerTo(filled(fits)); m.Class != wire.ClassSuccess {
			t.Errorf("%d bytes: code %d", maxMessage, m.code())
		}
		c.write(filled(fits + 4))
		eventually(t, "the longer one is dropped", func() bool { return r.s.Snapshot().Drops["malformed"] == 1 })
		c.ok(wire.MethodRefresh)
	})
}

// Over a stream nobody asks again, so strangers wait there for their turn: a hundred clients behind
// one address that begin at once are all served.
func TestStrangersOverStreamsWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, func(o *Options) { o.Limits.UnauthorizedPerSource = 10 },
		func(s *Server) { s.gate.patience = time.Minute })
	for range 25 {
		c := r.dial("tcp", "u", "p")
		c.allocate()
	}
	if n := r.s.Snapshot().Drops["rate-limited"]; n != 0 {
		t.Errorf("%d were dropped", n)
	}
}

// strangerLink is a stream of a client that is known to nobody.
type strangerLink struct{ probeLink }

func (strangerLink) padded() bool { return true }

// A stranger waits for its turn as long as the server's clock says, not the system's.
func TestPatienceIsOnTheServersClock(t *testing.T) {
	t.Parallel()
	now := time.Now()
	d := &doorman{core: newCore(func() time.Time { return now }, slog.New(slog.DiscardHandler)), patience: time.Hour}
	asked := 0
	if d.inTurn(&inlet{link: strangerLink{}}, func() bool {
		asked++
		now = now.Add(30 * time.Minute)
		return false
	}) || asked != 3 {
		t.Errorf("asked %d times in an hour and a half, want 3", asked)
	}
	if n := d.counters.drops[dropRateLimited].Load(); n != 1 {
		t.Errorf("%d drops, want 1", n)
	}
}
