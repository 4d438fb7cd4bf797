package signal

import (
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"

	"signalbox/internal/source"
)

// store counts the memory that is held for the clients of a hub: what waits in their outboxes, a
// broadcast's once for each, what is being read of them, and what rooms and dialects keep of them.
// Well before it is too much, sessions that hold more than their fair share forget what was taken,
// so that they can't be resumed from there. If that does not help, near the limit all do, and some
// of them end (Hub.relieve). Until then, if more than that share still waits in an outbox, but what
// strangers sent, it overflows at the next that others say; what the hub itself tells is little. So
// clients that don't read, each within its own limits, can't fill the memory together; who reads,
// but confirms late, only forgets; and whoever holds little is the last to.
type store struct {
	limit  int // bytes of memory
	share  int // bytes that a client gets
	used   atomic.Int64
	raised atomic.Int64 // by how much more than much full is told: so much, nobody could forget
	full   func()       // called when much is used, under locks: it must not block
}

// memoryLimit leaves a machine of 512 MiB room: with all else that a crowd of hostile clients has
// the box hold, and with what the collector leaves lying about, it takes several times as much.
const memoryLimit = 48 << 20

// add counts so many bytes more, or fewer.
func (st *store) add(bytes int) {
	used, much, raised := st.used.Add(int64(bytes)), int64(st.much()), st.raised.Load()
	switch {
	case bytes < 0 && used < much && raised > 0:
		st.raised.Store(0) // who filled it is gone
	case bytes > 0 && used > much+raised && st.full != nil:
		st.full()
	}
}

// much is what may be used before anybody forgets.
func (st *store) much() int { return st.limit / 4 * 3 }

// step is how much is freed at once beyond what is needed: else the next frame would have all
// sessions looked at again.
func (st *store) step() int { return st.limit / 16 }

// raise has full told only when a step more than now is used, but at the limit at the latest.
func (st *store) raise() {
	much := st.much()
	st.raised.Store(int64(max(0, min(int(st.used.Load())+st.step(), st.limit)-much)))
}

// over is by how much more is used than the limit.
func (st *store) over() int { return int(st.used.Load()) - st.limit }

// tight reports whether an outbox that holds so much must forget what it can.
func (st *store) tight(bytes int) bool { return bytes > st.share && int(st.used.Load()) > st.much() }

// crowded reports whether an outbox that holds so much must not take more.
func (st *store) crowded(bytes int) bool { return bytes > st.share && st.over() > 0 }

// shortOfMemory calls Hub.relieve, in a goroutine of its own, since its caller holds locks.
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
			freed := h.relieve()
			h.relieving.Store(false)
			// Whoever came meanwhile has left it to this goroutine.
			if !freed || h.store.over() <= 0 || h.relieving.Swap(true) {
				return
			}
		}
	}()
}

// relieve frees memory until little enough is held. Sessions that hold more than their share forget
// what their clients have not confirmed; near the limit all do; and if with all of that forgotten
// too much is left, some end. What comes meanwhile is for the next time, so that nobody ends while
// there is something to forget. It reports whether it has freed any.
func (h *Hub) relieve() bool {
	st := h.store
	defer st.raise()
	enough, most := st.much()-st.step(), st.limit-st.step()
	for _, spared := range []int{st.share, 0} { // who holds no more than that
		freed, left := h.free(enough, func(d *holding) int {
			if d.holds <= spared {
				return 0
			}
			return d.session.out.shed()
		})
		if enough+left <= most {
			return freed > 0
		}
	}
	var first *holding
	ended := 0
	h.free(most, func(d *holding) int {
		if ended++; ended == 1 {
			first = d
		}
		d.session.Stop(CodeSlow)
		return d.holds
	})
	if ended > 0 {
		h.log.Warn("out of memory for what clients have not read, and what they have half sent: of the addresses "+
			"that hold most, the sessions that hold most end", "sessions", ended, "first", first.session.self.ID,
			"src", first.session.client.Load().Source, "bytes", first.holds, "sent", first.sent,
			"limit", h.store.limit)
	}
	return ended > 0
}

