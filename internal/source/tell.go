package source

import (
	"sync"
	"time"
)

// Strangers can be refused as often as they like. These two keep that from filling the log.

// Once lets each word through once, and so many words in all: strangers can make them up.
type Once struct {
	mu   sync.Mutex
	said map[string]bool
}

// maxSaid is how many words Once lets through.
const maxSaid = 16

// First reports whether the word is to be said.
func (o *Once) First(word string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said[word] || len(o.said) >= maxSaid {
		return false
	}
	if o.said == nil {
		o.said = map[string]bool{}
	}
	o.said[word] = true
	return true
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
