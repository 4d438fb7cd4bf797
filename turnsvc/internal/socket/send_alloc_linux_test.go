//go:build !race

package socket

import (
	"log/slog"
	"net/netip"
	"testing"

	"signalbox/turnsvc/internal/wire"
)

func TestSendDoesNotAllocate(t *testing.T) {
	for network, ip := range map[string]string{"udp4": "127.0.0.1", "udp6": "::1"} {
		if network == "udp6" && !haveIPv6() {
			continue
		}
		conn, client := listen(t, network, ip), listen(t, network, ip)
		o := NewOutlet(conn, NewNeighbors(slog.New(slog.DiscardHandler)))
		defer o.Close()
		bare := &Outlet{conn: newDirect(conn), neighbors: o.neighbors}
		r, err := OpenRelay(netip.AddrPortFrom(netip.MustParseAddr(ip), 0))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
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
