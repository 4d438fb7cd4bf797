package signal

import (
	"sync"
	"time"
)

// callBook knows which sessions may signal each other without sharing a room: the two ends of a
// call to a named user. A call lasts until one of them hangs up or ends, or until a new one needs
// its place and nobody has said anything in it for long. S is a session.
type callBook[S comparable] struct {
	limit int // calls of one session

	mu    sync.Mutex
	calls map[S]map[S]*call[S]
}

// call is between two sessions, each of which finds it under the other.
type call[S comparable] struct {
	from, to S         // the latter is the polite one
	answered bool      // it has said something
	last     time.Time // when one of them has said something
}

// callSilence is how long nothing is said in a call that makes room for another one.
const callSilence = 10 * time.Minute

func newCallBook[S comparable](limit int) *callBook[S] {
	return &callBook[S]{limit: limit, calls: make(map[S]map[S]*call[S])}
}

// open records a call, unless there is one between the two in either direction, and reports whether
// it did. over are calls that have made room. The hub's lock is held, so neither end can leave
// meanwhile.
func (b *callBook[S]) open(from, to S, now time.Time) (fresh bool, over []call[S], err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls[from][to] != nil {
		return false, nil, nil
	}
	// A callee can't choose its callers, so its limit is larger: one caller alone can't make it
	// unreachable.
	for end, limit := range map[S]int{from: b.limit, to: 4 * b.limit} {
		if len(b.calls[end]) < limit {
			continue
		}
		c := b.mostSilent(end)
		if c == nil || now.Sub(c.last) < callSilence {
			return false, over, Refuse(CodeRateLimited, "too many calls at once")
		}
		b.remove(c)
		over = append(over, *c)
	}
	c := &call[S]{from: from, to: to, last: now}
	b.note(from, to, c)
	b.note(to, from, c)
	return true, over, nil
}

// mostSilent is the call of a session in which nothing has been said for longest, or nil.
func (b *callBook[S]) mostSilent(end S) (most *call[S]) {
	for _, c := range b.calls[end] {
		if most == nil || c.last.Before(most.last) {
			most = c
		}
	}
	return most
}

// remove ends a call. mu is held.
func (b *callBook[S]) remove(c *call[S]) {
	for _, end := range [][2]S{{c.from, c.to}, {c.to, c.from}} {
		delete(b.calls[end[0]], end[1])
		if len(b.calls[end[0]]) == 0 {
			delete(b.calls, end[0])
		}
	}
}

// hangUp ends the call between two sessions, and reports whether there was one.
func (b *callBook[S]) hangUp(x, y S) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.calls[x][y]
	if c != nil {
		b.remove(c)
	}
	return c != nil
}

func (b *callBook[S]) note(end, other S, c *call[S]) {
	if b.calls[end] == nil {
		b.calls[end] = make(map[S]*call[S])
	}
	b.calls[end][other] = c
}

// between reports whether there is a call between two sessions.
func (b *callBook[S]) between(x, y S) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[x][y] != nil
}

// said notes that one end of a call says something to the other, and returns the role of the other
// towards it, and whether the one is a stranger to it: its call has not been answered yet.
func (b *callBook[S]) said(from, to S, now time.Time) (polite, stranger bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.calls[from][to]
	if c == nil {
		return false, true // it is just over
	}
	c.last = now
	if c.from != from {
		c.answered = true
	}
	return c.from == from, !c.answered
}

// end closes all calls of a session and returns who was at the other ends.
func (b *callBook[S]) end(s S) []S {
	b.mu.Lock()
	defer b.mu.Unlock()
	var others []S
	for other, c := range b.calls[s] {
		others = append(others, other)
		b.remove(c)
	}
	return others
}
