package signal

import (
	"net/netip"
	"time"
)

// What the tests in package signal_test need of the inside.

type (
	Limits = limits
	Item   = item
)

const MaxClaims = maxClaims

func (h *Hub) Tweak(change func(*Limits)) { change(&h.limits) }

func (h *Hub) DeadAfter() time.Duration { return h.opts.deadAfter() }

func (h *Hub) LimitCalls(n int) { h.calls.limit = n }

// SetMemory sets how much may be held for all clients.
func (h *Hub) SetMemory(bytes int) { h.store.limit = bytes }

// Relieve is what the hub does when much is held.
func (h *Hub) Relieve() { h.relieve() }

// Stored is how much is held for all clients.
func (h *Hub) Stored() int64 { return h.store.used.Load() }

// Entries counts all that the directory holds.
func (h *Hub) Entries() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sessions) + len(h.users) + len(h.rooms) + len(h.links) + len(h.calls.calls) +
		len(h.places.bySource) + h.places.all
}

// Find returns the session with that peer id, or nil.
func (h *Hub) Find(id string) *Session { return h.find(id) }

// LinkSessions are the sessions of all connections.
func (h *Hub) LinkSessions() (sessions []*Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.links {
		sessions = append(sessions, l.Session())
	}
	return sessions
}

// LockRoom keeps a room busy until unlock is called.
func (h *Hub) LockRoom(name string) (unlock func()) {
	h.mu.Lock()
	r := h.rooms[name]
	h.mu.Unlock()
	r.mu.Lock()
	return r.mu.Unlock
}

func (h *Hub) ResumeToken(id, nonce string) string { return h.AgedToken(id, nonce, 0, time.Now()) }

func (h *Hub) AgedToken(id, nonce string, age uint64, issued time.Time) string {
	return h.resumeToken(id, mark{nonce, age}, issued)
}

// FormerToken is one as former versions made them.
func (h *Hub) FormerToken(id, nonce string) string {
	return id + "." + nonce + "." + h.resumeMAC(id+"."+nonce)
}

func (h *Hub) ReadToken(token string) (id, nonce string, ok bool) {
	id, m, _, ok := h.readToken(token)
	return id, m.nonce, ok
}

// LockWork keeps the session busy until unlock is called.
func (s *Session) LockWork() (unlock func()) {
	s.work.Lock()
	return s.work.Unlock
}

// Busy reports whether something is being processed.
func (s *Session) Busy() bool {
	if s.work.TryLock() {
		s.work.Unlock()
		return false
	}
	return true
}

// Away reports whether the session has no connection.
func (s *Session) Away() bool {
	s.work.Lock()
	defer s.work.Unlock()
	return s.link == nil
}

// Burst queues frames all at once, past the limits.
func (s *Session) Burst(n int, body string) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	for range n {
		s.out.append(item{parcel: ready([]Frame{{Body: []byte(body)}})})
	}
}

// Put queues a frame, and reports whether it was taken.
func (s *Session) Put(body string) bool {
	return s.follow(s.out.put(ready([]Frame{{Body: []byte(body)}}), false, sender{}))
}

// Full reports whether as much is unconfirmed as may be.
func (s *Session) Full() bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.out.full()
}

// Kept is the number of events in the outbox.
func (s *Session) Kept() int {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return len(s.out.queue)
}

// Closed reports whether the outbox is closed.
func (s *Session) Closed() bool {
	return s.stopped()
}

// Take is what Pump does to get a batch: how many events there were, and whether that was the end.
func (l *Link) Take() (n int, over bool) {
	items, _, over := l.feed.take(nil)
	return len(items), over
}

// Drain is Take for frames as they leave.
func (l *Link) Drain(each func(OutFrame)) (over bool) {
	var buf []byte
	b := Batch{bufs: &buf}
	l.fill(&b, time.Now())
	b.Frames(func(f OutFrame) bool { each(f); return true })
	return b.Over
}

func Claims(data []byte) []netip.Addr { return claims(data) }
