package turnsvc

import (
	"hash/maphash"
	"maps"
	"net/netip"
	"sync/atomic"
)

// table finds a client's allocation by its transport address. Readers take no lock, so one client's
// packets never wait for another's requests: a write copies one of the many small maps. Only the
// books write.
type table struct {
	seed   maphash.Seed
	shards [256]atomic.Pointer[map[netip.AddrPort]*allocation]
}

func newTable() *table { return &table{seed: maphash.MakeSeed()} }

func (t *table) shard(addr netip.AddrPort) *atomic.Pointer[map[netip.AddrPort]*allocation] {
	return &t.shards[maphash.Comparable(t.seed, addr)%uint64(len(t.shards))]
}

func (t *table) get(addr netip.AddrPort) *allocation {
	if m := t.shard(addr).Load(); m != nil {
		return (*m)[addr]
	}
	return nil
}

// set stores a for addr; nil removes it.
func (t *table) set(addr netip.AddrPort, a *allocation) {
	shard := t.shard(addr)
	next := map[netip.AddrPort]*allocation{}
	if m := shard.Load(); m != nil {
		next = maps.Clone(*m)
	}
	if a == nil {
		delete(next, addr)
	} else {
		next[addr] = a
	}
	shard.Store(&next)
}
