package client

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	maxBatch      = 64        // frames that are written at once
	maxBatchBytes = 128 << 10 // a POST may have twice as much

	// The session confirms the server's frames after so many frames, or bytes. Until then the
	// server keeps them for us, at most 4096 and 1 MiB.
	confirmFrames = 256
	confirmBytes  = 256 << 10

	maxPing = 25 * time.Second // between signs of life
	byeTime = time.Second      // for the server to close the connection after our goodbye
	settled = 10 * time.Second // a connection that lasted so long was a good one
)

// run keeps the session connected until its end.
func (s *Session) run(ctx context.Context, l link) {
	defer close(s.done)
	defer s.dialer.close()
	for attempt := 0; l != nil; {
		opened := time.Now()
		err := s.serve(ctx, l)
		if time.Since(opened) >= settled {
			attempt = 0
		}
		if answered(err) {
			attempt = max(attempt, 1) // the server has asked for a pause
		}
		l = nil
		for l == nil && s.comesBack(err) && s.pause(s.opts.Backoff(attempt)) {
			attempt++
			if l, err = s.connect(ctx); err != nil {
				s.log.Debug("signaling connection failed", "attempt", attempt, "err", err)
			}
		}
	}
}

// comesBack notes that the connection is lost, and reports whether it makes sense to connect again.
func (s *Session) comesBack(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Closed && final(err) {
		s.endLocked(err)
	}
	if s.state == Open {
		s.state, s.written = Reconnecting, 0
		s.log.Debug("signaling connection lost", "peer", s.peerID, "err", err)
		s.emit(Disconnected{Err: err})
	}
	return s.state != Closed
}

// pause waits, and reports whether the session goes on.
func (s *Session) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.over:
		return false
	case <-timer.C:
		return true
	}
}

// serve carries the session over a connection, to its end.
func (s *Session) serve(ctx context.Context, l link) error {
	defer context.AfterFunc(ctx, func() { time.AfterFunc(byeTime, l.close) })()
	stop, written := make(chan struct{}), make(chan error, 1)
	s.wakeWriter() // for what other connections have left
	go func() { written <- s.write(l, stop) }()
	err := s.read(l)
	close(stop)
	l.close()
	if bad := <-written; bad != nil && !answered(err) {
		err = bad
	}
	return err
}

func (s *Session) read(l link) error {
	for {
		text, err := l.read()
		if err == nil {
			err = s.process(text)
		}
		if err != nil {
			return s.withLastWord(err)
		}
	}
}

// withLastWord returns why the connection ended: the server's error before the close if the close
// code is lost or says less.
func (s *Session) withLastWord(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.lastWord
	s.lastWord = nil
	var closed *closeError
	switch {
	case e == nil:
		return err
	case !errors.As(err, &closed):
		return fmt.Errorf("%w (%w)", e, err)
	case closed.word.Code == e.Code:
		closed.word.Message = e.Message
	}
	return err
}

// process takes a frame of the server's.
func (s *Session) process(text []byte) error {
	f, err := decode(text)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Closed {
		return nil
	}
	if f.Seq != 0 {
		if f.Seq <= s.received {
			return nil
		}
		if f.Seq != s.received+1 {
			return fmt.Errorf("frame %d of the server follows on %d", f.Seq, s.received)
		}
		s.received = f.Seq
		s.unconfirmed++
		s.unconfirmedBytes += len(text)
		if s.confirmDue() {
			s.wakeWriter()
		}
	}
	s.lastWord = nil
	s.act(f)
	return nil
}

