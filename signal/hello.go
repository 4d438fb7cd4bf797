package signal

import (
	"cmp"
	"errors"
	"time"
)

// Hello is how a client introduces itself.
type Hello struct {
	Name     string // for display, as far as it is Visible
	User     string // the handle by which it can be called, as far as it is Visible; empty: none
	Token    string // for admission; see Guard
	Replaces string // resume token of a session whose place and id this one takes; empty: none
	// Yields lets the session have another user name than User: the token's, or where somebody else
	// has User, that with a number up to 31 behind it. Session.Member says which.
	Yields bool
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
	user := Visible(hello.User)
	if user == "" && hello.User != "" {
		return Refuse(CodeBadFrame, "user has no visible character")
	}
	pass, err := s.admit(hello.Token)
	if err != nil {
		return err
	}
	s.pass, s.self.Name, s.self.User = pass, Visible(hello.Name), user
	if pass.Attested {
		s.self.Name, s.self.User = cmp.Or(Visible(pass.Name), s.self.Name), Visible(pass.User)
		if user != "" && user != s.self.User && !hello.Yields {
			return Refuse(CodeUnauthorized, "the token is not for that user")
		}
	}
	if hello.Yields && !pass.Attested {
		s.self.User, err = s.hub.vacant(user)
		if err != nil {
			return err
		}
	}
	if s.hub.bars(s) {
		return Refuse(CodeKicked, "")
	}
	if err := s.knock(); err != nil {
		return err
	}
	s.admitUntil(&pass, time.Now())
	s.inherit(hello.Replaces)
	greeting := one(Welcome{
		Member:      s.self,
		ResumeToken: s.issueToken(s.marks.Load()),
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
		s.endWithToken(time.Now())
		s.hub.log.Info("session opened", "peer", s.self.ID, "user", s.self.User, "src", s.client.Load().Source)
	}
	return err
}

// inherit gives the session the peer id that a resume token is for, unless somebody with a newer
// token has it, or the token is an old one of a session that is not there any more.
func (s *Session) inherit(token string) {
	id, shown, issued, ok := s.hub.readToken(token)
	if !ok {
		return
	}
	next := marks{latest: s.marks.Load().latest, inherited: shown, issued: time.Now()}
	next.latest.age = shown.age + 1
	fresh := time.Since(issued).Abs() <= maxTokenAge
	if old := s.hub.find(id); old != nil {
		has := old.marks.Load()
		if !has.yield(shown) {
			return
		}
		fresh = fresh || has.take(shown)
		next.latest.age = max(next.latest.age, has.latest.age+1)
	}
	if fresh {
		s.self.ID = id
		s.marks.Store(&next)
	}
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
