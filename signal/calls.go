package signal

import (
	"net/netip"
	"sync"
	"time"
)

// callBook knows which sessions may signal each other without sharing a room: the two ends of a
// call to a named user. A user may have several sessions: then all of them ring, each in a call of
// its own, until one has said something, which ends the others. A call lasts until one of its ends
// hangs up or ends, or until a new one needs its place and nobody has said anything in it for long.
// S is a session.
type callBook[S comparable] struct {
	limit int                  // calls of one session
	line  func(S) netip.Prefix // see Session.line; nil: lines share nothing

	mu    sync.RWMutex
	rings uint64 // so far
	calls map[S]map[S]*call[S]
}

// call is between two sessions, each of which finds it under the other.
type call[S comparable] struct {
	from, to S // the latter is the polite one
	// ring is the number of the ring that it belongs to, the same for all sessions of a user who
	// are called at once. It is 0 once the callee has said something.
	ring uint64
	word callWord  // that rang
	last time.Time // when one of them has said something
}

// callSilence is how long nothing is said in a call that makes room for another one.
const callSilence = 10 * time.Minute

func newCallBook[S comparable](limit int) *callBook[S] {
	return &callBook[S]{limit: limit, calls: make(map[S]map[S]*call[S])}
}

// ring returns those of a user's sessions that have a call with the caller, in either direction. If
// none has, it calls them all, and returns those that could be called: fresh says so. over are
// calls that have made room. It fails if none can be called. The hub's lock is held, so no end can
// leave meanwhile.
func (b *callBook[S]) ring(from S, devices []S, word callWord, now time.Time) (
	to []S, fresh bool, over []call[S], err error,
) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if to = b.withLocked(from, devices); len(to) > 0 {
		return to, false, nil, nil
	}
	b.rings++
	for _, device := range devices {
		more, failed := b.open(from, device, word, now)
		if over = append(over, more...); failed != nil {
			err = failed
		} else {
			to = append(to, device)
		}
	}
	if len(to) > 0 {
		err = nil
	}
	return to, true, over, err
}

// with returns those of a user's sessions that have a call with another one.
func (b *callBook[S]) with(end S, devices []S) []S {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.withLocked(end, devices)
}

// withLocked is with, with mu held.
func (b *callBook[S]) withLocked(end S, devices []S) (to []S) {
	for _, device := range devices {
		if b.calls[end][device] != nil {
			to = append(to, device)
		}
	}
	return to
}

// open records a call that belongs to the latest ring. mu is held.
func (b *callBook[S]) open(from, to S, word callWord, now time.Time) (over []call[S], err error) {
	// A callee can't choose its callers, so its limit is larger: one caller alone can't make it
	// unreachable.
	for _, end := range []struct {
		of    S
		limit int
	}{{from, b.limit}, {to, b.places()}} {
		if len(b.calls[end.of]) < end.limit {
			continue
		}
		c := b.mostSilent(end.of)
		if c == nil || now.Sub(c.last) < callSilence {
			return nil, Refuse(CodeRateLimited, "too many calls at once")
		}
		over = append(over, *c)
	}
	if !b.leavesPlaces(from, to, now) {
		return nil, Refuse(CodeRateLimited, "too many calls from your network address wait for an answer")
	}
	for i := range over {
		b.remove(&over[i])
	}
	c := &call[S]{from: from, to: to, ring: b.rings, word: word, last: now}
	b.note(from, to, c)
	b.note(to, from, c)
	return over, nil
}

// places are how many calls a session may be in that others may have made.
func (b *callBook[S]) places() int { return 4 * b.limit }

// lineShare: callers of one line who have not been answered have one of so many places of a callee.
const lineShare = 8

// leavesPlaces reports whether a caller leaves others places if it takes one of the callee's. A
// silent call, which makes room for others, does not count. mu is held.
func (b *callBook[S]) leavesPlaces(from, to S, now time.Time) bool {
	if b.line == nil {
		return true
	}
	line, unanswered := b.line(from), 0
	if !line.IsValid() {
		return true
	}
	for _, c := range b.calls[to] {
		if c.to == to && c.ring != 0 && now.Sub(c.last) < callSilence && b.line(c.from) == line {
			unanswered++
		}
	}
	return unanswered < max(b.places()/lineShare, 1)
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

// hangUp ends the call between two sessions at the wish of one, and reports whether there was one,
// and whether the other is to hear of it: a caller whom others of the user's sessions may still
// answer is not. only says that it ends only if the other, whom the one has called, has not
// answered; said is the last word.
func (b *callBook[S]) hangUp(one, other S, only bool, said callWord) (was, told bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.calls[one][other]
	if c == nil || only && (c.from != one || c.ring == 0) || c.isOfAnother(said) {
		return false, false
	}
	b.remove(c)
	return true, c.from == one || len(b.alsoRinging(c)) == 0
}

func (b *callBook[S]) note(end, other S, c *call[S]) {
	if b.calls[end] == nil {
		b.calls[end] = make(map[S]*call[S])
	}
	b.calls[end][other] = c
}

// alsoRinging are the other calls of the ring that a call belongs to. mu is held.
func (b *callBook[S]) alsoRinging(c *call[S]) (others []*call[S]) {
	for _, o := range b.calls[c.from] {
		if c.ring != 0 && o != c && o.ring == c.ring {
			others = append(others, o)
		}
	}
	return others
}

// isOfAnother reports whether what one end says belongs to an earlier call of the two: it was on
// its way when that ended and this one began to ring.
func (c *call[S]) isOfAnother(said callWord) bool {
	return c.ring != 0 && c.word.ID != "" && said.ID != "" && said.ID != c.word.ID &&
		said.Call != "ring" // two may call each other at once
}

// rings reports whether the call waits for an answer of that end.
func (c *call[S]) rings(end S) bool { return c.ring != 0 && c.to == end }

// awaits reports whether the call of two waits for an answer of the one.
func (b *callBook[S]) awaits(one, other S) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	c := b.calls[one][other]
	return c != nil && c.rings(one)
}

// between reports whether there is a call between two sessions.
func (b *callBook[S]) between(x, y S) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.calls[x][y] != nil
}

// said notes that one end of a call says something to the other, and returns the role of the other
// towards it, and whether the one is a stranger to it: its call has not been answered yet. If this
// is the answer, the calls with other sessions of the user are over: unanswered are these. It fails
// if the call is over by now, as when another session has just answered, or the word was meant
// for the one before.
func (b *callBook[S]) said(from, to S, word callWord, now time.Time) (
	polite, stranger bool, unanswered []S, err error,
) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.calls[from][to]
	if c == nil || c.rings(from) && c.isOfAnother(word) {
		return false, false, nil, Refuse(CodeNoSuchPeer, "")
	}
	c.last = now
	if c.from != from {
		for _, o := range b.alsoRinging(c) {
			b.remove(o)
			unanswered = append(unanswered, o.to)
		}
		c.ring = 0
	}
	return c.from == from, c.ring != 0, unanswered, nil
}

// end closes all calls of a session and returns who is to hear of it, as in hangUp.
func (b *callBook[S]) end(s S) []S {
	b.mu.Lock()
	defer b.mu.Unlock()
	var others []S
	for other, c := range b.calls[s] {
		if c.from == s || len(b.alsoRinging(c)) == 0 {
			others = append(others, other)
		}
		b.remove(c)
	}
	return others
}
