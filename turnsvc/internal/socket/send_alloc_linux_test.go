//go:build !race && linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"testing"

	"signalbox/turnsvc/internal/wire"
)

func TestSendDoesNotAllocate(t *testing.T) {
	for network, ip := range loopbacks() {
		client := listen(t, network, ip)
		o, bare := outlets(t, listen(t, network, ip))
		r := openRelay(t, ip)
		to, b := wire.AddrPort(client.LocalAddr()), []byte("hello")
		for what, send := range map[string]func() error{
			"an outlet":                       func() error { return o.Send(b, to) },
			"one without a socket of its own": func() error { return bare.Send(b, to) },
			"a relay":                         func() error { return r.Send(b, to, false) },
		} {
			if n := testing.AllocsPerRun(200, func() {
				if err := send(); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s, %s: %v allocations a datagram", network, what, n)
			}
		}
	}
}

// Not those either who are read in many turns.
func TestReadingDoesNotAllocate(t *testing.T) {
	w, r, from := idleWatch(t), openRelay(t, "127.0.0.1"), openRelay(t, "127.0.0.1")
	got, sent, at, b := 0, 0, r.boundTo(t), []byte("hello")
	r.handle = func(list []wire.Datagram) { got += len(list) }
	w.take(t, r)
	if n := testing.AllocsPerRun(20, func() {
		for range 2*datagramsInTurn + 1 {
			if err := from.Send(b, at, false); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		w.turns(0)
	}); n != 0 {
		t.Errorf("%v allocations in three turns", n)
	}
	if got != sent {
		t.Errorf("%d of %d datagrams are read", got, sent)
	}
}
