package turnsvc

import (
	"net/netip"
	"time"

	"signalbox/turnsvc/internal/wire"
)

const (
	// replyLifetime is how long a client may repeat a request over UDP: 39.5 s with the default
	// timers (RFC 8489 §6.2.1).
	replyLifetime = 40 * time.Second
	// maxReplies bounds the memory for them. Under a flood old ones go early, and a repeated
	// request then counts as new. The answer to the Allocate that made an allocation is also kept
	// with the allocation: a client that missed it has no other way to get it.
	maxReplies = 8192
)

// replies keep recent answers of the books, so that a retransmitted request gets the same answer
// and has no second effect. This matters most for an Allocate, and for a Refresh that has ended the
// allocation. There are two generations. The older one goes as a whole, with its memory, so each
// answer stays for at least one lifetime and at most two.
type replies struct {
	young, old map[replyKey]keptReply
	turned     int64 // clock; when young was begun
}

// replyKey is the 5-tuple and the transaction.
type replyKey struct {
	transport     string
	local, client netip.AddrPort
	method        uint16
	transaction   [12]byte
}

type keptReply struct {
	raw []byte
	key []byte // of the long-term credential that signed the request
}

func keyOf(r *request) replyKey {
	return replyKey{r.link.transport(), r.link.local(), r.client, r.msg.Method, [12]byte(r.msg.TransactionID())}
}

// find returns the answer to a request that r repeats, or nil.
func (p *replies) find(r *request) []byte {
	key := keyOf(r)
	kept, ok := p.young[key]
	if !ok {
		kept, ok = p.old[key]
	}
	if !ok || !sameKey(kept.key, r.key) {
		return nil
	}
	return kept.raw
}

// repeats reports whether r repeats that Allocate. The caller has checked that r's user and key are
// the allocation's.
func (m *made) repeats(r *request, now int64) bool {
	return r.msg.Method == wire.MethodAllocate && now < m.expires && m.transaction == [12]byte(r.msg.TransactionID())
}

// forget drops the answer when its request is too old to be repeated.
func (m *made) forget(now int64) {
	if now >= m.expires {
		*m = made{}
	}
}

// keep stores an answer, which nobody changes from now on.
func (p *replies) keep(r *request, raw []byte, now int64) {
	if len(p.young) >= maxReplies/2 {
		p.turn(now)
	}
	if p.young == nil {
		p.young = map[replyKey]keptReply{}
	}
	p.young[keyOf(r)] = keptReply{raw, r.key}
}

// forget drops answers whose requests are too old to be repeated.
func (p *replies) forget(now int64) {
	if now-p.turned >= int64(replyLifetime) {
		p.turn(now)
	}
}

func (p *replies) turn(now int64) { p.young, p.old, p.turned = nil, p.young, now }
