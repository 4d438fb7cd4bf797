package turnsvc

import (
	"net/netip"

	"signalbox/internal/source"
	"signalbox/turnsvc/cred"
)

// holder is who holds a relay port, and what counts by it.
type holder struct {
	principal string
	client    netip.Addr
	class     cred.Class
	family    int // of the port; see familyIndex
}

// groups are the classes of credentials that are guaranteed ports of their own: those of sessions,
// those that /api/ice gives to anybody, and those that stand in the configuration or are from a
// program that knows the secret.
const groups = 3

func (h *holder) group() int {
	switch h.class {
	case cred.Hub:
		return 0
	case cred.ICE:
		return 1
	}
	return 2
}

// guaranteed is the part of all ports that no other group can take: an eighth.
const guaranteed = 8

// quotas count what users, sources and groups hold: allocations, and ports reserved for them. They
// belong to the books, where one function ends each of these and gives it back.
type quotas struct {
	perUser   map[string]int       // by principal
	perSource map[netip.Prefix]int // by each of the source's blocks
	held      [2][groups]int       // ports, by family
	// The bandwidth of each direction: of a principal's allocations, and of all. A principal's
	// buckets outlast its allocations until they are full again; otherwise a new allocation would
	// bring a new burst.
	userUp, userDown map[string]*bucket
	allUp, allDown   *bucket
	total            int64 // the rate of those two
}

func newQuotas(l *Limits) quotas {
	return quotas{
		perUser: map[string]int{}, perSource: map[netip.Prefix]int{},
		userUp: map[string]*bucket{}, userDown: map[string]*bucket{},
		allUp: newBucket(l.TotalBandwidth), allDown: newBucket(l.TotalBandwidth), total: l.TotalBandwidth,
	}
}

// follow takes over a limit that is kept as buckets, for allocations to come.
func (q *quotas) follow(l *Limits) {
	if q.total != l.TotalBandwidth {
		q.total, q.allUp, q.allDown = l.TotalBandwidth, newBucket(l.TotalBandwidth), newBucket(l.TotalBandwidth)
	}
}

// paces returns what a new allocation of the principal draws from.
func (q *quotas) paces(l *Limits, principal string) (up, down pace) {
	if l.UserBandwidth > 0 && q.userUp[principal] == nil {
		q.userUp[principal], q.userDown[principal] = newBucket(l.UserBandwidth), newBucket(l.UserBandwidth)
	}
	return pace{newBucket(l.Bandwidth), q.userUp[principal], q.allUp},
		pace{newBucket(l.Bandwidth), q.userDown[principal], q.allDown}
}

// forgetIdle drops the buckets of principals that hold nothing and have nothing used up.
func (q *quotas) forgetIdle(now int64) {
	for principal, up := range q.userUp {
		if q.perUser[principal] == 0 && up.idle(now) && q.userDown[principal].idle(now) {
			delete(q.userUp, principal)
			delete(q.userDown, principal)
		}
	}
}

func (q *quotas) add(h holder) { q.count(h, 1) }

func (q *quotas) giveBack(h holder) { q.count(h, -1) }

func (q *quotas) count(h holder, n int) {
	addTo(q.perUser, h.principal, n)
	for _, block := range source.Blocks(h.client) {
		addTo(q.perSource, block, n)
	}
	q.held[h.family][h.group()] += n
}

// addTo adds to what somebody holds; who holds nothing is forgotten.
func addTo[K comparable](held map[K]int, who K, n int) {
	if held[who] += n; held[who] <= 0 {
		delete(held, who)
	}
}

// fitsUser reports whether n more are within the limit of the principal.
func (q *quotas) fitsUser(n int, l *Limits, h holder) bool {
	return l.PerUser <= 0 || q.perUser[h.principal]+n <= l.PerUser
}

// fitsSource reports whether n more are within the limits of the client's source.
func (q *quotas) fitsSource(n int, l *Limits, h holder) bool {
	for i, block := range source.Blocks(h.client) {
		if l.PerSource > 0 && q.perSource[block]+n > source.MayHold(l.PerSource, i) {
			return false
		}
	}
	return true
}

// leaves reports whether n more of h's group leave the others what they are guaranteed: of the
// ports of a family, and of all allocations if they are limited; 0 is no limit.
func (q *quotas) leaves(n int, h holder, ports, allocations int) bool {
	var both [groups]int
	for _, held := range q.held {
		for g := range both {
			both[g] += held[g]
		}
	}
	return leaves(n, h.group(), q.held[h.family], ports) &&
		(allocations <= 0 || leaves(n, h.group(), both, allocations))
}

func leaves(n, group int, held [groups]int, total int) bool {
	left := total - n
	for g := range held {
		if g != group {
			left -= max(held[g], total/guaranteed)
		} else {
			left -= held[g]
		}
	}
	return left >= 0
}
