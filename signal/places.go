package signal

import (
	"net/netip"

	"signalbox/internal/source"
)

// places count the places that clients have taken, in all and per block of addresses, by sessions,
// and by connections before their hello. A client counts in its source's block and in its wider
// ones; see source.Blocks. The hub's lock guards it.
type places struct {
	all      int
	bySource map[netip.Prefix]taken
}

type taken struct{ all, sessions int }

func (t taken) inAll() int { return t.all }

func (t taken) inSessions() int { return t.sessions }

// take changes the numbers of a source.
func (p *places) take(from netip.Prefix, all, sessions int) {
	p.all += all
	for _, block := range source.Blocks(from.Addr()) {
		t := p.bySource[block]
		t.all += all
		t.sessions += sessions
		if t == (taken{}) {
			delete(p.bySource, block)
		} else {
			p.bySource[block] = t
		}
	}
}

// full reports whether a source, or one of its wider blocks, has as many as it may have.
func (p *places) full(from netip.Prefix, limit int, number func(taken) int) bool {
	for i, block := range source.Blocks(from.Addr()) {
		if number(p.bySource[block]) >= source.MayHold(limit, i) {
			return true
		}
	}
	return false
}
