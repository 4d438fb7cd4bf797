package signal

import (
	"cmp"
	"time"
)

// Bye ends the session at its client's wish.
func (s *Session) Bye() {
	s.ending = true
	s.close(CodeBye, nil)
}

// Stop ends the session from outside: it takes nothing more, its client is told the code, and
// whoever carries it will clean up. It never blocks; any goroutine may call it, under any lock.
func (s *Session) Stop(code Code) { s.close(code, lastWord(Refuse(code, ""))) }

// close closes the outbox with a last word, nil for none. It never blocks.
func (s *Session) close(code Code, last *parcel) {
	first, attached := s.out.close(code, last)
	if !first {
		return
	}
	s.hub.stats.refuse(code)
	if !attached { // nobody carries it
		s.hub.running.Add(1) // it is above 0: the session's expiry counts, or its connection, which is just going
		go s.expire()
	}
}

// tooSlow ends a connection whose client doesn't read in time, nil is the present one; it may come
// back, if any may.
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

// linger keeps a session without a connection, for its client to come back in time, or to come at
// all. It takes over one count of Hub.running. work is held.
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
	_, stopped := s.out.end()
	if s.link == nil && (stopped || !time.Now().Before(s.until)) { // it may have been resumed, and lost again
		s.end(CodeLost)
	}
}

// replace ends the session at once, for a new one of the same client.
func (s *Session) replace() {
	s.work.Lock()
	defer s.work.Unlock()
	s.end(CodeReplaced)
}

// end is the one way out: the session leaves the directory, its rooms and its calls. The code tells
// why, if nothing else has ended the session before. work is held.
func (s *Session) end(code Code) {
	if s.over {
		return
	}
	s.over, s.link = true, nil
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
	case CodeKicked:
		why = ReasonKicked
	case CodeReplaced, CodeBye:
		why = ReasonLeft
	}

	partners := s.hub.depart(s, why)
	for _, r := range s.rooms {
		s.hub.leave(r, s, why)
	}
	s.rooms = nil
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
	s.dialect.Ended(s)
}
