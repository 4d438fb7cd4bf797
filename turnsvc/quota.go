package turnsvc

import (
	"net/netip"
)

// quotas count what users and sources hold: allocations, and ports reserved for them. They belong to the books, which release
// everything in the one function through which it ends.
type quotas struct {
	perUser   map[string]int
	perSource map[netip.Prefix]int
}

func (q *quotas) take(user string, client netip.Addr) {
	q.perUser[user]++
	q.perSource[sourceOf(client)]++
}

func (q *quotas) giveBack(user string, client netip.Addr) {
	if q.perUser[user]--; q.perUser[user] <= 0 {
		delete(q.perUser, user)
	}
	src := sourceOf(client)
	if q.perSource[src]--; q.perSource[src] <= 0 {
		delete(q.perSource, src)
	}
}

// room reports whether n more fit, for the user and for the client's source.
func (q *quotas) room(n int, l *Limits, user string, client netip.Addr) bool {
	return (l.PerUser <= 0 || q.perUser[user]+n <= l.PerUser) &&
		(l.PerSource <= 0 || q.perSource[sourceOf(client)]+n <= l.PerSource)
}

// sourceOf is what limits per source count by: an IPv4 address, or the /64 that one IPv6 host usually owns.
func sourceOf(ip netip.Addr) netip.Prefix {
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // only for an invalid address an error, and then the zero prefix serves
	return p
}
