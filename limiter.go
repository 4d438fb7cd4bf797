package signalbox

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// sourceLimiter limits something a second per source: an IPv4 address, or an IPv6 /64.
type sourceLimiter struct {
	rate  rate.Limit
	burst int

	mu      sync.Mutex
	sources map[netip.Prefix]*rate.Limiter
}

// maxSources bounds the memory. At that many, those that have long been idle are forgotten; if none
// has, all are.
const maxSources = 20_000

func newSourceLimiter(perSecond float64, burst int) *sourceLimiter {
	return &sourceLimiter{rate: rate.Limit(perSecond), burst: burst, sources: map[netip.Prefix]*rate.Limiter{}}
}

// spent reports whether allow would refuse the source. It counts nothing.
func (l *sourceLimiter) spent(ip netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter := l.sources[sourcePrefix(ip.Unmap())]
	return limiter != nil && limiter.TokensAt(now) < 1
}

// allow counts one for the source and reports whether it may be.
func (l *sourceLimiter) allow(ip netip.Addr, now time.Time) bool {
	source := sourcePrefix(ip.Unmap())
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter := l.sources[source]
	if limiter == nil {
		if len(l.sources) >= maxSources {
			l.forget(now)
		}
		limiter = rate.NewLimiter(l.rate, l.burst)
		l.sources[source] = limiter
	}
	return limiter.AllowN(now, 1)
}

// forget makes room. mu is held.
func (l *sourceLimiter) forget(now time.Time) {
	for source, limiter := range l.sources {
		if limiter.TokensAt(now) >= float64(l.burst) {
			delete(l.sources, source)
		}
	}
	if len(l.sources) >= maxSources {
		clear(l.sources)
	}
}
