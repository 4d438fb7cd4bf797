package signal

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Hub is the directory of sessions and rooms. Its methods may be called from any goroutine.
type Hub struct {
	// set by New
	opts     Options
	limits   limits
	origins  originRule
	handlers map[string]handler
	calls    *callBook
	stats    stats
	ws       *webSockets
	events   eventStreams
	store    *store
	arrivals *sourcePace
	joins    *sourcePace
	log      *slog.Logger

	running sync.WaitGroup // one for each connection; grows under mu while closing is false

	mu       sync.RWMutex
	draining bool
	closing  bool
	links    map[*link]struct{}      // all connections that are open
	places   int                     // taken in all: by sessions, and by connections before their hello
	sources  map[netip.Prefix]places // taken by each block of addresses
	sessions map[string]*session     // greeted, by peer id
	users    map[string]*session     // greeted, by user name
	rooms    map[string]*room
	bans     bans
}

// places are what one block of addresses has taken.
type places struct{ all, sessions int }

// New makes a hub. It opens nothing and starts nothing; an error names the option that is wrong.
func New(opts Options) (*Hub, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("signal options: %w", err)
	}
	origins, err := newOriginRule(opts.AllowedOrigins)
	if err != nil {
		return nil, fmt.Errorf("signal options: %w", err)
	}
	h := &Hub{
		opts:     opts,
		limits:   defaultLimits(),
		origins:  origins,
		handlers: handlers(),
		ws:       newWebSockets(),
		events:   eventStreams{byKey: make(map[string]*sseTransport)},
		store:    &store{limit: 256 << 20, share: 64 << 10},
		log:      opts.Log,
		links:    make(map[*link]struct{}),
		sources:  make(map[netip.Prefix]places),
		sessions: make(map[string]*session),
		users:    make(map[string]*session),
		rooms:    make(map[string]*room),
		bans:     newBans(),
	}
	h.calls = newCallBook(h.limits.calls)
	if opts.SessionsPerSource > 0 {
		h.arrivals = newSourcePace(h.limits.arrivals)
		h.joins = newSourcePace(h.limits.joins)
	}
	return h, nil
}

// OriginAllowed tells whether a web page of the request's Origin may talk to this hub.
func (h *Hub) OriginAllowed(r *http.Request) bool { return h.origins.allows(r) }

// find returns the session with that peer id, or nil.
func (h *Hub) find(id string) *session {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.sessions[id]
}

// Drain refuses new sessions with shutting-down from now on. Those that exist go on.
func (h *Hub) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

// Close ends every session with shutting-down and waits until all their goroutines are gone. When
// ctx is done first it cuts the connections that are left, and returns the context's error. No
// connection is taken after Close.
func (h *Hub) Close(ctx context.Context) error {
	h.mu.Lock()
	h.draining, h.closing = true, true
	for l := range h.links {
		l.session.Load().stop(CodeShuttingDown)
	}
	for _, s := range h.sessions {
		s.stop(CodeShuttingDown)
	}
	h.mu.Unlock()

	gone := make(chan struct{})
	go func() {
		defer close(gone)
		h.running.Wait()
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	for l := range h.links {
		l.transport.abort()
	}
	h.mu.Unlock()
	<-gone
	return ctx.Err()
}

// enter counts a connection among those that Close waits for, unless it is too late for that.
func (h *Hub) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return false
	}
	h.running.Add(1)
	return true
}

// admit gives a connection its place, if there is one.
func (h *Hub) admit(l *link) *refusal {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.links[l] = struct{}{}
	switch {
	case h.closing:
		return refuse(CodeShuttingDown, "")
	case h.opts.Sessions > 0 && h.places >= h.withSpare(h.opts.Sessions):
		return errFull
	case h.opts.SessionsPerSource > 0 && h.sources[l.block].all >= h.withSpare(h.opts.SessionsPerSource):
		return errSourceFull
	case !h.arrivals.allow(l.client.source, l.opened):
		return refuse(CodeRateLimited, "too many connections from your network address in a short time")
	}
	l.placed = true
	h.take(l.block, 1, 0)
	h.stats.connections.Add(1)
	return nil
}

var (
	errFull       = refuse(CodeRateLimited, "the server has as many sessions as it takes")
	errSourceFull = refuse(CodeRateLimited, "your network address has as many sessions as one may have")
)

// withSpare lets some more connections in than sessions: those that come to resume one need no
// place for good.
func (h *Hub) withSpare(limit int) int {
	if h.opts.Resume == 0 {
		return limit
	}
	return limit + limit/8 + 8
}

// take changes the numbers of places that are taken. mu is held.
func (h *Hub) take(block netip.Prefix, all, sessions int) {
	h.places += all
	taken := h.sources[block]
	taken.all += all
	taken.sessions += sessions
	if taken == (places{}) {
		delete(h.sources, block)
	} else {
		h.sources[block] = taken
	}
}

// release forgets a connection that is closed.
func (h *Hub) release(l *link) {
	l.session.Load().out.abandon(l.feed)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.links, l)
	h.unplace(l)
}

// unplace gives a connection's place back. mu is held.
func (h *Hub) unplace(l *link) {
	if l.placed {
		l.placed = false
		h.take(l.block, -1, 0)
	}
}

