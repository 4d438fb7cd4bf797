package signal

import (
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"

	"signalbox/internal/source"
)

// store counts the memory that is held for the clients of a hub: what waits in their outboxes, a
// broadcast's once for each, and what is being read of them. If it is too much, an outbox that has
// more than its fair share forgets what was taken, so that its session can't be resumed from there,
// and sessions end, the dearest of the dearest line of addresses first (Hub.relieve). Until then,
// if more than that share still waits in an outbox, it overflows. So clients that don't read, each
// within its own limits, can't fill the memory together.
type store struct {
	limit int // bytes of memory
	share int // bytes that a client gets
	used  atomic.Int64
	full  func() // told when more than the limit is used; it is called under locks, and must not block
}

// memoryLimit leaves a machine of 512 MiB room: with what the collector leaves lying about, it is
// some 130 MiB.
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
		if !h.enter() {
			h.relieving.Store(false)
			return
		}
		defer h.running.Done()
		for {
			ended := h.relieve()
			h.relieving.Store(false)
			// Whoever came meanwhile has left it to this goroutine.
			if !ended || h.store.over() <= 0 || h.relieving.Swap(true) {
				return
			}
		}
	}()
}

// relieve ends sessions until little enough is held: of the line of addresses whose clients hold
// most, the one that holds most. So who makes many sessions, each of which holds little, pays
// before those who have one. It reports whether it has ended some.
func (h *Hub) relieve() bool {
	lines, going := h.holders()
	first, ended := holder{}, 0
	for over := h.store.over() - going; over > 0; {
		var most *line
		for _, each := range lines {
			if most == nil || each.holds > most.holds {
				most = each
			}
		}
		if most == nil || most.holds == 0 {
			break
		}
		dearest := most.pop()
		if ended++; ended == 1 {
			first = dearest
		}
		dearest.session.Stop(CodeSlow)
		over -= dearest.holds
	}
	if ended > 0 {
		h.log.Warn("out of memory for what clients have not read, and what they have half sent: of the addresses "+
			"that hold most, the sessions that hold most end", "sessions", ended, "first", first.session.self.ID,
			"src", first.session.client.Load().Source, "bytes", first.holds, "limit", h.store.limit)
	}
	return ended > 0
}

// holder is a session, and how much memory it holds.
type holder struct {
	session *Session
	holds   int
}

// line is those of one line of addresses; see source.Line.
type line struct {
	holds   int
	holders []holder // those that hold something, the dearest last
}

// pop takes the dearest.
func (l *line) pop() holder {
	last := len(l.holders) - 1
	h := l.holders[last]
	l.holders, l.holds = l.holders[:last], l.holds-h.holds
	return h
}

// holders are all sessions that hold memory, and may end. What those hold that have been ended is
// just going.
func (h *Hub) holders() (lines map[netip.Prefix]*line, going int) {
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
	lines = make(map[netip.Prefix]*line)
	for s, n := range of {
		if _, over := s.out.end(); over {
			going += n
			continue
		}
		if n == 0 {
			continue
		}
		from := source.Line(s.client.Load().Source)
		if lines[from] == nil {
			lines[from] = new(line)
		}
		lines[from].holds += n
		lines[from].holders = append(lines[from].holders, holder{s, n})
	}
	for _, l := range lines {
		slices.SortFunc(l.holders, func(a, b holder) int { return cmp.Compare(a.holds, b.holds) })
	}
	return lines, going
}
