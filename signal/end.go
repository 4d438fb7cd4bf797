package signal

import (
	"cmp"
	"runtime/debug"
	"time"
)

// Bye ends the session at its client's wish.
func (s *Session) Bye() {
	s.ending = true
	s.close(CodeBye, nil)
}

// Stop ends the session from outside: it accepts nothing more, its client is told the code, and the
// goroutine that carries it cleans up. It never blocks; any goroutine may call it, under any lock.
func (s *Session) Stop(code Code) { s.close(code, lastWord(Refuse(code, ""))) }

// stopped reports whether the session has ended, though it may not have left yet.
func (s *Session) stopped() bool {
	_, closed := s.out.end()
	return closed
}

// close closes the outbox with a last word, nil for none. It never blocks.
func (s *Session) close(code Code, last *parcel) {
	first, attached := s.out.close(code, last)
	if !first {
		return
	}
	s.hub.stats.refuse(code)
	if !attached { // nobody carries it
		// It is above 0: the session's expiry counts, or its connection, which is just going.
		s.hub.running.Add(1)
		go s.expire()
	}
}

// tooSlow ends a connection whose client doesn't read in time; nil means the present one. The
// client may come back if its session can be resumed.
func (s *Session) tooSlow(f *feed) {
	switch {
	case s.terms.Outlives == 0:
		s.Stop(CodeSlow)
	case s.out.revoke(f, CodeSlow, lastWord(Refuse(CodeSlow, ""))):
		s.hub.stats.refuse(CodeSlow)
	}
}

// lastWord is what precedes a close.
func lastWord(why error) *parcel {
	r := RefusalOf(why)
	return one(Ended{Code: r.Code, Message: r.Error()})
}

// linger keeps a session without a connection, until its client comes back, or comes at all. It
// takes over one count of Hub.running. work is held.
func (s *Session) linger(window time.Duration) {
	s.link = nil
	s.until = time.Now().Add(window)
	s.expiry = time.AfterFunc(window, s.expire)
}

// expire ends a session that nobody carries, when it was stopped or its time is over. It gives back
// one count of Hub.running.
func (s *Session) expire() {
	defer s.hub.running.Done()
	s.work.Lock()
	defer s.work.Unlock()
	// It may have been resumed, and lost again.
	if s.link == nil && (s.stopped() || !time.Now().Before(s.until)) {
		s.end(CodeLost)
	}
}

// replace ends the session at once, for a new one of the same client.
func (s *Session) replace() {
	s.work.Lock()
	defer s.work.Unlock()
	s.end(CodeReplaced)
}

// end is the only way out: the session leaves the directory, its rooms and its calls. The code is
// the reason, unless something else has ended the session before. work is held.
func (s *Session) end(code Code) {
	if s.over {
		return
	}
	s.over, s.link = true, nil
	if s.deadline != nil {
		s.deadline.Stop()
	}
	if s.expiry != nil && s.expiry.Stop() {
		s.hub.running.Done()
	}
	if code == CodeLost {
		s.out.close(CodeLost, nil)
	} else if first, _ := s.out.close(code, lastWord(Refuse(code, ""))); first {
		s.hub.stats.refuse(code)
	}
	code, _ = s.out.end()
	why := ReasonLost
	switch code {
	case CodeKicked, CodeUnauthorized: // the latter for whose token has ended
		why = ReasonKicked
	case CodeReplaced, CodeBye:
		why = ReasonLeft
	}

	partners := s.hub.depart(s, why)
	for _, r := range s.rooms {
		s.hub.leave(r, s, why)
	}
	s.rooms = nil
	s.unwatch()
	s.letGo()
	s.hub.forget(s) // its seats are free: another session may have its id now
	gone := shared(PeerLeft{Peer: s.self, Reason: why})
	for _, partner := range partners {
		partner.put(gone, true)
	}
	source := s.client.Load().Source
	word := cmp.Or(string(code), string(ReasonLost))
	if s.greeted.Load() {
		s.hub.log.Info("session ended", "peer", s.self.ID, "src", source, "reason", word, "age",
			time.Since(s.opened).Round(time.Millisecond))
	} else {
		s.hub.log.Debug("connection ended before its hello", "src", source, "reason", word)
	}
	s.tellDialect()
}

// tellDialect tells the session's dialect of the end. A dialect that panics then harms nobody else.
func (s *Session) tellDialect() {
	defer func() {
		if p := recover(); p != nil {
			s.hub.stats.refuse(CodeInternal)
			s.hub.log.Error("a dialect panicked at the end of a session", "peer", s.self.ID, "panic", p,
				"stack", string(debug.Stack()))
		}
	}()
	s.dialect.Ended(s)
}
