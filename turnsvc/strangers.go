package turnsvc

import (
	"net/netip"
	"sync/atomic"
	"time"

	"signalbox/internal/source"
)

// allowance limits a rate per second, of answers or of guesses at a key, for each source that has
// not proven who it is. It is a fixed table, so a flood from spoofed sources costs no memory.
type allowance struct {
	limit atomic.Uint32 // a second; 0: none
	used  *source.Table[atomic.Uint64]
}

func newAllowance(limit int) *allowance {
	w := &allowance{used: source.NewTable[atomic.Uint64](1 << 14)}
	w.setLimit(limit)
	return w
}

func (w *allowance) setLimit(limit int) { w.limit.Store(uint32(max(limit, 0))) }

// spent reports whether the source has had all that it may have in this second.
func (w *allowance) spent(ip netip.Addr, now time.Time) bool {
	limit, had := uint64(w.limit.Load()), w.used.Of(ip).Load()
	return limit > 0 && had>>32 == uint64(uint32(now.Unix())) && had&0xFFFFFFFF >= limit
}

// allow counts one for the source and reports whether it may have it.
func (w *allowance) allow(ip netip.Addr, now time.Time) bool {
	limit := uint64(w.limit.Load())
	if limit == 0 {
		return true
	}
	slot := w.used.Of(ip)
	second := uint64(uint32(now.Unix()))
	for {
		old := slot.Load()
		count := uint64(1)
		if old>>32 == second {
			if count = old&0xFFFFFFFF + 1; count > limit {
				return false
			}
		}
		if slot.CompareAndSwap(old, second<<32|count) {
			return true
		}
	}
}

// doorman refuses and challenges requests without a known key. Strangers can make the server send
// such answers, so they are small and limited by source.
type doorman struct {
	*core
	challenges *challenges
	answers    *allowance
	patience   time.Duration // for which a stranger over a stream waits for its turn
}

// inTurnPause is how often a stranger over a stream tries again.
const inTurnPause = 100 * time.Millisecond

// inTurn reports whether a limited source may proceed; if not, that counts as a drop. A client over
// a stream has proven its address and won't ask again, so inTurn lets it wait for a while, which
// delays only its own connection.
func (d *doorman) inTurn(in *inlet, may func() bool) bool {
	if may() {
		return true
	}
	if in.link.padded() {
		for until := d.clock.now() + int64(d.patience); d.clock.now() < until; {
			time.Sleep(inTurnPause)
			if in.link.closed() {
				break
			}
			if may() {
				return true
			}
		}
	}
	d.counters.drop(dropRateLimited)
	return false
}

// mayAnswer counts an answer to a stranger, and reports whether there may be one.
func (d *doorman) mayAnswer(in *inlet, src netip.AddrPort) bool {
	return d.inTurn(in, func() bool { return d.answers.allow(src.Addr(), d.clock.wall()) })
}

// challenge answers 401 or 438 with REALM and NONCE, within the limit.
func (d *doorman) challenge(in *inlet, src netip.AddrPort, code int) {
	if d.mayAnswer(in, src) {
		d.sendChallenge(in, src, code)
	}
}

func (d *doorman) sendChallenge(in *inlet, src netip.AddrPort, code int) {
	d.counters.refused(code)
	in.link.answer(d.challenges.answer(in.scratch[:], &in.msg, src, code, d.clock.wall()), src)
}

// refuse answers a stranger with an error code, within the limit.
func (d *doorman) refuse(in *inlet, src netip.AddrPort, code int) {
	if d.mayAnswer(in, src) {
		d.counters.refused(code)
		in.link.answer(errorAnswer(in.scratch[:], &in.msg, nil, code), src)
	}
}
