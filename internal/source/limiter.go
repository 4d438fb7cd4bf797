package source

import (
	"hash/maphash"
	"maps"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter limits a rate per second for each source. It is for sources that have proven their
// address, by a TCP handshake for example; Table is for others. A nil Limiter limits nothing.
type Limiter struct {
	rate  rate.Limit
	burst int

	mu      sync.Mutex
	sources map[netip.Prefix]*rate.Limiter
}

// maxSources bounds a Limiter's memory. At that number it forgets the sources that have long been
// idle; if there are none, it forgets all.
const maxSources = 20_000

// NewLimiter returns a limiter of so many a second, and so many at once.
func NewLimiter(perSecond float64, burst int) *Limiter {
	return &Limiter{rate: rate.Limit(perSecond), burst: burst, sources: map[netip.Prefix]*rate.Limiter{}}
}

// Spent reports whether Allow would refuse the source. It counts nothing.
func (l *Limiter) Spent(ip netip.Addr, now time.Time) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter := l.sources[Of(ip)]
	return limiter != nil && limiter.TokensAt(now) < 1
}

// Allow counts one for the source and reports whether it may be.
func (l *Limiter) Allow(ip netip.Addr, now time.Time) bool {
	if l == nil {
		return true
	}
	block := Of(ip)
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter := l.sources[block]
	if limiter == nil {
		if len(l.sources) >= maxSources {
			l.forget(now)
		}
		limiter = rate.NewLimiter(l.rate, l.burst)
		l.sources[block] = limiter
	}
	return limiter.AllowN(now, 1)
}

// forget makes room. mu is held.
func (l *Limiter) forget(now time.Time) {
	maps.DeleteFunc(l.sources, func(_ netip.Prefix, limiter *rate.Limiter) bool {
		return limiter.TokensAt(now) >= float64(l.burst)
	})
	if len(l.sources) >= maxSources {
		clear(l.sources)
	}
}

// Table holds a T for each source in a fixed array, by a hash of the source: a flood from spoofed
// sources costs no memory. Two sources with the same slot share it; nobody can choose with whom.
// Several goroutines must be able to use a T at once.
type Table[T any] struct {
	seed  maphash.Seed
	slots []T
}

// NewTable returns a table of that many slots.
func NewTable[T any](slots int) *Table[T] {
	return &Table[T]{seed: maphash.MakeSeed(), slots: make([]T, slots)}
}

// Of returns the slot of ip's source. It allocates nothing.
func (t *Table[T]) Of(ip netip.Addr) *T {
	return &t.slots[maphash.Comparable(t.seed, Of(ip))%uint64(len(t.slots))]
}

// At returns the slot of any key, such as a source and a user. It is not the one that Of returns
// for a source.
func At[T any, K comparable](t *Table[T], key K) *T {
	return &t.slots[maphash.Comparable(t.seed, key)%uint64(len(t.slots))]
}
