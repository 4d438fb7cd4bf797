//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"testing"

	"signalbox/turnsvc/internal/wire"
)

// readersOf returns readers with so many watches, which are closed when the test ends.
func readersOf(t *testing.T, watches int) *Readers {
	t.Helper()
	r := &Readers{
		faults: NewFaults(func() { t.Error("a read has failed") }, slog.New(slog.DiscardHandler)),
		before: make([]uint64, watches),
	}
	t.Cleanup(r.Close)
	for range watches {
		w, err := newWatch()
		if err != nil {
			t.Fatal(err)
		}
		r.watches = append(r.watches, w)
		r.running.Go(w.run)
	}
	return r
}

// sockets counts those that a watch reads.
func (w *watch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int(w.taken) - len(w.free)
}

// Browsers allocate over UDP and over TCP, and use one of the two: not all of those are read by one
// core.
func TestPairsAreSpread(t *testing.T) {
	t.Parallel()
	r := readersOf(t, 2)
	used := map[*watch]int{}
	for i := range 64 {
		relay := openRelay(t, "127.0.0.1")
		if err := r.Read(relay, func([]wire.Datagram) {}); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			used[relay.watch]++
		}
	}
	if len(used) != 2 {
		t.Errorf("one of 2 watches has all that is used")
	}
}

// A watch that has nearly all to read passes sockets to another, and what they get stays whole and
// in order.
func TestBusySocketsAreMoved(t *testing.T) {
	t.Parallel()
	r := readersOf(t, 2)
	from := newDirect(listen(t, "udp4", "127.0.0.1"))
	const sockets, atOnce = 20, 50
	var relays []*Relay
	var at []netip.AddrPort
	var handled atomic.Int64
	for range sockets {
		relay := openRelay(t, "127.0.0.1")
		var next uint32 // who reads it, one after the other
		relay.trouble.faults, relay.handle = r.faults, func(list []wire.Datagram) {
			for _, d := range list {
				if got := binary.BigEndian.Uint32(d.Data()); got != next {
					t.Errorf("got datagram %d, want %d", got, next)
				}
				next++
			}
			handled.Add(int64(len(list)))
		}
		r.watches[0].take(t, relay)
		relays, at = append(relays, relay), append(at, relay.boundTo(t))
	}
	sent, number := int64(0), uint32(0)
	for rounds := 0; r.watches[1].count() < sockets/4; rounds++ {
		if rounds == 20 {
			t.Fatalf("of %d sockets, %d have been moved", sockets, r.watches[1].count())
		}
		r.Balance()
		for range 2 * busy / sockets / atOnce {
			for range atOnce {
				b := binary.BigEndian.AppendUint32(nil, number)
				number++
				for _, to := range at {
					if err := from.send(b, to, 0); err != nil {
						t.Fatal(err)
					}
					sent++
				}
			}
			(&watched{t: t}).eventually("all are handled", func() bool { return handled.Load() == sent })
		}
	}
	for i, w := range r.watches {
		if n := w.count(); n == 0 || n == sockets {
			t.Errorf("watch %d has %d sockets", i, n)
		}
	}
	for _, relay := range relays { // while some may be moved still
		relay.Close()
	}
	if a, b := r.watches[0].count(), r.watches[1].count(); a != 0 || b != 0 {
		t.Errorf("%d and %d sockets are left", a, b)
	}
}
