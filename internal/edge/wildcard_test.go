package edge

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"signalbox/internal/netaddr"
	"signalbox/internal/testkit"
)

// A port that the system chooses is one for every address, also for those that come later, and also
// where there is none at first.
func TestEveryAddressHasTheChosenPort(t *testing.T) {
	t.Parallel()
	first, second := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	for name, before := range map[string][]netip.Addr{"one before": {first}, "none before": nil} {
		for _, transport := range []string{"", "udp"} {
			t.Run(name+", "+transport, func(t *testing.T) {
				t.Parallel()
				var here atomic.Pointer[[]netip.Addr]
				here.Store(&before)
				var log testkit.Log
				changed := make(chan struct{}, 1)
				e := New(Options{TURN: []Service{{transport, netip.MustParseAddrPort("[::]:0")}}, Log: log.Logger(),
					Local: func() ([]netip.Addr, error) { return *here.Load(), nil }, Changed: changed})
				if err := e.Bind(); err != nil {
					t.Fatal(err)
				}
				port := e.TURN()[0].Addr.Port()
				for _, s := range e.TURN() {
					if s.Addr.Port() == 0 || s.Addr.Port() != port {
						t.Errorf("clients are told port %d for %s, and %d", s.Addr.Port(), s.Transport, port)
					}
				}
				ctx, stop := context.WithCancel(t.Context())
				var serving sync.WaitGroup
				serving.Go(func() { e.Serve(ctx, make(bottoms, 1), Handlers{}) })
				defer serving.Wait()
				defer e.Close()
				defer stop()
				here.Store(&[]netip.Addr{first, second})
				netaddr.Poke(changed)
				at := netip.AddrPortFrom(second, port).String()
				testkit.Eventually(t, patience, "a socket at "+at,
					func() bool { return log.Count("addr="+at+"\n") > 0 })
			})
		}
	}
}
