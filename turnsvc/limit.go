package turnsvc

// limit is what a request met that is refused with 486 or 508.
type limit uint8

const (
	limitPerUser limit = iota
	limitPerSource
	limitAllocations
	limitPermissions
	limitChannels
	limitPerMonth
	limitPorts // none is free
	limitGroup // what is left of ports, or of allocations, is guaranteed to other credentials
	limitDrain // the box drains
	limitUnused
	// limitInternal is what should not happen: a relay socket that can't be read, or an engine that
	// disagrees with the gate.
	limitInternal
	limits = iota
)

// limitNames are the labels of the metric: the key to raise, if there is one.
var limitNames = [limits]string{
	"turn.limits.per_user", "turn.limits.per_source", "turn.limits.allocations", "turn.limits.permissions",
	"turn.limits.channels", "turn.limits.total_per_month", "turn.relay_ports", "guaranteed", "draining",
	"unused", "internal",
}

// why is what the log says.
func (l limit) why() string {
	switch l {
	case limitPorts:
		return "no port of turn.relay_ports is free"
	case limitGroup:
		return "what is left of turn.relay_ports or turn.limits.allocations is guaranteed to other credentials"
	case limitDrain:
		return "the box drains"
	case limitUnused:
		return "this user, from this address, has ended too many allocations without using them"
	case limitInternal:
		return "the box has failed: the log says at what"
	}
	return "limit reached: " + limitNames[l]
}

// code is that of the answer (RFC 8656 §7.2): 486 for what is the user's or the source's own.
func (l limit) code() int {
	if l == limitPerUser || l == limitPerSource || l == limitUnused {
		return 486
	}
	return 508
}

// over notes the limit that r has met, and returns the code of the refusal.
func (b *books) over(r *request, l limit) (code int) {
	b.counters.limits[l].Add(1)
	r.why = l.why()
	return l.code()
}
