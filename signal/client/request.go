package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// maxUnanswered is how many requests of a session may be under way at a time. Others wait for their
// turn.
const maxUnanswered = 256

// request is a frame that is sent until it is answered.
type request struct {
	frame  outFrame
	rejoin bool       // made by the session itself, after a restart
	answer chan error // capacity 1

	// guarded by the session's mu
	sent      time.Time // when it was written last; zero: never
	abandoned bool      // nobody waits for the answer
	joined    *Joined   // of a join: the first part of the answer
}

// Joined describes a room at the moment of joining it. Events tell what changes from then on.
type Joined struct {
	Room     string
	Peers    []Peer // in the order of their joining
	Capacity int    // 0: no limit
}

// Join enters a room. Joining a room again is not an error, and the other members don't notice.
func (s *Session) Join(ctx context.Context, room string) (Joined, error) {
	return s.JoinWithToken(ctx, room, "")
}

// JoinWithToken is Join where the session's own token doesn't admit to the room, but this one does.
func (s *Session) JoinWithToken(ctx context.Context, room, token string) (Joined, error) {
	r, err := s.do(ctx, outFrame{Type: "join", Room: room, Token: token})
	if err != nil {
		return Joined{}, fmt.Errorf("join: %w", err)
	}
	joined := locked(s, func() *Joined { return r.joined })
	if joined == nil {
		return Joined{}, errors.New("join: the server hasn't said who is in the room")
	}
	return *joined, nil
}

// Leave leaves a room.
func (s *Session) Leave(ctx context.Context, room string) error {
	if _, err := s.do(ctx, outFrame{Type: "leave", Room: room}); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

// HangUp ends the call with a peer, which either end has begun by a signal to "@user". The peer
// gets a PeerLeft without a room; but a caller hears only from the last session of a user, as long
// as none has answered. With "@user", it ends what rings there for us. Closing the session ends all
// calls.
func (s *Session) HangUp(ctx context.Context, peer string) error {
	if _, err := s.do(ctx, outFrame{Type: "leave", To: peer}); err != nil {
		return fmt.Errorf("hang up: %w", err)
	}
	return nil
}

// HangUpWith is HangUp with a last word for the other end, anything that JSON can express in 63
// KiB.
func (s *Session) HangUpWith(ctx context.Context, peer string, word any) error {
	if err := s.send(ctx, outFrame{Type: "leave", To: peer}, word); err != nil {
		return fmt.Errorf("hang up: %w", err)
	}
	return nil
}

// Signal sends data, anything that JSON can express in 63 KiB, to a peer or to "@user". The latter
// rings for all sessions of that user, and the first of them that signals back has the call. room
// names the room through which the two know each other; "" leaves the choice to the server. Without
// an error the data is on its way.
func (s *Session) Signal(ctx context.Context, to, room string, data any) error {
	if err := s.send(ctx, outFrame{Type: "signal", To: to, Room: room}, data); err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	return nil
}

// Broadcast sends data to every other member of a room.
func (s *Session) Broadcast(ctx context.Context, room string, data any) error {
	if err := s.send(ctx, outFrame{Type: "broadcast", Room: room}, data); err != nil {
		return fmt.Errorf("broadcast: %w", err)
	}
	return nil
}

func (s *Session) send(ctx context.Context, f outFrame, data any) error {
	text, err := encode(data)
	if err != nil {
		return err
	}
	if len(text) > maxData {
		return &Error{CodeTooLarge, fmt.Sprintf("the data has %d bytes; the limit is %d", len(text), maxData)}
	}
	f.Data = json.RawMessage(text)
	_, err = s.do(ctx, f)
	return err
}

// RefreshICE asks for fresh ICE servers. They come as an event, too.
func (s *Session) RefreshICE(ctx context.Context) ([]ICEServer, error) {
	if _, err := s.do(ctx, outFrame{Type: "ice"}); err != nil {
		return nil, fmt.Errorf("ice: %w", err)
	}
	return s.ICEServers(), nil
}

// Ping measures the round trip to the server.
func (s *Session) Ping(ctx context.Context) (time.Duration, error) {
	r, err := s.do(ctx, outFrame{Type: "ping"})
	if err != nil {
		return 0, fmt.Errorf("ping: %w", err)
	}
	return time.Since(locked(s, func() time.Time { return r.sent })), nil
}

// do makes a request and waits for its answer, over as many connections as that takes. A request
// whose context ends first may still take effect.
func (s *Session) do(ctx context.Context, f outFrame) (*request, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.over:
		return nil, s.closedError()
	}
	r := &request{frame: f, answer: make(chan error, 1)}
	s.mu.Lock()
	if s.state == Closed {
		s.answer(r, s.closedErrorLocked())
	} else {
		s.number(r)
		s.pending = append(s.pending, r)
		s.wakeWriter()
	}
	s.mu.Unlock()
	select {
	case err := <-r.answer:
		return r, err
	case <-ctx.Done():
		s.abandon(r)
		return nil, ctx.Err()
	}
}

