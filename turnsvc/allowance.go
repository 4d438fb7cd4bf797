package turnsvc

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"

	"signalbox/internal/source"
)

// allowance limits something per second: answers, or guesses at a key. It counts by a key that
// somebody else may use up: a source's address in spoofed packets, or the users behind one NAT. So
// beyond the limit each client, which is a transport address, that has had nothing in a second gets
// one in it; spare times the limit bounds what one source gets that way. The tables are fixed, so a
// flood costs no memory.
type allowance struct {
	limit  atomic.Uint32 // a second; 0: none
	spare  uint64
	used   *source.Table[atomic.Uint64] // by key
	beyond *source.Table[atomic.Uint64] // by source
	// By client: a mark of who had its one, and in which second. A client may stand in either
	// table, so that in a flood hardly anybody is taken for another.
	last [2]*source.Table[atomic.Uint64]
	mark maphash.Seed
}

const (
	// spareAnswers is for what may be spoofed: a flood of some thousands a second in somebody's
	// name leaves that one its answers, and reflects no more than some hundred KiB a second.
	spareAnswers = 64
	// spareGuesses is for those who receive what they are sent. It bounds how much faster passwords
	// can be guessed from many ports, or under many names.
	spareGuesses = 4
	// spareLooks is for passwords of minted credentials. They are made with a secret that is too
	// long to guess, so this bounds only the work of looking, some 10 µs each, and nobody's
	// neighbor uses it up by the way.
	spareLooks = 64

	// bindingsPerSource and spareBindings are for STUN Binding requests, which need no key. Who
	// gathers candidates asks a handful of times, and many may do so at once behind one NAT. In
	// somebody's name they reflect no more than some hundred KiB a second.
	bindingsPerSource = 200
	spareBindings     = 32
)

func newAllowance(limit int, spare uint64) *allowance {
	w := &allowance{
		spare: spare, used: source.NewTable[atomic.Uint64](1 << 14), beyond: source.NewTable[atomic.Uint64](1 << 14),
		mark: maphash.MakeSeed(),
	}
	for i := range w.last {
		w.last[i] = source.NewTable[atomic.Uint64](1 << 15)
	}
	w.setLimit(limit)
	return w
}

func (w *allowance) setLimit(limit int) { w.limit.Store(uint32(max(limit, 0))) }

// allow counts one for a source's client and reports whether it may have it.
func (w *allowance) allow(client netip.AddrPort, now time.Time) bool {
	limit := uint64(w.limit.Load())
	var t tally
	return limit == 0 || t.count(w.used.Of(client.Addr()), limit, now) ||
		w.allowBeyond(&t, client, now, source.Of(client.Addr()))
}

// allowLine is allow, counted also in the wider blocks that one line may have; see source.Blocks.
func (w *allowance) allowLine(client netip.AddrPort, now time.Time) bool {
	limit, from := uint64(w.limit.Load()), source.Blocks(client.Addr())
	var t tally
	for i, block := range from {
		if !t.count(source.At(w.used, block), source.MayHold(limit, i), now) {
			t.giveBack()
			return w.allowBeyond(&t, client, now, from...)
		}
	}
	return true
}

// allowBeyond counts one beyond the limit in an empty tally: in each of the blocks.
func (w *allowance) allowBeyond(t *tally, client netip.AddrPort, now time.Time, from ...netip.Prefix) bool {
	second, most := uint32(now.Unix()), w.spare*uint64(w.limit.Load())
	mark := maphash.Comparable(w.mark, client) << 32
	var free *atomic.Uint64
	var had uint64
	for _, table := range w.last {
		slot := source.At(table, client)
		old := slot.Load()
		switch isNow := uint32(old)-second <= 1; { // see tally.count
		case isNow && old>>32 == mark>>32:
			return false
		case !isNow && free == nil:
			free, had = slot, old
		}
	}
	ok := free != nil
	for i, block := range from {
		ok = ok && t.count(source.At(w.beyond, block), source.MayHold(most, i), now)
	}
	if ok = ok && free.CompareAndSwap(had, mark|uint64(second)); !ok {
		t.giveBack()
	}
	return ok
}

// guesser is whose guesses are counted: at one user's key, from one block of addresses. So wrong
// passwords for one user don't lock out another one behind the same NAT. Without a user it is all
// guesses at minted credentials from there, or all others: under how many names somebody guesses is
// up to them.
type guesser struct {
	from   netip.Prefix
	minted bool
	user   string
}

// guess counts a guess at the key of a user, empty for a minted credential's, and reports whether
// it may be looked at. The caller gives it back if it was right, so that only wrong ones use up the
// budget. It is counted before it is looked at: however many come at once, no more are. A line of
// IPv6 has not the limit of a source for each of its /64s; see source.Blocks.
func (w *allowance) guess(client netip.AddrPort, user string, now time.Time) (t tally, ok bool) {
	limit := uint64(w.limit.Load())
	if limit == 0 {
		return t, true
	}
	from := source.Blocks(client.Addr())
	if w.guessWithin(&t, from, user, limit, now) {
		return t, true
	}
	t.giveBack()
	return t, w.allowBeyond(&t, client, now, from...)
}

// guessWithin counts a guess within the limits of the blocks that it comes from, the narrowest
// first.
func (w *allowance) guessWithin(t *tally, from []netip.Prefix, user string, limit uint64, now time.Time) bool {
	minted := user == ""
	for i, block := range from {
		most, ok := source.MayHold(limit, i), false
		if minted {
			ok = t.count(source.At(w.used, guesser{from: block, minted: true}), spareLooks*most, now)
		} else {
			ok = t.count(source.At(w.used, guesser{from: block, user: user}), most, now) &&
				t.count(source.At(w.used, guesser{from: block}), w.spare*most, now)
		}
		if !ok {
			return false
		}
	}
	return true
}

// tally is where something has been counted, to give it back.
type tally struct {
	n  int
	at [2 * source.MaxBlocks]struct {
		slot   *atomic.Uint64
		second uint32
	}
}

// count adds one to what a slot has counted in this second, unless that is the limit already.
func (t *tally) count(slot *atomic.Uint64, limit uint64, now time.Time) bool {
	second := uint32(now.Unix())
	for {
		old, n := slot.Load(), uint64(1)
		// Who read the clock just before the second turned, counts in the new one.
		if counted := uint32(old >> 32); counted-second <= 1 {
			second, n = counted, old&0xFFFFFFFF+1
		}
		if n > limit {
			return false
		}
		if slot.CompareAndSwap(old, uint64(second)<<32|n) {
			t.at[t.n].slot, t.at[t.n].second = slot, second
			t.n++
			return true
		}
	}
}

// giveBack takes back all that t has counted, where the second has not turned since.
func (t *tally) giveBack() {
	for _, c := range t.at[:t.n] {
		for {
			old := c.slot.Load()
			if uint32(old>>32) != c.second || c.slot.CompareAndSwap(old, old-1) {
				break
			}
		}
	}
	t.n = 0
}
