package signal

import "net/netip"

// places count the places that clients have taken, in all and per block of addresses: by sessions,
// and by connections before their hello. The hub's lock guards it.
type places struct {
	all      int
	bySource map[netip.Prefix]taken
}

type taken struct{ all, sessions int }

// take changes the numbers.
func (p *places) take(block netip.Prefix, all, sessions int) {
	p.all += all
	t := p.bySource[block]
	t.all += all
	t.sessions += sessions
	if t == (taken{}) {
		delete(p.bySource, block)
	} else {
		p.bySource[block] = t
	}
}
