//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"errors"
	"net/netip"
	"testing"
)

// A port comes back with the last user of its socket, not before: who reads it or sends through it
// keeps it from being bound.
func TestPortComesBackWithTheLastUser(t *testing.T) {
	t.Parallel()
	p, ip := NewPool[int](30001, 30001), netip.MustParseAddr("127.9.8.7") // nobody else's
	for range 3 {
		r, _, err := p.Open(ip, AnyPort)
		if err != nil {
			t.Fatal(err)
		}
		if !r.enter() {
			t.Fatal("an open socket can't be used")
		}
		p.Release(r)
		if n := p.Taken(); n != 1 {
			t.Errorf("%d ports are taken while the socket is in use, want 1", n)
		}
		if _, _, err := p.Open(ip, AnyPort); !errors.Is(err, ErrNoPort) {
			t.Errorf("a port is opened twice: %v", err)
		}
		r.leave()
		if n := p.Taken(); n != 0 {
			t.Errorf("%d ports are taken, want none", n)
		}
	}
}
