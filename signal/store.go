package signal

import "sync/atomic"

// store counts the bytes in all outboxes of a hub, a broadcast's once for each. When there are too
// many, an outbox that has more than its fair share forgets what was taken, so that its session
// can't be resumed from there; one in which more than that waits is overflown. So clients that
// don't read, each within its own limits, don't fill the memory together.
type store struct {
	limit, share int // bytes
	used         atomic.Int64
}

// crowded tells whether an outbox that holds so much must not take more.
func (st *store) crowded(bytes int) bool { return bytes > st.share && st.used.Load() > int64(st.limit) }
