package source

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Strangers can be refused as often as they like. These two keep that from filling the log.

// Once lets each word through once, while it is among the last few. Strangers can make words up, so
// there are a few of each line of sources, and in all; later, others have their place.
type Once struct {
	mu   sync.Mutex
	said []said // the oldest first
}

// said is a word, who has brought it, and when.
type said struct {
	word string
	line netip.Prefix
	at   time.Time
}

const (
	maxSaid       = 16 // words, in all
	maxSaidOfLine = 4
	saidFor       = 10 * time.Minute // until another may have a word's place
)

// First reports whether the word is to be said. from is whose it is; the zero Addr if nobody knows.
func (o *Once) First(word string, from netip.Addr, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	line, ofLine, first := lineOf(from), 0, 0 // first: the oldest of the line
	for i, s := range o.said {
		if s.word == word {
			return false
		}
		if s.line == line {
			if ofLine == 0 {
				first = i
			}
			ofLine++
		}
	}
	switch {
	case line.IsValid() && ofLine >= maxSaidOfLine:
	case len(o.said) >= maxSaid:
		first = 0
	default:
		o.said = append(o.said, said{word, line, now})
		return true
	}
	if now.Sub(o.said[first].at) < saidFor {
		return false
	}
	o.said = append(slices.Delete(o.said, first, first+1), said{word, line, now})
	return true
}

// lineOf is Line, and the zero Prefix for the zero Addr.
func lineOf(from netip.Addr) (line netip.Prefix) {
	if from.IsValid() {
		line = Line(from)
	}
	return line
}

// Minutely lets one event through a minute, and counts those between.
type Minutely struct {
	mu   sync.Mutex
	last time.Time
	n    int
}

// Due counts an event. If it is to be said, n is how many there have been since the last that was.
func (m *Minutely) Due(now time.Time) (n int, due bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	if now.Sub(m.last) < time.Minute {
		return 0, false
	}
	n, m.n, m.last = m.n, 0, now
	return n, true
}
