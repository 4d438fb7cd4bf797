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
	pool  *sync.Pool
}

// worthLending is the capacity, in bytes, of the longest memory that is used again.
const worthLending = 8 << 10

func newLents() *sync.Pool {
	pool := new(sync.Pool)
	pool.New = func() any { return &Lent{pool: pool} }
	return pool
}

// Lend returns memory for a Broadcast: empty, with room for so many bytes.
func (s *Session) Lend(size int) *Lent {
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
	if l == nil || l.uses.Add(-1) > 0 {
		return
	}
	if l.Bytes = l.Bytes[:0]; cap(l.Bytes) > worthLending {
		l.Bytes = nil
	}
	l.pool.Put(l)
}
