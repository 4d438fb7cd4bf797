package turnsvc

import (
	"hash/maphash"
	"maps"
	"net/netip"
	"sync/atomic"
)

// clients find a client's allocation by its transport address, on one UDP socket. Readers take no
// lock, so one client's packets never wait for another's requests: a write copies one of the many
// small maps. Only the books write.
type clients struct {
	seed   maphash.Seed
	shards [256]atomic.Pointer[map[netip.AddrPort]*allocation]
}

func newClients() *clients { return &clients{seed: maphash.MakeSeed()} }

func (c *clients) shard(addr netip.AddrPort) *atomic.Pointer[map[netip.AddrPort]*allocation] {
	return &c.shards[maphash.Comparable(c.seed, addr)%uint64(len(c.shards))]
}

func (c *clients) get(addr netip.AddrPort) *allocation {
	if m := c.shard(addr).Load(); m != nil {
		return (*m)[addr]
	}
	return nil
}

// set stores a for addr; nil removes it.
func (c *clients) set(addr netip.AddrPort, a *allocation) {
	shard := c.shard(addr)
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
