package signal

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Lent is memory for one message, which is used again when all who get it have it: a message of a
// description's size is most of what a busy hub would allocate. Where it isn't certain that nobody
// looks at the message any more, it is left to the collector.
type Lent struct {
	Bytes []byte // of the message
	uses  atomic.Int32
	pool  *sync.Pool // nil: it is not used again
}

// Of what size memory is used again, in bytes. A shorter message has some of its own: one that
// nobody reads for long would keep memory of many times its size.
const (
	worthLending     = 1 << 10
	mostWorthLending = 8 << 10
)

func newLents() *sync.Pool {
	pool := new(sync.Pool)
	pool.New = func() any { return &Lent{pool: pool} }
	return pool
}

// Lend returns memory for a Broadcast: empty, with room for so many bytes.
func (s *Session) Lend(size int) *Lent {
	if size < worthLending {
		return &Lent{Bytes: make([]byte, 0, size)}
	}
	l := s.hub.lents.Get().(*Lent)
	l.Bytes = slices.Grow(l.Bytes, size)
	l.uses.Store(1)
	return l
}

// use notes one more who looks at the message, until done. A nil Lent is memory that isn't lent.
func (l *Lent) use() {
	if l != nil {
		l.uses.Add(1)
	}
}

// done notes that one has what it needs of the message.
func (l *Lent) done() {
	if l == nil || l.pool == nil || l.uses.Add(-1) > 0 {
		return
	}
	if l.Bytes = l.Bytes[:0]; cap(l.Bytes) > mostWorthLending {
		l.Bytes = nil
	}
	l.pool.Put(l)
}
