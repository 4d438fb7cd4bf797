package turnsvc

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"

	"signalbox/turnsvc/cred"
)

// principal is whom a credential was issued to: what its user's limits are counted by. A session's
// or another program's user keeps it while its credentials come and go.
func principal(c cred.Class, user string) string {
	if c == cred.Static {
		return user
	}
	if _, id, ok := cred.Parse(user); ok && id != "" {
		return c.String() + ":" + id
	}
	return c.String() + ":" + user
}

// quotas count what users and sources hold: allocations, and ports reserved for them. They belong
// to the books, which release everything in the one function through which it ends.
type quotas struct {
	perUser   map[string]int // by principal
	perSource map[netip.Prefix]int
	// buckets of principals, and of all: what each direction may carry. A principal's outlast its
	// allocations until they are full again, or a new allocation would be a new burst.
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

// paces returns what a new allocation of the principal draws from. It holds at least one allocation
// already.
func (q *quotas) paces(l *Limits, principal string) (up, down pace) {
	if l.UserBandwidth > 0 && q.userUp[principal] == nil {
		q.userUp[principal], q.userDown[principal] = newBucket(l.UserBandwidth), newBucket(l.UserBandwidth)
	}
	return pace{newBucket(l.Bandwidth), q.userUp[principal], q.allUp},
		pace{newBucket(l.Bandwidth), q.userDown[principal], q.allDown}
}

// forgetIdle drops the buckets of principals who hold nothing and have nothing used up.
func (q *quotas) forgetIdle(now int64) {
	for principal, up := range q.userUp {
		if q.perUser[principal] == 0 && up.idle(now) && q.userDown[principal].idle(now) {
			delete(q.userUp, principal)
			delete(q.userDown, principal)
		}
	}
}

func (q *quotas) take(principal string, client netip.Addr) {
	q.perUser[principal]++
	q.perSource[sourceOf(client)]++
}

func (q *quotas) giveBack(principal string, client netip.Addr) {
	if q.perUser[principal]--; q.perUser[principal] <= 0 {
		delete(q.perUser, principal)
	}
	src := sourceOf(client)
	if q.perSource[src]--; q.perSource[src] <= 0 {
		delete(q.perSource, src)
	}
}

// room reports whether n more fit, for the principal and for the client's source.
func (q *quotas) room(n int, l *Limits, principal string, client netip.Addr) bool {
	return (l.PerUser <= 0 || q.perUser[principal]+n <= l.PerUser) &&
		(l.PerSource <= 0 || q.perSource[sourceOf(client)]+n <= l.PerSource)
}

// waiting counts the requests of each source that wait for the books, in a fixed table by a hash of
// the source: two that meet in a slot share its limit.
type waiting struct {
	seed  maphash.Seed
	slots [1 << 10]atomic.Int32
}

func (w *waiting) of(client netip.Addr) *atomic.Int32 {
	return &w.slots[maphash.Comparable(w.seed, sourceOf(client))%uint64(len(w.slots))]
}

// sourceOf is what limits per source count by: an IPv4 address, or the /64 that one IPv6 host
// usually owns.
func sourceOf(ip netip.Addr) netip.Prefix {
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // only for an invalid address an error, and then the zero prefix serves
	return p
}
