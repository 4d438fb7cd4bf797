package signal

import "sync"

// callBook knows which sessions may signal each other without sharing a room: the two ends of a
// call to a named user. A call lasts until one of them ends. S is a session.
type callBook[S comparable] struct {
	limit int // calls of one session

	mu    sync.Mutex
	calls map[S]map[S]*call[S]
}

// call is between two sessions, each of which finds it under the other.
type call[S comparable] struct {
	from     S    // the other end is the polite one
	answered bool // that end has said something
}

func newCallBook[S comparable](limit int) *callBook[S] {
	return &callBook[S]{limit: limit, calls: make(map[S]map[S]*call[S])}
}

// open records a call, unless there is one between the two in either direction, and reports whether
// it did. The hub's lock is held, so neither end can leave meanwhile.
func (b *callBook[S]) open(from, to S) (fresh bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls[from][to] != nil {
		return false, nil
	}
	// A callee can't choose its callers, so its limit is larger: one caller alone can't make it
	// unreachable.
	if len(b.calls[from]) >= b.limit || len(b.calls[to]) >= 4*b.limit {
		return false, Refuse(CodeRateLimited, "too many calls at once")
	}
	c := &call[S]{from: from}
	b.note(from, to, c)
	b.note(to, from, c)
	return true, nil
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
func (b *callBook[S]) said(from, to S) (polite, stranger bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.calls[from][to]
	if c == nil {
		return false, true // it is just over
	}
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
	for other := range b.calls[s] {
		others = append(others, other)
		delete(b.calls[other], s)
		if len(b.calls[other]) == 0 {
			delete(b.calls, other)
		}
	}
	delete(b.calls, s)
	return others
}
