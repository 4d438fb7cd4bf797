package source

import (
	"hash/maphash"
	"net/netip"
)

// Table holds a T for each source in a fixed array, by a hash of the source: a flood from spoofed
// sources costs no memory. Two sources with the same slot share it; nobody can choose with whom.
// Several goroutines must be able to use a T at once.
type Table[T any] struct {
	seed  maphash.Seed
	slots []T
}

// NewTable returns a table of that many slots.
func NewTable[T any](slots int) *Table[T] {
	return &Table[T]{seed: maphash.MakeSeed(), slots: make([]T, slots)}
}

// Of returns the slot of ip's source. It allocates nothing.
func (t *Table[T]) Of(ip netip.Addr) *T {
	return &t.slots[maphash.Comparable(t.seed, Of(ip))%uint64(len(t.slots))]
}

// At returns the slot of any key, such as a source and a user. It is not the one that Of returns
// for a source.
func At[T any, K comparable](t *Table[T], key K) *T {
	return &t.slots[maphash.Comparable(t.seed, key)%uint64(len(t.slots))]
}
