package turnsvc

import (
	"net/netip"

	"signalbox/internal/source"
)

// quotas count the allocations of users and sources, and the ports reserved for them. They belong
// to the books, where one function ends each of these and gives it back.
type quotas struct {
	perUser   map[string]int // by principal
	perSource map[netip.Prefix]int
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

// paces returns what a new allocation of the principal draws from. The allocation has been added.
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

func (q *quotas) add(principal string, client netip.Addr) {
	q.perUser[principal]++
	q.perSource[source.Of(client)]++
}

func (q *quotas) giveBack(principal string, client netip.Addr) {
	if q.perUser[principal]--; q.perUser[principal] <= 0 {
		delete(q.perUser, principal)
	}
	src := source.Of(client)
	if q.perSource[src]--; q.perSource[src] <= 0 {
		delete(q.perSource, src)
	}
}

// fits reports whether n more are within the limits of the principal and of the client's source.
func (q *quotas) fits(n int, l *Limits, principal string, client netip.Addr) bool {
	return (l.PerUser <= 0 || q.perUser[principal]+n <= l.PerUser) &&
		(l.PerSource <= 0 || q.perSource[source.Of(client)]+n <= l.PerSource)
}
