package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// connect opens a connection over the first carrier that works, and resumes the session or starts
// one.
func (s *Session) connect(ctx context.Context) (link, error) {
	var errs []error
	carriers := s.carriers()
	for i, c := range carriers {
		limit := greetTimeout
		if i < len(carriers)-1 {
			limit = openTimeout
		}
		l, err := s.try(ctx, c, limit)
		if err == nil {
			return l, nil
		}
		err = fmt.Errorf("%s: %w", c, err)
		if answered(err) {
			return nil, err
		}
		if errs = append(errs, err); ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// carriers returns the carriers to try, the one that worked last first.
func (s *Session) carriers() []Carrier {
	switch {
	case s.opts.Carrier != Auto:
		return []Carrier{s.opts.Carrier}
	case s.Carrier() == SSE:
		return []Carrier{SSE, WebSocket}
	}
	return []Carrier{WebSocket, SSE}
}

func (s *Session) try(ctx context.Context, c Carrier, limit time.Duration) (link, error) {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	opening, opened := context.WithTimeout(ctx, limit)
	l, err := s.dialer.open(opening, c)
	opened()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, l.close)
	f, err := s.greet(ctx, l)
	if !stop() && !answered(err) {
		err = fmt.Errorf("no welcome: %w", ctx.Err())
	}
	if err != nil {
		l.close()
		return nil, err
	}
	s.opened(c, f)
	return l, nil
}

// greet resumes the session over a new connection, or else starts a new one. It returns the
// server's answer: resumed, or welcome.
func (s *Session) greet(ctx context.Context, l link) (*inFrame, error) {
	s.mu.Lock()
	token, seq := s.resumeToken, s.received
	resumable := s.peerID != "" && token != "" && s.resumeSeconds > 0
	s.mu.Unlock()
	if resumable {
		f, err := exchange(l, outFrame{Type: "resume", Token: token, Seq: seq}, "resumed")
		if !IsCode(err, CodeResumeExpired) {
			return f, refused(l, err)
		}
	}
	hello := outFrame{Type: "hello", Name: s.opts.Name, User: s.opts.User, Replaces: token}
	if s.opts.Token != nil {
		admission, err := s.opts.Token(ctx)
		if err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		hello.Token = admission
	}
	f, err := exchange(l, hello, "welcome")
	return f, refused(l, err)
}

// exchange sends the first frame of a connection and waits for the answer. A refusal is an *Error.
func exchange(l link, f outFrame, want string) (*inFrame, error) {
	unsent := l.write([]outFrame{f}, 0, writeTimeout)
	for {
		text, err := l.read() // even if it is unsent: over SSE, a refusal looks like that
		if err != nil && unsent != nil && !answered(err) {
			err = unsent
		}
		if err != nil {
			return nil, err
		}
		in, err := decode(text)
		switch {
		case err != nil:
			return nil, err
		case in.Type == want:
			return in, nil
		case in.Type == "error":
			return nil, &Error{in.Code, in.Message}
		}
	}
}

// refused waits for the close code that follows the refusal of a first frame: it says whether to
// come back.
func refused(l link, err error) error {
	var e *Error
	var closed *closeError
	if !errors.As(err, &e) || errors.As(err, &closed) { // also if there is none
		return err
	}
	for {
		if _, end := l.read(); errors.As(end, &closed) {
			closed.word = *e // with the detail
			return closed
		} else if end != nil {
			return err
		}
	}
}

// opened notes that the session goes on over a connection, or begins anew. If it was closed
// meanwhile, the connection is there to say goodbye.
func (s *Session) opened(c Carrier, f *inFrame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Closed {
		return
	}
	s.state, s.carrier = Open, c
	s.ice, s.iceExpires = f.ICEServers, unixMilli(f.ICEExpiresAt)
	// A hub of a former version gives none with resumed.
	s.resumeToken = cmp.Or(f.ResumeToken, s.resumeToken)
	s.log.Debug("signaling connection open", "peer", f.PeerID, "carrier", c, "as", f.Type)
	if f.Type == "resumed" {
		s.emit(Resumed{AddressChanged: f.AddressChanged})
		return
	}
	previous := s.peerID
	s.peerID, s.name, s.user = f.PeerID, f.Name, f.User
	s.resumeSeconds = f.ResumeSeconds
	s.heartbeat = time.Duration(f.HeartbeatSeconds) * time.Second
	s.restart()
	if previous != "" {
		s.emit(Restarted{PeerID: s.peerID, Previous: previous})
	}
}
