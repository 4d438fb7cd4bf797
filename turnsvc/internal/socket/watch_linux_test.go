//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"signalbox/turnsvc/internal/wire"
)

// take has a watch read a relay.
func (w *watch) take(t *testing.T, r *Relay) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := w.add(&r.relaySocket); err != nil {
		t.Fatal(err)
	}
}

// idleWatch is a watch that only the test runs.
func idleWatch(t *testing.T) *watch {
	t.Helper()
	w, err := newWatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.poll.Close() })
	return w
}

// One watch reads more sockets than it has had room for at first, and than the kernel tells of at a
// time, and one after the other in the same place. What has come before a socket is read, and more
// than fits one turn, is read as well.
func TestWatchReadsEverySocket(t *testing.T) {
	t.Parallel()
	w, err := newWatch()
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(w.run)
	defer running.Wait()
	defer w.poll.Close()
	faults := NewFaults(func() { t.Error("a read has failed") }, slog.New(slog.DiscardHandler))
	from := listen(t, "udp4", "127.0.0.1")
	const sockets, datagrams = 2*watchBatch + 1, 2*datagramsInTurn + 1
	for round := range 2 {
		var relays []*Relay
		got := make(chan string, sockets*datagrams)
		for i := range sockets {
			r := openRelay(t, "127.0.0.1")
			r.trouble.faults, r.handle = faults, func(list []wire.Datagram) {
				for _, d := range list {
					got <- fmt.Sprint(i, " ", string(d.Data()))
				}
			}
			relays = append(relays, r)
			at := r.boundTo(t)
			for n := range datagrams {
				if n == datagrams/2 {
					w.take(t, r)
				}
				if _, err := from.WriteToUDPAddrPort(fmt.Append(nil, n), at); err != nil {
					t.Fatal(err)
				}
			}
		}
		next := make([]int, sockets)
		for range sockets * datagrams {
			var i, n int
			words := <-got
			if _, err := fmt.Sscan(words, &i, &n); err != nil {
				t.Fatal(words, err)
			}
			if n != next[i] {
				t.Fatalf("round %d: socket %d got datagram %d, want %d", round, i, n, next[i])
			}
			next[i]++
		}
		for _, r := range relays {
			r.Close()
		}
	}
	if w.taken != sockets || len(w.free) != sockets {
		t.Errorf("%d places, of which %d are free, want %d", w.taken, len(w.free), sockets)
	}
}

// A socket may be closed while its datagrams are handled, and twice. It is read no more.
func TestCloseWhileItIsRead(t *testing.T) {
	t.Parallel()
	readers, err := NewReaders(NewFaults(func() { t.Error("a read has failed") }, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	r, from := openRelay(t, "127.0.0.1"), listen(t, "udp4", "127.0.0.1")
	at := r.boundTo(t)
	var handled atomic.Int64
	closed := make(chan struct{})
	if err := readers.Read(r, func(list []wire.Datagram) {
		if handled.Add(1) == 1 {
			r.Close()
			r.Close()
			close(closed)
		}
	}); err != nil {
		t.Fatal(err)
	}
	from.WriteToUDPAddrPort([]byte("x"), at) //nolint:errcheck // nothing is handled then
	<-closed
	if err := r.Send([]byte("x"), wire.AddrPort(from.LocalAddr()), false); err == nil {
		t.Error("a closed socket sends")
	}
	from.WriteToUDPAddrPort([]byte("x"), at) //nolint:errcheck // the port may be closed
	readers.Close()
	if n := handled.Load(); n != 1 {
		t.Errorf("%d readings, want 1", n)
	}
}

// A turn is of so many datagrams, however many of them the kernel has merged into a message; what
// comes in one by one has its turn in between.
func TestATurnCountsDatagrams(t *testing.T) {
	t.Parallel()
	w, sender := idleWatch(t), newDirect(listen(t, "udp4", "127.0.0.1"))
	var turns []int // datagrams of the flood; 0 is one of the other
	flood, other := openRelay(t, "127.0.0.1"), openRelay(t, "127.0.0.1")
	count := func(list []wire.Datagram) { turns[len(turns)-1] += len(list) }
	flood.handle = count
	other.handle = func([]wire.Datagram) { turns = append(turns, 0) }
	if err := unix.SetsockoptInt(flood.fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1); err != nil {
		t.Fatal(err)
	}
	w.take(t, flood)
	w.take(t, other)
	many, _ := run(slices.Repeat([]int{100}, wire.MaxRun)...)
	for range 8 {
		if err := sender.sendRun(many, 0, flood.boundTo(t), 0); err != nil {
			t.Fatal(err)
		}
	}
	flood.each = wire.MaxRun // as it was lately
	c := catches.Get().(*catch)
	defer catches.Put(c)
	for range 3 {
		turns = append(turns, 0)
		w.serve(c, &flood.relaySocket)
	}
	for _, n := range turns {
		if n != datagramsInTurn {
			t.Errorf("a turn of %d datagrams, want %d", n, datagramsInTurn)
		}
	}
	// From here on the watch gives turns: those of the other come after one of the flood each.
	flood.waits, w.more = false, nil
	turns = []int{0}
	at := other.boundTo(t)
	flood.handle = func(list []wire.Datagram) {
		count(list)
		if err := sender.send([]byte("x"), at, 0); err != nil {
			t.Error(err)
		}
	}
	w.turns(0)
	for _, n := range turns {
		if n > datagramsInTurn {
			t.Errorf("%v: another has waited for more than a turn", turns)
			break
		}
	}
	if len(turns) != 1+5 {
		t.Errorf("%v: want 5 turns of each", turns)
	}
}

// What the runtime can't wait for would never be read, so it is refused.
func TestWhatCannotBeWatchedIsRefused(t *testing.T) {
	t.Parallel()
	fd, err := unix.Open(os.Args[0], unix.O_RDONLY|unix.O_CLOEXEC, 0) // a file is always readable
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watchOver(fd); err == nil {
		t.Error("a watch waits for a file")
	}
}
