package turnsvc

import (
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// carried adds up what allocations say of themselves.
func carried(all []*allocation) (sum Relayed) {
	for _, a := range all {
		one := a.carried()
		sum.FromClientBytes += one.FromClientBytes
		sum.FromClientPackets += one.FromClientPackets
		sum.ToClientBytes += one.ToClientBytes
		sum.ToClientPackets += one.ToClientPackets
	}
	return sum
}

func (r Relayed) below(other Relayed) bool {
	return r.FromClientBytes < other.FromClientBytes || r.FromClientPackets < other.FromClientPackets ||
		r.ToClientBytes < other.ToClientBytes || r.ToClientPackets < other.ToClientPackets
}

// Relayed bytes are counted once, whoever asks and however allocations end while packets are on
// their way.
func TestRelayedOutlastsAllocations(t *testing.T) {
	t.Parallel()
	r := newRig(t, midMonth)
	over := make(chan struct{})
	var watching sync.WaitGroup
	for range 2 {
		watching.Go(func() {
			var last Relayed
			for ask := true; ask; {
				select {
				case <-over:
					ask = false // once more
				default:
				}
				now := r.s.Summary().Relayed
				if now.below(last) {
					t.Errorf("%+v after %+v", now, last)
				}
				last = now
			}
		})
	}
	var all []*allocation
	for round := range 10 {
		from, to := r.dial("udp", "u", "p"), r.dial("tcp", "v", "q")
		from.allocate()
		to.allocate()
		from.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(to.relayed.String()))
		to.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(from.relayed.String()))
		all = append(all, r.s.books.list()...)
		frame := from.channelFrame(0x4000, strings.Repeat("x", 100+round))
		for range 50 {
			from.write(frame)
		}
		if round%2 == 0 { // in the middle of it, from another goroutine
			r.s.KickUser("u")
			r.s.KickUser("v")
		} else {
			to.received()
			from.ok(wire.MethodRefresh, withLifetime(0))
			to.conn.Close()
		}
		eventually(t, "they end", func() bool { return r.s.Allocations() == 0 })
	}
	close(over)
	watching.Wait()
	if got, want := r.s.Summary().Relayed, carried(all); got != want || want.FromClientPackets < 5 ||
		want.ToClientBytes == 0 {
		t.Errorf("%+v, and the allocations carried %+v", got, want)
	}
	sent := uint64(0) // relay to relay: to the client only
	for _, a := range all {
		sent += a.sent()
	}
	if got, want := r.s.Transfer().Bytes, carried(all); got != int64(sent) || sent <= want.ToClientBytes {
		t.Errorf("%d bytes this month, and the allocations carried %+v and sent %d", got, want, sent)
	}
}

// A packet that was in the lane when its allocation ended counts, and then the allocation is let
// go.
func TestThePacketAfterTheEndCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.dial("udp", "u", "p")
	c.allocate()
	a := r.s.books.list()[0]
	a.toClient.add(1, 1000)
	c.ok(wire.MethodRefresh, withLifetime(0))
	if got := r.s.Summary().Relayed; got != (Relayed{ToClientBytes: 1000, ToClientPackets: 1}) {
		t.Errorf("after the end: %+v", got)
	}
	a.fromClient.add(1, 10)
	want := Relayed{FromClientBytes: 10, FromClientPackets: 1, ToClientBytes: 1000, ToClientPackets: 1}
	for range 2 {
		if got := r.s.Summary().Relayed; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	r.advance(lastPackets)
	if got := r.s.Summary().Relayed; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	b := r.s.books.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.retired) != 0 {
		t.Error("an ended allocation is kept")
	}
}

// The warning goes out while others may ask: a log that does so is answered.
func TestBudgetWarningHoldsUpNobody(t *testing.T) {
	t.Parallel()
	b := newBudget(nil, time.Now())
	b.months[0].Bytes = 90
	free := 0
	log := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		if b.mu.TryLock() {
			free++
			b.mu.Unlock()
		}
		return len(p), nil
	}), nil))
	b.warn(100, log)
	b.warn(100, log)
	if free != 1 {
		t.Errorf("%d warnings with the lock free, want 1", free)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestSummaryCounts(t *testing.T) {
	t.Parallel()
	needIPv6(t)
	r := newRig(t, func(o *Options) { o.Limits.TotalPerMonth = 1 << 40 })
	r.dial("udp", "u", "p").allocate()
	r.dial("tcp", "u", "p").allocate(withFamily(wire.FamilyIPv6))
	r.minted("tcp", cred.Shared, "someone", time.Hour).allocate(attr(wire.AttrEvenPort, 0x80)) // the next port, too
	s := r.s.Summary()
	if len(s.Allocations) != 0 || s.TransferLimit != 1<<40 {
		t.Errorf("%d allocations are listed, the limit is %d", len(s.Allocations), s.TransferLimit)
	}
	want := map[Count]bool{{"static", "udp", "ipv4", 1}: true, {"static", "tcp", "ipv6", 1}: true,
		{"shared", "tcp", "ipv4", 1}: true}
	seen := map[Count]bool{}
	for _, c := range s.Counts {
		if c.N != 0 && !want[c] {
			t.Errorf("there are not %+v", c)
		}
		delete(want, c)
		c.N = 0
		if seen[c] {
			t.Errorf("%+v stands there twice", c)
		}
		seen[c] = true
	}
	if len(want) != 0 || len(seen) != classes*4*2 {
		t.Errorf("%d kinds; missing are %v", len(seen), want)
	}
	// What the books did is told when they have done it, which a client's answer may precede.
	eventually(t, "the ports in use are known", func() bool {
		p := r.s.Summary().RelayPorts
		return len(p) == 2 && p[0] == (RelayPorts{"ipv4", 3, 12001}) && p[1] == (RelayPorts{"ipv6", 1, 12001})
	})
}

// What a scrape of the metrics costs, and what the list would.
func BenchmarkSummary(b *testing.B) {
	s, err := New(Options{Realm: testRealm, Live: Live{Keys: cred.NewKeys(testSecret)},
		Relays: []RelayAddress{relayAt("127.0.0.1")}, MinPort: 1, MaxPort: 65535})
	if err != nil {
		b.Fatal(err)
	}
	for i := range uint64(10_000) { // it does not run: these need no sockets
		s.books.all[i] = &allocation{link: &streamLink{name: "tls"},
			relayed: netip.MustParseAddrPort("192.0.2.1:50000"), clock: s.core.clock}
	}
	b.Run("Summary", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Summary()
		}
	})
	b.Run("Snapshot", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Snapshot()
		}
	})
}
