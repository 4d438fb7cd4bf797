package signal

import "time"

// A token says until when it admits its bearer. Nothing that it brings is good for longer: ICE
// credentials end with it and, if the operator wants that, sessions. A join with a fresh token, of
// any room that it is for, extends both.

// admittedUntil is when the last of the session's tokens ends; zero: never.
func (s *Session) admittedUntil() time.Time {
	if at := s.admitted.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// admitUntil notes how long a pass admits the session, and reports whether that is longer than
// before. A pass that has ended already, for which only the difference of clocks speaks, is good
// until it expires. work is held.
func (s *Session) admitUntil(pass *Pass, now time.Time) (longer bool) {
	if pass.Ends.IsZero() || s.greeted.Load() && s.admitted.Load() == 0 { // it is admitted for ever
		return false
	}
	end := pass.Ends
	if !now.Before(end) {
		end = pass.Expires
	}
	if !end.After(s.admittedUntil()) {
		return false
	}
	s.admitted.Store(end.UnixNano())
	return true
}

// endWithToken ends the session when its tokens end, if the operator wants that. work is held.
func (s *Session) endWithToken(now time.Time) {
	until := s.admittedUntil()
	if !s.hub.opts.EndAtExp || until.IsZero() {
		return
	}
	if s.deadline != nil {
		s.deadline.Stop()
	}
	s.deadline = time.AfterFunc(min(until.Sub(now), clockLook), s.endAtExp)
}

// clockLook is how often the clock is looked at. Tokens end by the clock on the wall, which may be
// set, forward or back, while timers go on.
const clockLook = time.Minute

// endAtExp ends the session if its tokens have ended.
func (s *Session) endAtExp() {
	s.work.Lock()
	defer s.work.Unlock()
	switch now := time.Now(); {
	case s.over:
	case now.Before(s.admittedUntil()):
		s.endWithToken(now)
	default:
		s.close(CodeUnauthorized, lastWord(errTokenExpired))
	}
}

var errTokenExpired = Refuse(CodeUnauthorized, "the token has expired")