// free frees memory of one session after the other, until no more than enough is held: of the
// source for which most is held, the session that holds most. So many sessions that hold a little
// each, as hostile clients have, come before one of somebody else's that holds more. It returns how
// much it has freed, and how much more than enough is left of what was there when it looked: what
// came after that, nobody has to free.
func (h *Hub) free(enough int, memoryOf func(*holding) (bytes int)) (freed, left int) {
	before := int(h.store.used.Load()) - enough
	if before <= 0 {
		return 0, 0
	}
	held := h.holdings()
	left = min(before, int(h.store.used.Load())-enough) - held.ending
	for left > 0 {
		d, ok := held.dearest()
		if !ok {
			break
		}
		bytes := memoryOf(d)
		freed, left = freed+bytes, left-bytes
	}
	return freed, left
}

// holding is the memory that is held for a session, in bytes.
type holding struct {
	session *Session
	holds   int // in its outbox, by Session.Hold, and by its connections for what they read
	sent    int // waits in the outboxes of others, who may read as slowly as they please
}

func (d *holding) all() int { return d.holds + d.sent }

func compareHoldings(a, b *holding) int {
	return cmp.Or(cmp.Compare(a.holds, b.holds), cmp.Compare(a.sent, b.sent))
}

// lineHoldings are those of the sessions of one line (source.Line), the dearest last.
type lineHoldings struct {
	list []*holding
	all  int // bytes
}

func compareLines(a, b *lineHoldings) int { return cmp.Compare(a.all, b.all) }

// holdings are those of all lines. A byte that somebody sent and somebody else has not read counts
// for both: whoever fills the memory has much, on either side.
type holdings struct {
	lines []*lineHoldings // the dearest last
	// bytes of sessions that have ended, whose connections still hold what they read
	ending int
}

// holdings looks at all sessions.
func (h *Hub) holdings() holdings {
	h.mu.RLock()
	of := make(map[*Session]*holding, len(h.sessions))
	known := func(s *Session) *holding {
		if of[s] == nil {
			of[s] = &holding{session: s}
		}
		return of[s]
	}
	for _, s := range h.sessions {
		known(s)
	}
	for l := range h.links {
		known(l.session.Load()).holds += int(l.held.Load())
	}
	h.mu.RUnlock()

	for s, d := range of {
		d.holds += s.out.holds() + s.holds()
		for by, bytes := range s.out.senders() {
			if sender := of[by]; sender != nil && by != s {
				sender.sent += bytes
			}
		}
	}
	lines, held := map[netip.Prefix]*lineHoldings{}, holdings{}
	for s, d := range of {
		if s.stopped() {
			held.ending += d.holds
			continue
		}
		if d.all() == 0 {
			continue
		}
		from := source.Line(s.client.Load().Source)
		if lines[from] == nil {
			lines[from] = &lineHoldings{}
			held.lines = append(held.lines, lines[from])
		}
		lines[from].list = append(lines[from].list, d)
		lines[from].all += d.all()
	}
	held.sort()
	return held
}

func (held *holdings) sort() {
	for _, line := range held.lines {
		slices.SortFunc(line.list, compareHoldings)
	}
	slices.SortFunc(held.lines, compareLines)
}

// dearest takes out the session that holds most, of the line for which most is held. It costs
// little however many lines there are.
func (held *holdings) dearest() (d *holding, ok bool) {
	last := len(held.lines) - 1
	if last < 0 {
		return nil, false
	}
	line := held.lines[last]
	held.lines = held.lines[:last]
	end := len(line.list) - 1
	d, line.list = line.list[end], line.list[:end]
	if line.all -= d.all(); end > 0 {
		at, _ := slices.BinarySearchFunc(held.lines, line, compareLines)
		held.lines = slices.Insert(held.lines, at, line)
	}
	return d, true
}
