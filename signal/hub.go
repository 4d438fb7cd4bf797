package signal

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
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
	log      *slog.Logger

	running sync.WaitGroup // one for each connection; grows under mu while closing is false

	mu          sync.RWMutex
	draining    bool
	closing     bool
	connections map[*session]bool    // all that are open; true for those that were admitted
	admitted    int                  // of the connections
	sources     map[netip.Prefix]int // admitted connections of each block of addresses
	sessions    map[string]*session  // greeted, by peer id
	users       map[string]*session  // greeted, by user name
	rooms       map[string]*room

	bannedUsers   map[string]time.Time
	bannedSources map[netip.Prefix]time.Time
}

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
		opts:        opts,
		limits:      defaultLimits(),
		origins:     origins,
		handlers:    handlers(),
		ws:          newWebSockets(),
		log:         opts.Log,
		connections: make(map[*session]bool),
		sources:     make(map[netip.Prefix]int),
		sessions:    make(map[string]*session),
		users:       make(map[string]*session),
		rooms:       make(map[string]*room),

		bannedUsers:   make(map[string]time.Time),
		bannedSources: make(map[netip.Prefix]time.Time),
	}
	h.calls = newCallBook(h.limits.calls)
	return h, nil
}

// OriginAllowed tells whether a web page of the request's Origin may talk to this hub.
func (h *Hub) OriginAllowed(r *http.Request) bool { return h.origins.allows(r) }

// Live tells whether there is a session with that peer id. It is quick and never waits for a client.
func (h *Hub) Live(peerID string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	_, live := h.sessions[peerID]
	return live
}

// Drain refuses new sessions with shutting-down from now on. Those that exist go on.
func (h *Hub) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

// Close ends every session with shutting-down and waits until all their goroutines are gone. When ctx is done
// first it cuts the connections that are left, and returns the context's error. No connection is taken after Close.
func (h *Hub) Close(ctx context.Context) error {
	h.mu.Lock()
	h.draining, h.closing = true, true
	for s := range h.connections {
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
	for s := range h.connections {
		s.transport.abort()
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
func (h *Hub) admit(s *session) *refusal {
	block := sourceBlock(s.client.source)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.connections[s] = false
	switch {
	case h.closing:
		return refuse(CodeShuttingDown, "")
	case h.opts.Sessions > 0 && h.admitted >= h.opts.Sessions:
		return refuse(CodeRateLimited, "the server has as many sessions as it takes")
	case h.opts.SessionsPerSource > 0 && h.sources[block] >= h.opts.SessionsPerSource:
		return refuse(CodeRateLimited, "your network address has as many sessions as one may have")
	}
	h.connections[s] = true
	h.admitted++
	h.sources[block]++
	h.stats.connections.Add(1)
	return nil
}

// release gives the connection's place back, when the connection is closed.
func (h *Hub) release(s *session) {
	block := sourceBlock(s.client.source)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.connections[s] {
		h.admitted--
		if h.sources[block]--; h.sources[block] == 0 {
			delete(h.sources, block)
		}
	}
	delete(h.connections, s)
}

// register makes the session known to others. The greeting is queued before anybody can find the session, so that
// it is the first frame that the client sees.
func (h *Hub) register(s *session, greeting []byte) *refusal {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return refuse(CodeShuttingDown, "")
	}
	if bad := h.banned(s, time.Now()); bad != nil {
		return bad
	}
	if s.user != "" {
		if _, taken := h.users[s.user]; taken {
			return refuse(CodeUserTaken, "")
		}
		h.users[s.user] = s
	}
	h.sessions[s.id] = s
	h.opts.Members.Opened(s.id, s.user, s.client.source)
	h.stats.sessions.Add(1)
	s.put(greeting, false)
	return nil
}

// forget takes the session out of the directory and returns the far ends of its calls.
func (h *Hub) forget(s *session, why leftReason) (partners []*session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.greeted {
		h.opts.Members.Ended(s.id, why == reasonLost)
	}
	delete(h.sessions, s.id)
	if h.users[s.user] == s {
		delete(h.users, s.user)
	}
	return h.calls.end(s)
}

// join seats the session in the room of that name, which comes into being with its first member.
func (h *Hub) join(name string, s *session) (*room, *refusal) {
	for {
		r, bad := h.room(name)
		if bad != nil {
			return nil, bad
		}
		// The last member may leave between here and there: then the next round finds, or makes, another room.
		if open, bad := r.join(s, time.Now()); open {
			return r, bad
		}
		h.discard(r)
	}
}

func (h *Hub) room(name string) (*room, *refusal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r, ok := h.rooms[name]; ok {
		return r, nil
	}
	if h.opts.Rooms > 0 && len(h.rooms) >= h.opts.Rooms {
		return nil, refuse(CodeNoSuchRoom, "")
	}
	r := newRoom(name, h.opts.RoomCapacity, h.opts.Members)
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

// partner finds whom a session means outside of its rooms: "@user" opens a call, a peer id answers one.
// No partner and no refusal is a peer id without a call.
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
		group := callGroup(s, target)
		h.opts.Members.Joined(group, s.id)
		h.opts.Members.Joined(group, target.id)
	}
	return target, bad
}

// newPeerID makes an id that nobody can guess, from an alphabet that is safe in URLs and TURN user names.
func newPeerID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails: the runtime ends the process first
	return base64.RawURLEncoding.EncodeToString(id[:])
}
