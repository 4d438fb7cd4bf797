package signal

import (
	"cmp"
	"context"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"signalbox/internal/source"
)

// Link is one connection of a client, and the session that it carries: its own until the client
// resumes another. Its life, in this order: Connect; Begin; then Receive by the reader, and Pump by
// the writer or PumpOnDemand; Finish; and Close when Pump has returned, or on demand is over.
type Link struct {
	// set when the connection is opened
	hub     *Hub
	client  Client
	block   netip.Prefix // the source that it counts for
	feed    *feed
	intake  *rate.Limiter // bytes that may be read; nil: no limit
	opened  time.Time     // set by Begin, as is carrier
	carrier Carrier

	// owned by the reader
	leaving   bool     // the client has closed the connection as a page that is closed or left does
	refused   bool     // it counts in Hub.refusing
	announced standing // of the frame that is being read

	placed bool // it counts against the limits; guarded by the hub's lock

	session atomic.Pointer[Session]
	held    atomic.Int64 // bytes of memory that the carrier holds for what it is reading
}

// Connect counts a connection that is about to open, so that Close waits for it. It fails if the
// hub is closed. A link must be closed in any case.
func (h *Hub) Connect(from Client) (*Link, error) {
	if !h.enter() {
		return nil, Refuse(CodeShuttingDown, "")
	}
	l := &Link{hub: h, client: from, block: source.Of(from.Source)}
	l.feed = newFeed(l.stop)
	if h.opts.Rate > 0 {
		// Twice as much as frames may have, for what is around them.
		l.intake = rate.NewLimiter(rate.Limit(2*h.limits.Volume), 2*burstSeconds*h.limits.Volume)
	}
	return l, nil
}

func (l *Link) stop() { l.carrier.Stop() }

// Begin opens the connection, with a new session that nobody knows. It fails with a Refusal if
// there is no place for it. The connection is then over, and Pump tells the client why; if the hub
// is telling too many clients so already, it just cuts the connection.
func (l *Link) Begin(d Dialect, c Carrier) error {
	h := l.hub
	l.carrier, l.opened = c, time.Now()
	s := newSession(h, d, &l.client, l.opened)
	s.link = l
	l.session.Store(s)
	s.out.attach(l.feed, nil)
	err := h.admit(l)
	if err == nil {
		if o, ok := d.(Opener); ok {
			s.Do(func() { o.Opened(s) })
		}
		return nil
	}
	l.refused = true
	if h.refusing.Add(1) <= int32(h.limits.Refusing) {
		l.Dismiss(err)
		return err
	}
	h.stats.refuse(RefusalOf(err).Code)
	s.out.close(CodeLost, nil)
	c.Abort()
	return err
}

// Session returns the session that the link carries now. It may change at any time, since a client
// may resume.
func (l *Link) Session() *Session { return l.session.Load() }

// Announce counts a frame against the session's rate before it is read and inflated. A client that
// has ignored refusals for long is ended without that: Announce reports whether the connection goes
// on. Receive follows. A carrier need not announce its frames.
func (l *Link) Announce() bool {
	switch s := l.session.Load(); {
	case s.keepsPace():
		l.announced = within
	case !s.exhausted():
		l.announced = beyond
	default:
		l.Dismiss(errForTooLong)
		return false
	}
	return true
}

// Throttle counts bytes that the connection has carried, of frames or not, inflated or not, and
// returns how long the carrier must wait before it reads more: only that client waits. It is for
// what costs work and is no frame yet, so its limit is twice that of frames.
func (l *Link) Throttle(bytes int) time.Duration {
	if l.intake == nil {
		return 0
	}
	now := time.Now()
	return l.intake.ReserveN(now, min(bytes, l.intake.Burst())).DelayFrom(now)
}

// Receive lets the session's dialect process one frame, and reports whether the connection goes on.
// The caller may reuse the frame afterwards.
func (l *Link) Receive(f Frame) bool {
	st := l.announced
	l.announced = unmetered
	return l.do(func(s *Session) bool { return s.receive(l, f, st) })
}

// Dismiss ends the session for a reason of the carrier's. That its client has not said hello is
// none any more if it waits at the door meanwhile, and is let in.
func (l *Link) Dismiss(why error) {
	l.do(func(s *Session) bool {
		code := RefusalOf(why).Code
		if code == CodeHelloFirst && s.greeted.Load() {
			return true
		}
		s.close(code, lastWord(why))
		return false
	})
}

// Ping counts a sign of life without a frame against the session's limits. It reports whether the
// connection goes on.
func (l *Link) Ping() bool {
	if s := l.session.Load(); !s.keepsPace() && s.exhausted() {
		l.Dismiss(Refuse(CodeRateLimited, "too many pings"))
		return false
	}
	return true
}

// Hold counts memory that the carrier takes for what it is reading, or with a negative number gives
// it back, as it must before Close. While the hub is short of memory, sessions that hold much end.
func (l *Link) Hold(bytes int) {
	l.held.Add(int64(bytes))
	l.hub.store.add(bytes)
}

// Await waits until the client may have so many bytes read, in whatever frames. Who sends more than
// it may is read more slowly.
func (l *Link) Await(ctx context.Context, bytes int) error {
	if l.intake == nil {
		return nil
	}
	return l.intake.WaitN(ctx, bytes)
}