// register makes the session known to others, in its connection's place. The greeting is queued
// before anybody can find the session, so that it is the first frame that the client sees. If
// another session has its id it returns that one: it has to be replaced first.
func (h *Hub) register(s *session, greeting []byte) (old *session, bad *refusal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := s.link
	if h.draining {
		return nil, refuse(CodeShuttingDown, "")
	}
	if h.bans.concern(s.user, s.pass.Key, l.client.source, time.Now()) {
		return nil, refuse(CodeKicked, "")
	}
	old = h.sessions[s.id]
	// without the old one, which is to go only if this one may come
	all, here := len(h.sessions), h.sources[l.block].sessions
	if old != nil {
		all--
		if old.block == l.block {
			here--
		}
	}
	switch holder := h.users[s.user]; {
	case s.user != "" && holder != nil && holder != old:
		if holder.known.Load() || holder.out.attached() {
			return nil, refuse(CodeUserTaken, "")
		}
		return holder, nil // it was gone before its client knew that it was there
	case h.opts.Sessions > 0 && all >= h.opts.Sessions:
		return nil, errFull
	case h.opts.SessionsPerSource > 0 && here >= h.opts.SessionsPerSource:
		return nil, errSourceFull
	case old != nil:
		return old, nil
	}
	h.unplace(l)
	s.block = l.block
	h.take(s.block, 1, 1)
	if s.user != "" {
		h.users[s.user] = s
	}
	h.sessions[s.id] = s
	if s.pass.Key != "" {
		s.tokens = append(s.tokens, s.pass.Key)
	}
	s.heardAt = l.client.source
	s.greeted.Store(true)
	h.opts.Members.Opened(s.id, s.user, l.client.source)
	h.stats.sessions.Add(1)
	s.put(outFrame{body: greeting}, false)
	return nil, nil
}

// moved notes that another connection carries the session now.
func (h *Hub) moved(s *session, l *link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unplace(l)
	if s.block != l.block {
		h.take(s.block, -1, -1)
		s.block = l.block
		h.take(s.block, 1, 1)
	}
	h.opts.Members.Moved(s.id, l.client.source)
}

// depart tells the relay that a session ends, and returns the far ends of its calls.
func (h *Hub) depart(s *session, why leftReason) (partners []*session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions[s.id] == s {
		h.opts.Members.Ended(s.id, why == reasonLost)
	}
	return h.calls.end(s)
}

// forget takes the session out of the directory.
func (h *Hub) forget(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions[s.id] == s {
		delete(h.sessions, s.id)
		h.take(s.block, -1, -1)
	}
	if h.users[s.user] == s {
		delete(h.users, s.user)
	}
}

// banned tells whether a ban is about somebody.
func (h *Hub) banned(user string, source netip.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bans.concern(user, "", source, time.Now())
}

// join seats the session in the room of that name, which comes into being with its first member.
func (h *Hub) join(name string, s *session, pass *Pass) (*room, *refusal) {
	for {
		r, bad := h.room(name, s, pass)
		if bad != nil {
			return nil, bad
		}
		// The last member may leave between here and there: then the next round finds, or makes,
		// another room.
		if open, bad := r.join(s, time.Now()); open {
			return r, bad
		}
		h.discard(r)
	}
}

func (h *Hub) room(name string, s *session, pass *Pass) (*room, *refusal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if pass.Key != "" && !slices.Contains(s.tokens, pass.Key) {
		if h.bans.concern("", pass.Key, netip.Addr{}, time.Now()) {
			return nil, refuse(CodeUnauthorized, "the token is banned")
		}
		s.tokens = append(s.tokens, pass.Key)
	}
	if r, ok := h.rooms[name]; ok {
		return r, nil
	}
	if h.opts.Rooms > 0 && len(h.rooms) >= h.opts.Rooms {
		return nil, refuse(CodeNoSuchRoom, "")
	}
	r := newRoom(name, cmp.Or(pass.Capacity, h.opts.RoomCapacity), h.opts.Members)
	h.rooms[name] = r
	return r, nil
}

func (h *Hub) leave(r *room, s *session, why leftReason) {
	if r.leave(s, why) {
		h.discard(r)
	}
}

// discard takes a closed room out of the directory; its name may belong to another one already.
func (h *Hub) discard(r *room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rooms[r.name] == r {
		delete(h.rooms, r.name)
	}
}

// partner finds whom a session means outside of its rooms: "@user" opens a call, a peer id answers
// one. No partner and no refusal is a peer id without a call.
func (h *Hub) partner(s *session, to string) (*session, *refusal) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	user, call := strings.CutPrefix(to, "@")
	if !call {
		target := h.sessions[to]
		if _, open := h.calls.polite(target, s); !open {
			return nil, nil
		}
		return target, nil
	}
	target, known := h.users[user]
	if !h.opts.Calls || !known || target == s {
		return nil, refuse(CodeNoSuchPeer, "")
	}
	fresh, bad := h.calls.open(s, target)
	if fresh {
		h.opts.Members.Called(s.id, target.id)
	}
	return target, bad
}

// newPeerID makes an id that nobody can guess, from an alphabet that is safe in URLs and TURN user
// names.
func newPeerID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails: the runtime ends the process first
	return base64.RawURLEncoding.EncodeToString(id[:])
}
