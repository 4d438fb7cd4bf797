package client

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// State is the state of a session.
type State string

// The states of a session.
const (
	Open         State = "open"
	Reconnecting State = "reconnecting"
	Closed       State = "closed"
)

// Session is one client of a server. Its methods may be called from any goroutine.
type Session struct {
	// set by Dial
	opts   Options
	dialer *dialer
	log    *slog.Logger
	events *eventQueue
	slots  chan struct{} // one for each unanswered request
	wake   chan struct{} // capacity 1: the writer may have something to do
	over   <-chan struct{}
	cancel context.CancelFunc // closes over
	done   chan struct{}      // closed when the goroutines are gone

	mu            sync.Mutex
	state         State
	err           error // why it is closed
	carrier       Carrier
	peerID        string
	name, user    string
	resumeToken   string
	resumeSeconds int
	heartbeat     time.Duration
	ice           []ICEServer
	iceExpires    time.Time

	received         uint64 // the server's frame that was processed last
	unconfirmed      int    // frames that the server hasn't been told of
	unconfirmedBytes int
	// of the server, if its latest frame is an error that answers no request: the reason of a close
	// that follows
	lastWord *Error

	seq     uint64     // of the last request
	pending []*request // unanswered, in the order of their seq
	written int        // of the pending, over this connection
	rooms   []roomSeat // in the order of joining
}

// roomSeat is a room that the session is in, with what it takes to join it again.
type roomSeat struct{ name, token string }

// newSession is a session without a connection.
func newSession(address string, opts Options) (*Session, error) {
	u, err := endpoint(address)
	if err != nil {
		return nil, err
	}
	switch opts.Carrier {
	case Auto, WebSocket, SSE:
	default:
		return nil, fmt.Errorf("unknown carrier %q", opts.Carrier)
	}
	if opts.Backoff == nil {
		opts.Backoff = backoff
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Session{
		opts:        opts,
		dialer:      newDialer(u, opts),
		log:         opts.Log,
		events:      &eventQueue{ready: make(chan struct{}, 1)},
		slots:       make(chan struct{}, maxUnanswered),
		wake:        make(chan struct{}, 1),
		done:        make(chan struct{}),
		state:       Reconnecting,
		resumeToken: opts.Replaces,
	}, nil
}

// PeerID is what other peers know this session by. It may change with a restart.
func (s *Session) PeerID() string { return locked(s, func() string { return s.peerID }) }

// Name is the name for display; a token may have decided it.
func (s *Session) Name() string { return locked(s, func() string { return s.name }) }

// User is the handle by which others can call the session; a token may have decided it.
func (s *Session) User() string { return locked(s, func() string { return s.user }) }

// Carrier is what carries the session now, or did last.
func (s *Session) Carrier() Carrier { return locked(s, func() Carrier { return s.carrier }) }

// State says whether there is a connection.
func (s *Session) State() State { return locked(s, func() State { return s.state }) }

// ICEServers are the latest, with this session's own credential.
func (s *Session) ICEServers() []ICEServer {
	return locked(s, func() []ICEServer { return slices.Clone(s.ice) })
}

// ICEExpires is until when relaying can be started with ICEServers; zero: for ever.
func (s *Session) ICEExpires() time.Time { return locked(s, func() time.Time { return s.iceExpires }) }

// ResumeToken returns the token for Options.Replaces of a session that will take this one's place.
// It is a secret.
func (s *Session) ResumeToken() string { return locked(s, func() string { return s.resumeToken }) }

// Err tells why the session has ended: nil while it hasn't, and after Close.
func (s *Session) Err() error { return locked(s, func() error { return s.err }) }

func locked[T any](s *Session, get func() T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return get()
}

// Close ends the session: others see it leave at once, if it has a connection. It returns when all
// its goroutines are gone, after two seconds at most.
func (s *Session) Close() {
	s.end(nil)
	<-s.done
}

func (s *Session) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(err)
}

// endLocked ends the session, once. mu is held.
func (s *Session) endLocked(err error) {
	if s.state == Closed {
		return
	}
	s.state, s.err = Closed, err
	for _, r := range s.pending {
		s.answer(r, s.closedErrorLocked())
	}
	s.pending, s.written = nil, 0
	s.events.end()
	s.cancel()
	s.log.Debug("signaling session ended", "peer", s.peerID, "err", err)
}

func (s *Session) closedError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closedErrorLocked()
}

func (s *Session) closedErrorLocked() error {
	if s.err == nil {
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, s.err)
}

// emit queues an event. mu is held.
func (s *Session) emit(e Event) {
	if s.state != Closed && !s.events.put(e) {
		s.endLocked(ErrSlowConsumer)
	}
}

// wakeWriter has the writer look for something to do.
func (s *Session) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
