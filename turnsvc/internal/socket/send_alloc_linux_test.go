//go:build !race

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
