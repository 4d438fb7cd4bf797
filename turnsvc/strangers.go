package turnsvc

import (
	"net/netip"
	"time"
)

// doorman refuses and challenges requests without a known key. Strangers can make the server send
// such answers, so they are small and limited by source. Clients that have shown that they receive
// at their address have a limit of their own, which no flood of spoofed packets uses up.
type doorman struct {
	*core
	challenges *challenges
	unproven   *allowance    // answers to datagrams, whose source may be spoofed
	proven     *allowance    // answers to who came by a handshake, or has answered a nonce
	patience   time.Duration // for which a stranger over a stream waits for its turn
}

// standing says what is known of who has sent a request that is not authenticated.
type standing bool

const (
	stranger standing = false // nothing; over a stream, that it receives at its address
	answered standing = true  // it has answered a nonce of ours: so it receives at its address
)

// handshaken reports whether a link was made by a handshake, so that its client's address is not
// spoofed.
func handshaken(l link) bool { return l.transport() != "udp" }

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
		for until := d.clock.now() + int64(d.patience); d.clock.now() < until && !in.link.closed(); {
			time.Sleep(inTurnPause)
			if may() {
				return true
			}
		}
	}
	d.counters.drop(dropRateLimited)
	return false
}

// mayAnswer counts an answer to a stranger, and reports whether there may be one.
func (d *doorman) mayAnswer(in *inlet, src netip.AddrPort, who standing) bool {
	of := d.unproven
	if who == answered || handshaken(in.link) {
		of = d.proven
	}
	return d.inTurn(in, func() bool { return of.allow(src, d.clock.wall()) })
}

// challenge answers 401 or 438 with REALM and NONCE, within the limit.
func (d *doorman) challenge(in *inlet, src netip.AddrPort, who standing, code int) {
	if who == stranger && code == 401 {
		d.watches.challenged(in.link, src)
	}
	if d.mayAnswer(in, src, who) {
		d.sendChallenge(in, src, code)
	}
}

func (d *doorman) sendChallenge(in *inlet, src netip.AddrPort, code int) {
	d.counters.refused(code)
	in.link.answer(d.challenges.answer(in.scratch[:], &in.msg, src, code, d.clock.wall()), src)
}

// refuse answers a stranger with an error code, within the limit.
func (d *doorman) refuse(in *inlet, src netip.AddrPort, code int) {
	if d.mayAnswer(in, src, stranger) {
		d.counters.refused(code)
		in.link.answer(errorAnswer(in.scratch[:], &in.msg, nil, code), src)
	}
}
