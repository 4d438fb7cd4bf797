package signal

import (
	"maps"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// remoteAddr is the address at the other end of the connection; the zero Addr if it is none, as
// with a Unix socket.
func remoteAddr(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// sourcePace limits something a second for each block of addresses. nil limits nothing.
type sourcePace struct {
	rate  rate.Limit
	burst int

	mu     sync.Mutex
	blocks map[netip.Prefix]*rate.Limiter
}

const (
	// paceBurst is how many seconds' worth a source may have at once: as much as comes back
	// together after a restart.
	paceBurst = 32
	// maxPaced bounds the memory: with so many blocks, those that have long been quiet are
	// forgotten, or all.
	maxPaced = 20_000
)

func newSourcePace(perSecond int) *sourcePace {
	return &sourcePace{rate: rate.Limit(perSecond), burst: paceBurst * perSecond,
		blocks: make(map[netip.Prefix]*rate.Limiter)}
}

// allow counts one for the source and tells whether it may be.
func (p *sourcePace) allow(source netip.Addr, now time.Time) bool {
	if p == nil {
		return true
	}
	block := sourceBlock(source)
	p.mu.Lock()
	defer p.mu.Unlock()
	limiter := p.blocks[block]
	if limiter == nil {
		if len(p.blocks) >= maxPaced {
			maps.DeleteFunc(p.blocks, func(_ netip.Prefix,
				l *rate.Limiter) bool {
				return l.TokensAt(now) >= float64(p.burst)
			})
		}
		if len(p.blocks) >= maxPaced {
			clear(p.blocks)
		}
		limiter = rate.NewLimiter(p.rate, p.burst)
		p.blocks[block] = limiter
	}
	return limiter.AllowN(now, 1)
}

// sourceBlock is whom SessionsPerSource counts as one. An IPv6 host commands a whole /64 (RFC 6177
// §2), so that counting its single addresses would limit nobody.
func sourceBlock(source netip.Addr) netip.Prefix {
	source = source.Unmap().WithZone("")
	if !source.IsValid() {
		return netip.Prefix{}
	}
	bits := source.BitLen()
	if source.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(source, bits).Masked()
}
