package source

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Limiter limits a rate per second for each source, and for each of its wider blocks; see Blocks.
// It is for sources that have proven their address, by a TCP handshake for example; Table is for
// others. A nil Limiter limits nothing. No method allocates, nor waits for longer than it takes to
// look at a few numbers.
//
// Its memory is fixed. When more sources than it has room for have something used up, newcomers
// share what others have left: a newcomer takes the place of the one that has most left, with no
// more than that. So nobody gets back what it has used up by coming from many sources, nor by
// making others come.
type Limiter struct {
	interval  time.Duration // of a source, in which it gets one back
	tolerance time.Duration // in which it gets back all
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
	// longAgo is before all times that a Limiter hears of: a place that nobody had is full since.
	longAgo = 100 * 365 * 24 * time.Hour
)

// NewLimiter returns a limiter of so many a second, and so many at once, both more than 0.
func NewLimiter(perSecond float64, burst int) *Limiter {
	interval := time.Duration(float64(time.Second) / perSecond)
	return &Limiter{
		interval: interval, tolerance: time.Duration(burst) * interval,
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
		if !l.count(block, at, l.interval>>i) {
			l.giveBack(from[:i])
			return false
		}
	}
	return true
}

// GiveBack takes back one that Allow has just counted. Who judges something, and wants to count
// only what is wrong, counts before it looks and then gives back: however many come at one time, no
// more than the limit are looked at.
func (l *Limiter) GiveBack(ip netip.Addr) {
	if l != nil {
		from, n := blocks(ip)
		l.giveBack(from[:n])
	}
}

func (l *Limiter) giveBack(from []netip.Prefix) {
	for i, block := range from {
		l.uncount(block, l.interval>>i)
	}
}

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
