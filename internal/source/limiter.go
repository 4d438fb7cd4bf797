package source

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Limiter limits a rate per second for each source, and for each of its wider blocks; see Blocks.
// Nothing of it is held, so all neighbors in a wide block may well come at one time, as when an
// event begins: a /56 may have eight times as much as a source, a /48 64 times. It is for sources
// that have proven their address, by a TCP handshake for example; Table is for others. A nil
// Limiter limits nothing. No method allocates, nor waits for longer than it takes to look at a few
// numbers.
//
// Its memory is fixed. When more sources than it has room for have something used up, newcomers
// share what others have left: a newcomer takes the place of the one that has most left, with no
// more than that. So nobody gets back what it has used up by coming from many sources, nor by
// making others come.
type Limiter struct {
	interval  time.Duration // of a source, in which it gets one back
	tolerance time.Duration // in which it gets back all
	widen     int           // a wider block may have 2 to this as many times as the one before
	began     time.Time
	seed      maphash.Seed
	sets      []set
}

// set is the places of those blocks that have the same part of their hash: few, so that a search is
// short, and enough that it is seldom full before the others.
type set struct {
	mu     sync.Mutex
	places [8]place
}

// place is what is remembered of a block. Whose it is says its hash: nobody knows two with the same
// one, or can look for them.
type place struct {
	hash uint64
	full time.Duration // when it will have all back, since Limiter.began (as GCRA reckons it)
}

const (
	limiterSets = 2048
	ratesWiden  = 3 // 8 times
	// longAgo is before all times that a Limiter hears of: a place that nobody had is full since.
	longAgo = 100 * 365 * 24 * time.Hour
)

// NewLimiter returns a limiter of so many a second, and so many at once, both more than 0.
func NewLimiter(perSecond float64, burst int) *Limiter {
	interval := time.Duration(float64(time.Second) / perSecond)
	return &Limiter{
		interval: interval, tolerance: time.Duration(burst) * interval, widen: ratesWiden,
		began: time.Now().Add(-longAgo), seed: maphash.MakeSeed(), sets: make([]set, limiterSets),
	}
}

// Allow counts one for the source and reports whether it may be. One that may not be does not
// count.
func (l *Limiter) Allow(ip netip.Addr, now time.Time) bool {
	if l == nil {
		return true
	}
	at := now.Sub(l.began)
	from, n := blocks(ip)
	for i, block := range from[:n] {
		if !l.count(block, at, l.intervalOf(i)) {
			for j, counted := range from[:i] {
				l.uncount(counted, l.intervalOf(j))
			}
			return false
		}
	}
	return true
}

// charge counts one for the source, whether or not it may be: what is counted ends at the limit.
func (l *Limiter) charge(ip netip.Addr, now time.Time) {
	at := now.Sub(l.began)
	from, n := blocks(ip)
	for i, block := range from[:n] {
		hash, s := l.find(block)
		s.mu.Lock()
		p := s.of(hash)
		p.hash, p.full = hash, min(max(p.full, at)+l.intervalOf(i), max(p.full, at+l.tolerance))
		s.mu.Unlock()
	}
}

// used is how much of its tolerance a block has used up.
func (l *Limiter) used(block netip.Prefix, at time.Duration) time.Duration {
	hash, s := l.find(block)
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.of(hash).full-at, 0)
}

// intervalOf is the time in which the wider block of that index in Blocks gets one back. Since all
// blocks have the same tolerance, it also tells how many at once that is.
func (l *Limiter) intervalOf(i int) time.Duration { return l.interval >> (l.widen * i) }

func (l *Limiter) count(block netip.Prefix, at, interval time.Duration) bool {
	hash, s := l.find(block)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.of(hash)
	full := max(p.full, at) + interval
	if full-at > l.tolerance {
		return false
	}
	p.hash, p.full = hash, full
	return true
}

func (l *Limiter) uncount(block netip.Prefix, interval time.Duration) {
	hash, s := l.find(block)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.of(hash); p.hash == hash { // else its place is another's by now
		p.full -= interval
	}
}

func (l *Limiter) find(block netip.Prefix) (hash uint64, s *set) {
	hash = maphash.Comparable(l.seed, block)
	return hash, &l.sets[hash%uint64(len(l.sets))]
}

// of returns the block's place, or else the one of the set that has most left. mu is held.
func (s *set) of(hash uint64) *place {
	most := &s.places[0]
	for i := range s.places {
		p := &s.places[i]
		if p.hash == hash {
			return p
		}
		if p.full < most.full {
			most = p
		}
	}
	return most
}
