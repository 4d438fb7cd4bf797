package turnsvc

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
)

// clients find a client's allocation by its transport address, on one UDP socket. Readers take no
// lock, so one client's packets never wait for another's requests. Only the books write. The
// allocations of a chain hold each other, so an allocation costs nothing here.
type clients struct {
	seed maphash.Seed
	// Linked by next. 10,000 clients are two or three in each; all the relay ports that there can
	// be, of both families, some thirty.
	chains [4096]atomic.Pointer[allocation]
}

func newClients() *clients { return &clients{seed: maphash.MakeSeed()} }

func (c *clients) chain(addr netip.AddrPort) *atomic.Pointer[allocation] {
	return &c.chains[maphash.Comparable(c.seed, addr)%uint64(len(c.chains))]
}

func (c *clients) get(addr netip.AddrPort) *allocation {
	a := c.chain(addr).Load()
	for a != nil && a.client != addr {
		a = a.next.Load()
	}
	return a
}

// set stores a, which has never been stored, for its client's addr; nil removes the one that is
// there. A reader that has come to the one that goes finds the rest of the chain behind it.
func (c *clients) set(addr netip.AddrPort, a *allocation) {
	at := c.chain(addr)
	if a != nil {
		a.next.Store(at.Load())
		at.Store(a)
		at = &a.next
	}
	for old := at.Load(); old != nil; old = at.Load() {
		if old.client == addr {
			at.Store(old.next.Load())
			return
		}
		at = &old.next
	}
}