// number gives the request its place in the session's order. mu is held.
func (s *Session) number(r *request) {
	s.seq++
	r.frame.Seq = s.seq
	r.frame.ID = strconv.FormatUint(s.seq, 10)
}

// answer ends the wait for a request. The request is out of pending, or soon will be. mu is held.
func (s *Session) answer(r *request, err error) {
	r.answer <- err
	if !r.rejoin {
		<-s.slots
	}
}

// answerID is answer for the request that a frame of the server answers. mu is held.
func (s *Session) answerID(id string, err error) {
	i := slices.IndexFunc(s.pending, func(r *request) bool { return r.frame.ID == id })
	if i < 0 {
		return // answered already, over another connection
	}
	r := s.pending[i]
	s.remove(i)
	if r.rejoin && err != nil {
		s.leftRoom(r.frame.Room)
		s.emit(RoomClosed{Room: r.frame.Room, Err: err})
	}
	s.answer(r, err)
}

// remove takes a request out of pending. mu is held.
func (s *Session) remove(i int) {
	s.pending = slices.Delete(s.pending, i, i+1)
	if i < s.written {
		s.written--
	}
}

// abandon is for a request that nobody waits for any more. If it was never sent it never will be.
func (s *Session) abandon(r *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.pending, r)
	if i < 0 {
		return
	}
	if r.abandoned = true; r.sent.IsZero() {
		s.remove(i)
		s.answer(r, nil)
	}
}

// restart prepares what the new session sends: first it joins its rooms again; then it repeats the
// old session's unanswered requests that can't do harm twice. mu is held.
func (s *Session) restart() {
	old := s.pending
	s.seq, s.received = 0, 0
	s.unconfirmed, s.unconfirmedBytes = 0, 0
	s.pending, s.written = nil, 0
	for _, room := range s.rooms {
		s.pending = append(s.pending, &request{
			frame:  outFrame{Type: "join", Room: room.name, Token: room.token},
			rejoin: true,
			answer: make(chan error, 1),
		})
	}
	for _, r := range old {
		relays := r.frame.Type == "signal" || r.frame.Type == "broadcast"
		switch {
		case r.rejoin:
		case r.abandoned:
			s.answer(r, nil)
		case relays && !r.sent.IsZero():
			s.answer(r, &Error{CodeLost, "the server forgot the session before it answered"})
		default:
			r.sent, r.joined = time.Time{}, nil
			s.pending = append(s.pending, r)
		}
	}
	for _, r := range s.pending {
		s.number(r)
	}
}

// joinedRoom notes the first part of the answer to a join. mu is held.
func (s *Session) joinedRoom(joined Joined) {
	i := slices.IndexFunc(s.pending, func(r *request) bool {
		return r.frame.Type == "join" && r.frame.Room == joined.Room && r.joined == nil
	})
	if i < 0 {
		return
	}
	r := s.pending[i]
	r.joined = &joined
	seat := roomSeat{joined.Room, r.frame.Token}
	if i := slices.IndexFunc(s.rooms, func(seat roomSeat) bool { return seat.name == joined.Room }); i < 0 {
		s.rooms = append(s.rooms, seat)
	} else if seat.token != "" {
		s.rooms[i] = seat
	}
	if r.rejoin {
		s.emit(Rejoined{joined})
	}
}

// leftRoom forgets a room. mu is held.
func (s *Session) leftRoom(name string) {
	s.rooms = slices.DeleteFunc(s.rooms, func(seat roomSeat) bool { return seat.name == name })
}
