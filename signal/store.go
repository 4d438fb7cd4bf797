package signal

import "sync/atomic"

// store counts the memory that all outboxes of a hub take, a broadcast's once for each. If it is
// too much, an outbox that has more than its fair share forgets what was taken, so that its session
// can't be resumed from there. If more than that share still waits in it, it overflows. So clients
// that don't read, each within its own limits, can't fill the memory together.
type store struct {
	limit int // bytes of memory
	share int // bytes that a client gets
	used  atomic.Int64
}

// crowded tells whether an outbox that holds so much must not take more.
func (st *store) crowded(bytes int) bool { return bytes > st.share && st.used.Load() > int64(st.limit) }
