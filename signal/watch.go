package signal

import "net/netip"

// Watcher lets a session follow what the relay sees of it, for a client that tests its way there.
type Watcher interface {
	// Watch begins to look at the credentials of the session with that peer id, whose client
	// connects from source, and at logins that it tries from there with the names of users. ok is
	// false if too many watch. It must not block.
	Watch(peerID string, source netip.Addr, users []string) (w Watch, ok bool)
}

// Watch is what the relay sees of one session.
type Watch interface {
	// Next waits for the next sighting, a JSON object. ok is false once the watch has ended.
	Next() (sighting []byte, ok bool)
	// Stop ends the watch, if it has not ended.
	Stop()
}

const (
	maxTest  = 64 // characters of a test's id
	maxUsers = 16 // whose logins one session watches
)

// Watch tells the session what the relay sees of it, from now on, by Sighted with that test's id. A
// session watches once: another test takes another session. It ends with the session's connection,
// if the relay does not end it before.
func (s *Session) Watch(test string, users []string) error {
	if err := s.mayAct(); err != nil {
		return err
	}
	if err := CheckText("test", test, maxTest); err != nil {
		return err
	}
	if len(users) > maxUsers {
		return Refuse(CodeBadFrame, "too many users")
	}
	for _, user := range users {
		if err := CheckText("a user", user, MaxUser); err != nil {
			return err
		}
	}
	if s.watch != nil {
		return Refuse(CodeRateLimited, "the session watches already")
	}
	watcher := s.hub.opts.Watcher
	if watcher == nil || !s.hub.enter() {
		return nil // there is nothing to see
	}
	w, ok := watcher.Watch(s.self.ID, s.client.Load().Source, users)
	if !ok {
		s.hub.running.Done()
		return Refuse(CodeRateLimited, "too many watch what the relay sees")
	}
	s.watch = w
	go func() {
		defer s.hub.running.Done()
		for {
			sighting, ok := w.Next()
			if !ok {
				return
			}
			e := Sighted{Test: test, Data: sighting}
			// A slow reader lacks some.
			s.follow(s.out.offer(one(e), e.Numbered(), sender{session: s}))
		}
	}()
	return nil
}

// unwatch ends what Watch has begun. work is held.
func (s *Session) unwatch() {
	if s.watch != nil {
		s.watch.Stop()
		s.watch = nil
	}
}
