package signal

import "sync"

// callBook knows which sessions may signal each other without sharing a room: the two ends of a
// call to a named user. A call lasts until one of them ends. S is a session.
type callBook[S comparable] struct {
	limit int // calls of one session

	mu    sync.Mutex
	calls map[S]map[S]callEnd
}

type callEnd bool

const (
	caller callEnd = false
	callee callEnd = true // the polite one
)

func newCallBook[S comparable](limit int) *callBook[S] {
	return &callBook[S]{limit: limit, calls: make(map[S]map[S]callEnd)}
}

// open records a call, unless there is one between the two in either direction, and reports whether
// it did. The hub's lock is held, so neither end can leave meanwhile.
func (b *callBook[S]) open(from, to S) (fresh bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, open := b.calls[from][to]; open {
		return false, nil
	}
	// A callee can't choose its callers, so its limit is larger: one caller alone can't make it
	// unreachable.
	if len(b.calls[from]) >= b.limit || len(b.calls[to]) >= 4*b.limit {
		return false, Refuse(CodeRateLimited, "too many calls at once")
	}
	b.note(from, to, caller)
	b.note(to, from, callee)
	return true, nil
}

func (b *callBook[S]) note(end, other S, as callEnd) {
	if b.calls[end] == nil {
		b.calls[end] = make(map[S]callEnd)
	}
	b.calls[end][other] = as
}

// polite returns the role of one end towards the other, and whether there is a call between them.
func (b *callBook[S]) polite(end, other S) (polite, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	as, open := b.calls[end][other]
	return as == callee, open
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
