package signal

import (
	"cmp"
	"errors"
	"time"
)

// Hello is how a client introduces itself.
type Hello struct {
	Name     string // for display
	User     string // the handle by which it can be called; empty: none
	Token    string // for admission; see Guard
	Replaces string // the resume token of a former session, whose place and id this one takes; empty: none
}

// Hello makes the session known to others: it can be called and can join rooms. The client first
// gets Welcome.
func (s *Session) Hello(hello Hello) error {
	if s.greeted.Load() {
		return Refuse(CodeBadFrame, "the session has already said hello")
	}
	if err := CheckText("name", hello.Name, MaxName); err != nil {
		return err
	}
	if err := CheckText("user", hello.User, MaxUser); err != nil {
		return err
	}
	pass, err := s.admit(hello.Token)
	if err != nil {
		return err
	}
	s.pass, s.self.Name, s.self.User = pass, hello.Name, hello.User
	if pass.Attested {
		if hello.User != "" && hello.User != pass.User {
			return Refuse(CodeUnauthorized, "the token is not for that user")
		}
		s.self.Name, s.self.User = cmp.Or(pass.Name, hello.Name), pass.User
	}
	if err := s.knock(); err != nil {
		return err
	}
	s.inherit(hello.Replaces)
	greeting := one(Welcome{
		Member:      s.self,
		ResumeToken: s.hub.resumeToken(s.self.ID, s.nonce),
		Outlives:    s.terms.Outlives,
		Heartbeat:   s.hub.opts.Heartbeat,
		ICE:         s.issueICE(time.Now()),
	})
	old, err := s.hub.register(s, greeting)
	for old != nil {
		old.replace()
		old, err = s.hub.register(s, greeting)
	}
	if err == nil {
		s.hub.log.Info("session opened", "peer", s.self.ID, "user", s.self.User, "src", s.client.Load().Source)
	}
	return err
}

// inherit gives the session the peer id that a resume token is for. If that session still exists,
// the token must be its latest one, or the one before, since the latest may have been lost with its
// welcome.
func (s *Session) inherit(token string) {
	id, nonce, ok := s.hub.readToken(token)
	if !ok {
		return
	}
	if old := s.hub.find(id); old != nil && nonce != old.nonce && nonce != old.before {
		return
	}
	s.self.ID, s.before = id, nonce
}

// admit has the guard judge a token.
func (s *Session) admit(token string) (Pass, error) {
	if s.hub.opts.Guard == nil {
		return Pass{}, nil
	}
	pass, err := s.hub.opts.Guard.Admit(token, s.client.Load().Source)
	if err == nil {
		return pass, nil
	}
	why, code := ErrUnauthorized.Error(), CodeUnauthorized
	if errors.Is(err, ErrTooManyGuesses) {
		why, code = ErrTooManyGuesses.Error(), CodeRateLimited
	}
	var explained Explainer
	if errors.As(err, &explained) {
		why = explained.Why()
	}
	return pass, Refuse(code, why)
}

// Open begins a session that no connection carries yet, and says hello for it. It counts for its
// source like any other. It ends as lost unless a connection is attached to it (Attach) within
// wait. Its events wait until then.
func (h *Hub) Open(d Dialect, from Client, hello Hello, wait time.Duration) (*Session, error) {
	if !h.enter() {
		return nil, Refuse(CodeShuttingDown, "")
	}
	opened := false
	defer func() {
		if !opened { // refused, or the Guard has panicked
			h.running.Done()
		}
	}()
	now := time.Now()
	s := newSession(h, d, &from, now)
	s.work.Lock()
	defer s.work.Unlock()
	err := errTooManyConnections
	if h.arrivals.Allow(from.Source, now) {
		err = s.Hello(hello)
	}
	if err != nil {
		h.stats.refuse(RefusalOf(err).Code)
		return nil, err
	}
	s.known.Store(true) // its client waits for the answer
	s.linger(wait)
	opened = true
	return s, nil
}
