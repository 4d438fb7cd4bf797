package socket

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"signalbox/turnsvc/internal/wire"
)

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
	const sockets, datagrams = 2*watchBatch + 1, 2*readsInTurn*readBatch + 1
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
					if err := w.add(&r.relaySocket); err != nil {
						t.Fatal(err)
					}
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
