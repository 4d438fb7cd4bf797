package signal

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/source"
)

// Hub is the directory of sessions and rooms. Its methods may be called from any goroutine.
type Hub struct {
	// set by New
	opts     Options
	limits   limits
	calls    *callBook[*Session]
	stats    stats
	store    *store
	scratch  sync.Pool // of *[]byte: a frame that is being written
	batches  sync.Pool // of *Batch: writers borrow them while they are awake
	lents    *sync.Pool
	arrivals *source.Limiter
	joins    *source.Limiter
	log      *slog.Logger
	server   *Session        // whose share is what the operator's programs say; it is no real one
	open     context.Context // done when the hub closes
	shut     context.CancelFunc

	// running has one for each connection, and for each session without one; it grows under mu
	// while closing is false.
	running  sync.WaitGroup
	refusing atomic.Int32 // connections that are being told why they aren't served

	live atomic.Pointer[liveRules] // see Prepare

	relieving atomic.Bool // a goroutine makes room in the store
	foreign   source.Once // origins that the log has been told of

	mu       sync.RWMutex
	draining bool
	closing  bool
	links    map[*Link]struct{} // all connections that are open
	places   places
	sessions map[string]*Session     // greeted, by peer id
	users    map[string][]*Session   // greeted, by user name, in the order of their hellos
	rooms    map[string]*room        // by full name
	dialects map[string]DialectCount // by Terms.Name
	carried  map[string]int          // see Carried
}

// New makes a hub. It opens nothing and starts nothing; an error names the option that is wrong.
func New(opts Options) (*Hub, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("signal options: %w", err)
	}
	h := &Hub{
		opts:     opts,
		limits:   defaultLimits(),
		scratch:  sync.Pool{New: func() any { return new([]byte) }},
		batches:  sync.Pool{New: func() any { return new(Batch) }},
		lents:    newLents(),
		log:      opts.Log,
		links:    make(map[*Link]struct{}),
		places:   places{bySource: make(map[netip.Prefix]taken)},
		sessions: make(map[string]*Session),
		users:    make(map[string][]*Session),
		rooms:    make(map[string]*room),
		dialects: make(map[string]DialectCount),
		carried:  make(map[string]int),
	}
	apply, err := h.Prepare(Live{opts.RoomCapacity, opts.AllowedOrigins, opts.Claims})
	if err != nil {
		return nil, fmt.Errorf("signal options: %w", err)
	}
	apply()
	h.store = &store{limit: memoryLimit, share: 64 << 10, full: h.shortOfMemory}
	h.server = &Session{self: Member{ID: ServerID, Name: ServerID}}
	h.open, h.shut = context.WithCancel(context.Background())
	h.calls = newCallBook[*Session](h.limits.Calls)
	h.calls.line = func(s *Session) netip.Prefix { return s.line }
	if opts.SessionsPerSource > 0 {
		h.arrivals = pace(h.limits.Arrivals)
		h.joins = pace(h.limits.Joins)
	}
	return h, nil
}

// MaxFrame is how many bytes one frame of a client may have.
func (h *Hub) MaxFrame() int { return h.opts.MaxFrame }

// Resume is how long a session whose client can resume it outlives its connection.
func (h *Hub) Resume() time.Duration { return h.opts.Resume }

// Heartbeat is the time between two signs of life.
func (h *Hub) Heartbeat() time.Duration { return h.opts.Heartbeat }

// OriginAllowed reports whether a web page of the request's Origin may talk to this hub.
func (h *Hub) OriginAllowed(r *http.Request) bool { return h.live.Load().origins.allows(r) }

// AnyOrigin reports whether every web page may talk to this hub.
func (h *Hub) AnyOrigin() bool { return h.live.Load().origins.any }

// LetsRead has browsers let the page of a request's Origin read the answer, if it may talk to this
// hub, and reports whether it may. A page that sends no Origin, as GETs don't always, is told by
// what else its browser sends.
func (h *Hub) LetsRead(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	if h.live.Load().origins.refuses(r) {
		return false
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
	}
	return true
}

// RefusesOrigin answers a request of a page that may not talk to this hub, and reports whether it
// did. The page may read that it is refused, and nothing else: its developer is to learn why. Other
// pages may read the answer that follows.
func (h *Hub) RefusesOrigin(w http.ResponseWriter, r *http.Request) bool {
	if h.LetsRead(w, r) {
		return false
	}
	h.stats.foreignOrigins.Add(1)
	if page := pageOf(r); h.foreign.First(page, h.opts.Source(r), time.Now()) {
		h.log.Warn("a page of another origin is refused: if it may use the signaling, write it into "+
			"web.allowed_origins; if it is the box's own, its name into public_host", "origin", page, "host", r.Host)
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	http.Error(w, "pages of this origin may not connect here, unless it is one of the allowed origins or "+
		"the request is for one of this box's own names", http.StatusForbidden)
	return true
}

// Drain refuses new sessions with shutting-down from now on. Those that exist go on.
func (h *Hub) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

// Close ends every session with shutting-down and waits until all their goroutines are gone. If ctx
// is done first, it cuts the remaining connections and returns the context's error. The hub takes
// no connection after Close.
func (h *Hub) Close(ctx context.Context) error {
	h.shut()
	h.mu.Lock()
	h.draining, h.closing = true, true
	for l := range h.links {
		l.session.Load().Stop(CodeShuttingDown)
	}
	for _, s := range h.sessions {
		s.Stop(CodeShuttingDown)
	}
	h.mu.Unlock()
	h.releaseRooms()

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
		l.carrier.Abort()
	}
	h.mu.Unlock()
	<-gone
	return ctx.Err()
}

// pace limits something a second for each source; paceBurst seconds' worth may come at once.
func pace(perSecond int) *source.Limiter {
	return source.NewLimiter(float64(perSecond), paceBurst*perSecond)
}

// paceBurst is as much as comes back together after a restart.
const paceBurst = 32

// enter counts a connection that Close must wait for. It reports false if the hub is already
// closing.
func (h *Hub) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return false
	}
	h.running.Add(1)
	return true
}