// Confirm notes that the client has the session's events up to seq, and that it is alive. A made-up
// seq harms nobody but the client itself.
func (l *Link) Confirm(seq uint64) bool {
	return l.do(func(s *Session) bool {
		s.Confirm(seq)
		s.heard()
		return true
	})
}

// do has the session do something, unless another connection carries it by now.
func (l *Link) do(work func(*Session) bool) bool {
	s := l.lock()
	defer s.work.Unlock()
	return s.link == l && work(s)
}

// lock takes the work of the session that the connection carries.
func (l *Link) lock() *Session {
	for {
		s := l.session.Load()
		s.work.Lock()
		if l.session.Load() == s {
			return s
		}
		s.work.Unlock() // the client has resumed another one meanwhile
	}
}

// Wake makes Pump call the carrier's Write soon.
func (l *Link) Wake() { l.feed.wake() }

// Bye ends the session, since the client has closed the connection as one that is done. Finish
// follows.
func (l *Link) Bye() {
	l.do(func(s *Session) bool {
		s.Bye()
		return false
	})
}

// Leaving notes that the client has closed the connection as a browser does when its page is closed
// or left. Finish follows.
func (l *Link) Leaving() { l.leaving = true }

// Panicked ends the session for a panic of its dialect or carrier, and logs it.
func (l *Link) Panicked(p any) {
	l.Session().Stop(CodeInternal)
	l.hub.log.Error("panic in a session", "peer", l.Session().self.ID, "panic", p, "stack", string(debug.Stack()))
}

// Finish ends the connection, and the session, too, unless that can wait for its client to come
// back. The code ends the session; CodeLost means that the connection was lost, or that the session
// already knows why it ended.
func (l *Link) Finish(code Code) {
	s := l.lock()
	defer s.work.Unlock()
	switch window := s.terms.Outlives; {
	case s.link != l: // another connection carries it
	case code == CodeLost && window > 0 && s.greeted.Load() && s.out.detach(l.feed):
		if l.leaving {
			window = min(window, l.hub.limits.GoingAway)
		}
		s.unwatch()
		l.hub.running.Add(1)
		s.linger(window)
		l.hub.stats.lost.Add(1)
		l.hub.log.Debug("connection lost", "peer", s.self.ID, "src", s.client.Load().Source)
	default:
		s.end(code)
	}
}

// Close forgets a connection that is over, or never began.
func (l *Link) Close() {
	h := l.hub
	defer h.running.Done()
	if l.refused {
		h.refusing.Add(-1)
	}
	if s := l.session.Load(); s != nil {
		s.out.abandon(l.feed)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, there := h.links[l]; there {
		delete(h.links, l)
		h.carried[l.Session().terms.Name]--
	}
	h.unplace(l)
}

// Greeted reports whether the client has said hello, or resumed.
func (l *Link) Greeted() bool { return l.session.Load().greeted.Load() }

// Patience is until when a client that was heard last at that time may be silent.
func (l *Link) Patience(heard time.Time) time.Time {
	s := l.session.Load()
	silent := heard.Add(cmp.Or(s.terms.Silence, l.hub.opts.deadAfter()))
	if s.greeted.Load() {
		return silent
	}
	// Only a hello extends the time for the hello.
	return earlier(silent, l.opened.Add(cmp.Or(s.terms.Hello, l.hub.limits.Hello)))
}

// Whole is until when a frame must be there that began to come in at that time.
func (l *Link) Whole(begun time.Time) time.Time {
	return earlier(begun.Add(l.hub.limits.Frame), l.Patience(begun))
}

// Rest is until when a reader that heard the client last at that time stays awake: then it is to
// wait with less in its hands.
func (l *Link) Rest(heard time.Time) time.Time {
	return earlier(heard.Add(l.hub.limits.Awake), l.Patience(heard))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Linger is how long a client may take to close its end when we have closed ours.
func (l *Link) Linger() time.Duration { return l.hub.limits.Linger }

// Code is why the connection is over, once Pump has returned.
func (l *Link) Code() Code { return l.feed.code }

// admit gives a connection its place, if there is one.
func (h *Hub) admit(l *Link) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.links[l] = struct{}{}
	h.carried[l.Session().terms.Name]++
	switch {
	case h.closing:
		return Refuse(CodeShuttingDown, "")
	case h.opts.Sessions > 0 && h.places.all >= h.withSpare(h.opts.Sessions):
		return errFull
	case h.opts.SessionsPerSource > 0 &&
		h.places.full(l.block, h.withSpare(h.opts.SessionsPerSource), taken.inAll):
		return errSourceFull
	case !h.arrivals.Allow(l.client.Source, l.opened):
		return errTooManyConnections
	}
	l.placed = true
	h.places.take(l.block, 1, 0)
	h.stats.connections.Add(1)
	return nil
}

var (
	errFull       = Refuse(CodeRateLimited, "the server takes no more sessions")
	errSourceFull = Refuse(CodeRateLimited, "the server takes no more sessions from your network address")

	errTooManyConnections = Refuse(CodeRateLimited, "too many connections from your network address in a short time")
)

// withSpare allows some more connections than sessions: a connection that resumes a session needs a
// place only for a moment.
func (h *Hub) withSpare(limit int) int {
	if h.opts.Resume == 0 {
		return limit
	}
	return limit + limit/8 + 8
}

// unplace gives a connection's place back. mu is held.
func (h *Hub) unplace(l *Link) {
	if l.placed {
		l.placed = false
		h.places.take(l.block, -1, 0)
	}
}
