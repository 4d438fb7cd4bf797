package turnsvc

import (
	"net/netip"
	"time"

	"signalbox/internal/source"
)

// A client that allocates and gives back, on and on, uses work up and no quota. Honest ones do so
// too, a few times for each call: how often an allocation may end that was not used is limited, for
// each user at each line of sources (source.Line), since many share one user, and many an address.
const (
	unusedBurst    = 2048
	unusedInterval = 50 * time.Millisecond // between two of them in the long run
)

// unused says by when those that have ended are forgotten. It belongs to the books.
type unused map[unusedBy]int64

type unusedBy struct {
	principal string
	line      netip.Prefix
}

func unusedOf(h holder) unusedBy { return unusedBy{h.principal, source.Line(h.client)} }

// add counts one that has ended.
func (u unused) add(h holder, now int64) {
	by := unusedOf(h)
	u[by] = max(u[by], now) + int64(unusedInterval)
}

// over reports whether there were too many.
func (u unused) over(h holder, now int64) bool {
	return u[unusedOf(h)]-now > int64(unusedBurst*unusedInterval)
}

// forget drops those who have nothing counted any more.
func (u unused) forget(now int64) {
	for by, until := range u {
		if until <= now {
			delete(u, by)
		}
	}
}
