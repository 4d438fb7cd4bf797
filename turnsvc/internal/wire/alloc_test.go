//go:build !race

package wire

import "testing"

// Not parallel: it counts allocations.
func TestSigningAllocatesNothing(t *testing.T) {
	scratch, id, key := make([]byte, 256), make([]byte, 12), make([]byte, 16)
	var m Message
	if n := testing.AllocsPerRun(100, func() {
		b := Begin(scratch, MethodBinding, ClassSuccess, id)
		b.Sign(key)
		if !m.Decode(b.End(true)) || !m.SignedBy(key) {
			t.Fatal("it is not signed")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
