package signal

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// A transport carries one session's frames. It reads them to link.receive, calls link.finish when
// there will be no more, and writes what link.feed holds.
type transport interface {
	// abort cuts the connection without another word.
	abort()
}

// link is one connection of a client, and the session that it carries: one of its own until the
// client resumes another.
type link struct {
	// set when the connection is opened
	hub       *Hub
	client    client
	block     netip.Prefix // whom it counts for
	opened    time.Time
	transport transport
	feed      *feed
	lastEvent uint64 // the last frame that the client has, if the request has said so

	// goingAway says that the client has closed the connection as a page that is closed or left
	// does; owned by the reader.
	goingAway bool

	placed bool // it counts against the limits; guarded by the hub's lock

	session atomic.Pointer[session]
}

// newLink makes the connection known to a session of its own. stop wakes its reader.
func newLink(h *Hub, from client, t transport, stop func()) *link {
	l := &link{hub: h, client: from, block: sourceBlock(from.source), opened: time.Now(), transport: t,
		feed: newFeed(stop)}
	s := newSession(h, l, l.opened)
	l.session.Store(s)
	s.out.attach(l.feed, 0, nil, nil)
	return l
}

// receive processes one frame and tells whether the connection goes on.
func (l *link) receive(frame []byte) bool {
	return l.do(func(s *session) bool { return s.receive(frame) })
}

// refuse is receive for what is no frame.
func (l *link) refuse(why *refusal) bool {
	return l.do(func(s *session) bool { return s.refuse("", why) })
}

// dismiss ends the session with a refusal as its last word.
func (l *link) dismiss(why *refusal) bool {
	return l.do(func(s *session) bool { return s.dismiss("", why) })
}

// do has the session do something, unless another connection carries it by now.
func (l *link) do(work func(*session) bool) bool {
	s := l.lock()
	defer s.work.Unlock()
	return s.link == l && work(s)
}

// lock takes the work of the session that the connection carries.
func (l *link) lock() *session {
	for {
		s := l.session.Load()
		s.work.Lock()
		if l.session.Load() == s {
			return s
		}
		s.work.Unlock() // the client has resumed another one meanwhile
	}
}

// finish is the end of the connection, and of the session too, unless it can wait for its client to
// come back. The code is what ends the session; "" is a connection that was lost.
func (l *link) finish(code Code) {
	s := l.lock()
	defer s.work.Unlock()
	switch {
	case s.link != l: // another connection carries it
	case code == "" && l.hub.opts.Resume > 0 && s.greeted.Load() && s.out.detach(l.feed):
		window := l.hub.opts.Resume
		if l.goingAway {
			window = min(window, l.hub.limits.goingAway)
		}
		s.linger(window)
	default:
		s.end(code)
	}
}

// greeted tells whether the client has said hello, or resumed.
func (l *link) greeted() bool { return l.session.Load().greeted.Load() }

// patience tells how long a client that was heard last at that time may be silent.
func (l *link) patience(heard time.Time) time.Time {
	if l.greeted() {
		return heard.Add(l.hub.opts.deadAfter())
	}
	return l.opened.Add(l.hub.limits.hello) // only a hello extends the time for the hello
}
