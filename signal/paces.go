package signal

import (
	"maps"
	"net/netip"
	"time"
)

// paces slow down who joins one room over and over, in whatever sessions: for each member, every
// join costs a connection to the newcomer. They are kept for each line (source.Line). The room's
// mutex guards them.
type paces struct {
	// When a line will have all its joins back (as GCRA reckons it). Who has them is forgotten some
	// time.
	full  map[netip.Prefix]time.Time
	sweep int // how many there may be until those are looked for
}

// A line may join a room as often at once as fills it twice, or 64 times if that is more, and gets
// that back in 64 seconds.
const (
	fillings     = 2
	leastJoins   = 64
	joinsReturn  = 64 * time.Second
	leastToSweep = 64
)

// allow counts a join, and reports whether it may be. places are the room's. The zero line has no
// pace.
func (p *paces) allow(line netip.Prefix, places int, now time.Time) bool {
	if !line.IsValid() {
		return true
	}
	full := p.full[line]
	if full.Before(now) {
		full = now
	}
	full = full.Add(joinsReturn / time.Duration(max(fillings*places, leastJoins)))
	if full.Sub(now) > joinsReturn {
		return false
	}
	if len(p.full) >= max(p.sweep, leastToSweep) {
		maps.DeleteFunc(p.full, func(_ netip.Prefix, full time.Time) bool { return full.Before(now) })
		p.sweep = 2 * len(p.full)
	}
	if p.full == nil {
		p.full = make(map[netip.Prefix]time.Time)
	}
	p.full[line] = full
	return true
}
