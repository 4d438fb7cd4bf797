package client

import (
	"context"
	"encoding/json"
	"iter"
	"sync"
	"time"
)

// Event is one of the types of this file.
type Event interface {
	// weight is about how many bytes the event keeps in memory.
	weight() int
}

// SignalEvent is a message to us alone: a peer's, or, from "server", of the operator's own program.
type SignalEvent struct {
	From, FromName, FromUser string
	Room                     string // empty in a call
	Polite                   *bool  // in a call: our role towards the peer
	Data                     json.RawMessage
}

// BroadcastEvent is a message to all members of a room, from whom a SignalEvent may be.
type BroadcastEvent struct {
	From, FromName string
	Room           string
	Data           json.RawMessage
}

// PeerJoined is a new member of one of our rooms.
type PeerJoined struct {
	Room string
	Peer Peer
}

// PeerLeft says that a peer has left a room, or, without a room, that a call has ended.
type PeerLeft struct {
	Room   string
	Peer   Peer
	Reason string          // "left", "lost" or "kicked"; of a call also "answered-elsewhere"
	Data   json.RawMessage // the last word of who has hung up; nil: none
}

// ICEUpdated brings fresh ICE servers, asked for or not.
type ICEUpdated struct {
	Servers []ICEServer
	Expires time.Time // zero: never
}

// Disconnected says that the connection is lost. The session is reconnecting: Resumed or Restarted
// follows, or the end of the session.
type Disconnected struct{ Err error }

// Resumed says that the session goes on as if nothing had been. Its ICE servers are fresh.
type Resumed struct {
	AddressChanged bool // we have another IP address than before: a case for an ICE restart
}

// Restarted says that a new session has replaced one that the server has forgotten. Calls and all
// knowledge of other peers are void; a Rejoined or RoomClosed follows for each room. The ICE
// servers are fresh.
type Restarted struct {
	PeerID, Previous string // the same, if the server could vouch for it
}

// Rejoined says that a room was joined again after a restart.
type Rejoined struct{ Joined }

// RoomClosed says that a room could not be joined again after a restart, or that the operator has
// ended our membership: then Err is an Error with the code "kicked".
type RoomClosed struct {
	Room string
	Err  error
}

const eventWeight = 256

func (e SignalEvent) weight() int    { return eventWeight + len(e.Data) }
func (e BroadcastEvent) weight() int { return eventWeight + len(e.Data) }
func (PeerJoined) weight() int       { return eventWeight }
func (e PeerLeft) weight() int       { return eventWeight + len(e.Data) }
func (ICEUpdated) weight() int       { return eventWeight }
func (Disconnected) weight() int     { return eventWeight }
func (Resumed) weight() int          { return eventWeight }
func (Restarted) weight() int        { return eventWeight }
func (e Rejoined) weight() int       { return eventWeight * (1 + len(e.Peers)) }
func (RoomClosed) weight() int       { return eventWeight }

const (
	maxEvents      = 4096
	maxEventsBytes = 16 << 20
)

// eventQueue is what the application hasn't read yet: in order, bounded in count and bytes.
type eventQueue struct {
	ready chan struct{} // capacity 1: there may be something to take, or the end to see

	mu     sync.Mutex
	events []Event
	bytes  int
	ended  bool
}

// put fails when the queue is full.
func (q *eventQueue) put(e Event) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) >= maxEvents || q.bytes+e.weight() > maxEventsBytes {
		return false
	}
	q.events = append(q.events, e)
	q.bytes += e.weight()
	q.signal()
	return true
}

// end lets takers know that nothing more will be put.
func (q *eventQueue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.signal()
}

// take waits for the next event. It returns nil after the last one.
func (q *eventQueue) take(ctx context.Context) (Event, error) {
	for {
		if e, over := q.tryTake(); e != nil || over {
			return e, nil
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (q *eventQueue) tryTake() (e Event, over bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) > 0 {
		e = q.events[0]
		q.events[0] = nil
		q.events = q.events[1:]
		q.bytes -= e.weight()
	}
	if len(q.events) > 0 || q.ended {
		q.signal() // for another taker
	}
	return e, q.ended
}

// signal wakes a taker. mu is held.
func (q *eventQueue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// Next waits for the next event. After the last event of a session its error is ErrClosed, with the
// reason; if ctx ends first, it is that of ctx.
func (s *Session) Next(ctx context.Context) (Event, error) {
	e, err := s.events.take(ctx)
	if e == nil && err == nil {
		err = s.closedError()
	}
	return e, err
}

// Events yields the events up to the end of the session; Err then returns the reason. Each event is
// delivered once: if there are several loops, to one of them.
func (s *Session) Events() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for {
			e, err := s.Next(context.Background())
			if err != nil || !yield(e) {
				return
			}
		}
	}
}
