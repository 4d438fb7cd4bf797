package signal

import "sync/atomic"

// store counts the memory that is held for the clients of a hub: what waits in their outboxes, a
// broadcast's once for each, and what is being read of them. If it is too much, an outbox that has
// more than its fair share forgets what was taken, so that its session can't be resumed from there,
// and the session that holds most ends (Hub.relieve). Until then, if more than that share still
// waits in an outbox, it overflows. So clients that don't read, each within its own limits, can't
// fill the memory together.
type store struct {
	limit int // bytes of memory
	share int // bytes that a client gets
	used  atomic.Int64
	full  func() // told when more than the limit is used; it is called under locks, and must not block
}

// memoryLimit leaves a machine of 512 MiB room: with all else that a crowd of hostile clients has
// the box hold, and with what the collector leaves lying about, it takes several times as much.
const memoryLimit = 64 << 20

// add counts so many bytes more, or fewer.
func (st *store) add(bytes int) {
	if used := st.used.Add(int64(bytes)); bytes > 0 && used > int64(st.limit) && st.full != nil {
		st.full()
	}
}

// over is by how much more is used than the limit.
func (st *store) over() int { return int(st.used.Load()) - st.limit }

// crowded tells whether an outbox that holds so much must not take more.
func (st *store) crowded(bytes int) bool { return bytes > st.share && st.over() > 0 }

// shortOfMemory has the sessions that hold most ended, by a goroutine of its own, since its caller
// holds locks.
func (h *Hub) shortOfMemory() {
	if h.relieving.Swap(true) {
		return
	}
	go func() {
		defer h.relieving.Store(false)
		if h.enter() {
			defer h.running.Done()
			h.relieve()
		}
	}()
}

// relieve ends the sessions that hold most, until little enough is held.
func (h *Hub) relieve() {
	for over := h.store.over(); over > 0; {
		s, holds := h.dearest()
		if s == nil || holds <= h.store.share {
			return
		}
		h.log.Warn("out of memory for what clients have not read, and what they have half sent: the session "+
			"that holds most ends", "peer", s.self.ID, "src", s.client.Load().Source, "bytes", holds,
			"limit", h.store.limit)
		s.Stop(CodeSlow)
		over -= holds
	}
}

// dearest is the session that holds most memory, and how much.
func (h *Hub) dearest() (s *Session, holds int) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	of := make(map[*Session]int, len(h.sessions))
	for _, s := range h.sessions {
		of[s] = s.out.holds()
	}
	for l := range h.links {
		s := l.session.Load()
		if _, known := of[s]; !known {
			of[s] = s.out.holds()
		}
		of[s] += int(l.held.Load())
	}
	for each, n := range of {
		if _, over := each.out.end(); n > holds && !over {
			s, holds = each, n
		}
	}
	return s, holds
}
