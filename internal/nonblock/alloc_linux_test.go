//go:build !race && (amd64 || arm64 || riscv64 || loong64)

package nonblock

import (
	"net"
	"testing"
)

func TestConnDoesNotAllocate(t *testing.T) {
	near, far := pair(t, true)
	b := []byte("hello")
	if n := testing.AllocsPerRun(200, func() {
		for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
			if _, err := way[0].Write(b); err != nil {
				t.Fatal(err)
			}
			if _, err := way[1].Read(b); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}