// act does what a frame says. Types that it doesn't know are newer than it. mu is held.
func (s *Session) act(f *inFrame) {
	switch f.Type {
	case "ack":
		s.answerID(f.ID, nil)
	case "error":
		if e := (&Error{f.Code, f.Message}); f.ID != "" {
			s.answerID(f.ID, e)
		} else {
			s.lastWord = e
		}
	case "joined":
		s.joinedRoom(Joined{Room: f.Room, Peers: f.Peers, Capacity: f.Capacity})
	case "left":
		s.leftRoom(f.Room)
		if f.Reason != "" {
			s.emit(RoomClosed{Room: f.Room, Err: &Error{Code(f.Reason), "you were removed from the room"}})
		}
	case "token":
		s.resumeToken = f.ResumeToken
	case "ice":
		s.ice, s.iceExpires = f.ICEServers, unixMilli(f.ICEExpiresAt)
	}
	if e := f.event(); e != nil {
		s.emit(e)
	}
}

// event is what the application gets to see of a frame, if anything.
func (f *inFrame) event() Event {
	switch f.Type {
	case "signal":
		return SignalEvent{From: f.From, FromName: f.FromName, FromUser: f.FromUser, Room: f.Room, Polite: f.Polite,
			Data: f.Data}
	case "broadcast":
		return BroadcastEvent{From: f.From, FromName: f.FromName, Room: f.Room, Data: f.Data}
	case "peer-joined":
		return PeerJoined{Room: f.Room, Peer: f.Peer}
	case "peer-left":
		return PeerLeft{Room: f.Room, Peer: f.Peer, Reason: f.Reason, Data: f.Data}
	case "ice":
		return ICEUpdated{Servers: f.ICEServers, Expires: unixMilli(f.ICEExpiresAt)}
	}
	return nil
}

// write sends the session's frames over a connection, and watches over it: a connection that is
// silent for a minute is dead. It returns when stop is closed. When the session is over, it says
// goodbye first.
func (s *Session) write(l link, stop <-chan struct{}) error {
	every := locked(s, func() time.Duration { return s.heartbeat })
	if every < time.Second || every > maxPing {
		every = maxPing
	}
	dead := every * 11 / 5
	tick := time.NewTicker(every / 5)
	defer tick.Stop()
	lastWrite, lastPing := time.Now(), time.Now()
	for {
		ping := false
		select {
		case <-stop:
			return nil
		case <-s.over:
			_ = l.write([]outFrame{{Type: "bye"}}, 0, byeTime)
			<-stop // the server closes the connection, or else we do when byeTime is over
			return nil
		case <-s.wake:
		case now := <-tick.C:
			silence := l.silence()
			if silence >= dead {
				l.close()
				return fmt.Errorf("the server has been silent for %v", silence.Round(time.Second))
			}
			ping = now.Sub(lastPing) >= every && silence >= every || l.quiet() && now.Sub(lastWrite) >= every*4/5
		}
		for {
			batch, received := s.take(ping)
			if len(batch) == 0 {
				break
			}
			if err := l.write(batch, received, min(writeTimeout, dead)); err != nil {
				select {
				case <-stop: // the reader knows better why
					return nil
				default:
				}
				<-stop
				return err
			}
			lastWrite = time.Now()
			if ping {
				ping, lastPing = false, lastWrite
			}
		}
	}
}

// take returns what to write next: requests, or a ping if there is none and a sign of life is asked
// for or due.
func (s *Session) take(ping bool) (batch []outFrame, received uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	size := 0
	for len(batch) < maxBatch && s.written < len(s.pending) {
		r := s.pending[s.written]
		if size += r.frame.size(); size > maxBatchBytes && len(batch) > 0 {
			break
		}
		r.sent = now
		batch = append(batch, r.frame)
		s.written++
	}
	if len(batch) == 0 && (ping || s.confirmDue()) {
		batch = append(batch, outFrame{Type: "ping"})
	}
	if len(batch) > 0 {
		s.unconfirmed, s.unconfirmedBytes = 0, 0
	}
	return batch, s.received
}

// confirmDue reports whether it is time to confirm the server's frames. mu is held.
func (s *Session) confirmDue() bool {
	return s.unconfirmed >= confirmFrames || s.unconfirmedBytes >= confirmBytes
}
