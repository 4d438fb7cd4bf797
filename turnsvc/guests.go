package turnsvc

import (
	"container/list"
	"net/netip"

	"signalbox/internal/source"
)

// guests are the streams without an allocation, by each block of addresses in which their clients
// count (source.Blocks). They say who makes room for a newcomer, without a search, however many
// they are: whoever knocks on and on must keep nobody waiting. Guarded by streams.mu.
type guests struct {
	blocks map[netip.Prefix]*guestBlock
	// sizes are the widest blocks of clients, their lines, by how many guests they have, in the
	// order in which they came to have so many. The last is not empty.
	sizes []*list.List
}

// guestBlock are the guests of one block, those who came first at the front: came to the server, or
// to be without an allocation, or to have answered a nonce.
type guestBlock struct {
	addrs           netip.Prefix
	line            bool          // it is a client's widest block
	silent, proving list.List     // who have not yet answered a nonce, and who have
	at              *list.Element // in sizes; nil: in none
}

// guestPlace is where a stream is among guests, one for each block; the zero guestPlace is nowhere.
type guestPlace [source.MaxBlocks]struct {
	block *guestBlock
	in    *list.List
	at    *list.Element
}

func newGuests() *guests { return &guests{blocks: map[netip.Prefix]*guestBlock{}} }

func (b *guestBlock) size() int { return b.silent.Len() + b.proving.Len() }

// first returns the guest who goes first, or nil: the oldest of those who have not answered a nonce
// or of those who have, of whichever there are more. Who fills the places, in one way or the other,
// so pushes out its own, and anybody can answer a nonce.
func (b *guestBlock) first() *streamLink {
	in := &b.silent
	if b.proving.Len() > b.silent.Len() {
		in = &b.proving
	}
	if front := in.Front(); front != nil {
		return front.Value.(*streamLink)
	}
	return nil
}

// add makes l a guest.
func (g *guests) add(l *streamLink, proving bool) (p guestPlace) {
	blocks := source.Blocks(l.peer.Addr())
	for i, addrs := range blocks {
		b := g.blocks[addrs]
		if b == nil {
			b = &guestBlock{addrs: addrs, line: i == len(blocks)-1}
			g.blocks[addrs] = b
		}
		in := &b.silent
		if proving {
			in = &b.proving
		}
		was := b.size()
		p[i].block, p[i].in, p[i].at = b, in, in.PushBack(l)
		g.moved(b, was)
	}
	return p
}

// remove takes a guest's place away; it may have none.
func (g *guests) remove(p guestPlace) {
	for _, at := range p {
		if at.block == nil {
			return
		}
		was := at.block.size()
		at.in.Remove(at.at)
		g.moved(at.block, was)
		if at.block.size() == 0 {
			delete(g.blocks, at.block.addrs)
		}
	}
}

// moved notes that a block has more or fewer guests than before.
func (g *guests) moved(b *guestBlock, was int) {
	if !b.line {
		return
	}
	if b.at != nil {
		g.sizes[was].Remove(b.at)
		b.at = nil
	}
	n := b.size()
	for len(g.sizes) <= n {
		g.sizes = append(g.sizes, list.New())
	}
	if n > 0 {
		b.at = g.sizes[n].PushBack(b)
	}
	for len(g.sizes) > 0 && g.sizes[len(g.sizes)-1].Len() == 0 {
		g.sizes = g.sizes[:len(g.sizes)-1] // by one, or to nothing after the last guest's one
	}
}

// most returns who goes first of the line that has most guests, or nil.
func (g *guests) most() *streamLink {
	if len(g.sizes) == 0 {
		return nil
	}
	return g.sizes[len(g.sizes)-1].Front().Value.(*guestBlock).first()
}

// from returns who goes first of a block, or nil.
func (g *guests) from(addrs netip.Prefix) *streamLink {
	if b := g.blocks[addrs]; b != nil {
		return b.first()
	}
	return nil
}
