//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package turnsvc

import (
	"testing"
	"time"

	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// An allocation whose relay socket can't be read is refused, and leaves nothing behind: neither the
// port, nor the next one, nor a place in a quota, nor what the engine knows.
func TestAllocationThatCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			r.inBooks(func() int { r.s.books.readers.Close(); return 0 })
			c := r.dial(transport, "u", "p")
			evenAndNext := attr(wire.AttrEvenPort, 0x80)
			for range 3 {
				c.refused(508, wire.MethodAllocate, withUDP, evenAndNext)
			}
			if n := r.s.Snapshot().Limits["internal"]; n != 3 {
				t.Errorf("%d refusals are counted, want 3", n)
			}
			if n := r.held(); n != 0 || r.s.Allocations() != 0 {
				t.Errorf("%d allocations; the books hold %d things", r.s.Allocations(), n)
			}
			if n := r.inBooks(func() int { return r.s.books.pools[0].Taken() }); n != 0 {
				t.Errorf("%d ports are taken", n)
			}
			r.inBooks(func() (n int) {
				var err error
				if r.s.books.readers, err = socket.NewReaders(r.s.core.faults); err != nil {
					t.Error(err)
				}
				return 0
			})
			c.ok(wire.MethodAllocate, withUDP, evenAndNext)
			c.ok(wire.MethodRefresh, withLifetime(0))
			r.advance(time.Hour)
			eventually(t, "the reservation ends", func() bool { return r.held() == 0 })
		})
	}
}
