package turnsvc

import (
	"net/netip"
	"time"
)

const (
	// replyLifetime is how long a client may repeat a request over UDP: 39.5 s with the default timers (RFC 8489 §6.2.1).
	replyLifetime = 40 * time.Second
	// maxReplies bounds the memory for them. Under a flood old ones go early; a request is then handled as a new one.
	maxReplies = 8192
)

// replies keeps recent answers of the books, so that a retransmitted request gets the same one and has no second effect: above all
// an Allocate, and a Refresh that has ended the allocation.
type replies struct {
	byRequest map[replyKey]keptReply
	order     []replyKey // as they were kept
}

// replyKey is the 5-tuple and the transaction.
type replyKey struct {
	transport     string
	local, client netip.AddrPort
	method        uint16
	transaction   [12]byte
}

type keptReply struct {
	raw     []byte
	key     []byte // of the long-term credential that signed the request
	expires int64
}

func keyOf(r *request) replyKey {
	return replyKey{r.link.transport(), r.link.local(), r.client, r.msg.method, [12]byte(r.msg.transactionID())}
}

// find returns the answer to a request that r repeats, or nil.
func (p *replies) find(r *request, now int64) []byte {
	kept, ok := p.byRequest[keyOf(r)]
	if !ok || now >= kept.expires || !sameKey(kept.key, r.key) {
		return nil
	}
	return kept.raw
}

// keep stores an answer, which nobody changes from now on.
func (p *replies) keep(r *request, raw []byte, now int64) {
	if p.byRequest == nil {
		p.byRequest = map[replyKey]keptReply{}
	}
	key := keyOf(r)
	if _, again := p.byRequest[key]; !again {
		if len(p.order) >= maxReplies {
			p.forgetOldest()
		}
		p.order = append(p.order, key)
	}
	p.byRequest[key] = keptReply{raw, r.key, now + int64(replyLifetime)}
}

// forget drops what nobody may repeat any more.
func (p *replies) forget(now int64) {
	for len(p.order) > 0 && now >= p.byRequest[p.order[0]].expires {
		p.forgetOldest()
	}
	if len(p.order) == 0 {
		*p = replies{} // a map never shrinks by itself
	}
}

func (p *replies) forgetOldest() {
	delete(p.byRequest, p.order[0])
	p.order = p.order[1:]
}
