package turnsvc

import (
	"net/netip"
	"time"

	"signalbox/internal/source"
)

// A client that allocates and gives back, on and on, uses work up and no quota. Honest ones do so
// too, a few times for each call: how often an allocation may end that was not used is limited, for
// each user at each line of sources (source.Line), since many share one user, and many an address.
// Beyond the limit there is a smaller one of those clients, which are transport addresses, that
// have not given one back lately: so one of them does not keep all from relaying behind its NAT.
const (
	unusedBurst    = 2048
	unusedInterval = 50 * time.Millisecond // between two of them in the long run
	// beyondBurst and beyondInterval are for those beyond the limit.
	beyondBurst    = 256
	beyondInterval = 100 * time.Millisecond

	unusedMemory = unusedBurst * unusedInterval // of a client that has given one back
	// wasteClients is how many clients have a slot of their own, some 512 KiB.
	wasteClients = 1 << 16
	// wasteTold is how often the log tells of one who has met the limit.
	wasteTold = time.Minute
)

// unused says by when those that have ended are forgotten. It belongs to the books.
type unused struct {
	counts map[unusedBy]unusedCount
	wasted *source.Table[int64] // by client: until when it is known as one that gives back
	told   int64                // until when the log tells of no other one
}

type unusedBy struct {
	principal string
	line      netip.Prefix
}

// unusedCount is by when what has ended is forgotten: within the limit, and beyond it.
type unusedCount struct{ within, beyond int64 }

func newUnused() *unused {
	return &unused{counts: map[unusedBy]unusedCount{}, wasted: source.NewTable[int64](wasteClients)}
}

func unusedOf(principal string, client netip.AddrPort) unusedBy {
	return unusedBy{principal, source.Line(client.Addr())}
}

// full reports whether there were too many within the limit.
func (c unusedCount) full(now int64) bool { return c.within-now > int64(unusedBurst*unusedInterval) }

// add counts one that has ended.
func (u *unused) add(principal string, client netip.AddrPort, now int64) {
	by := unusedOf(principal, client)
	c := u.counts[by]
	if c.full(now) {
		c.beyond = max(c.beyond, now) + int64(beyondInterval)
	} else {
		c.within = max(c.within, now) + int64(unusedInterval)
	}
	u.counts[by] = c
	*source.At(u.wasted, client) = now + int64(unusedMemory)
}

// over reports whether there were too many for this client.
func (u *unused) over(principal string, client netip.AddrPort, now int64) bool {
	c := u.counts[unusedOf(principal, client)]
	return c.full(now) &&
		(*source.At(u.wasted, client) > now || c.beyond-now > int64(beyondBurst*beyondInterval))
}

// forget drops those who have nothing counted any more.
func (u *unused) forget(now int64) {
	for by, c := range u.counts {
		if max(c.within, c.beyond) <= now {
			delete(u.counts, by)
		}
	}
}

// tellOfWaste logs who has met the limit, now and then.
func (b *books) tellOfWaste(r *request) {
	now := b.clock.now()
	if now < b.unused.told {
		return
	}
	b.unused.told = now + int64(wasteTold)
	b.log.Warn("one TURN user, from one address, has ended too many allocations without using them: clients there "+
		"that do so are refused, and soon all under that user", "client", b.shown.addr(r.client),
		"class", r.class.String(), "user", shortened(r.issued))
}
