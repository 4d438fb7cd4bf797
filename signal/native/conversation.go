package native

import (
	"cmp"
	"slices"
	"sync/atomic"

	"signalbox/signal"
)

// conversation is the dialect of one session: what signalbox.v1 remembers of its client.
type conversation struct {
	server    *Server
	lastEvent uint64 // the hub's frame that the client has, if the request has said so

	seq     atomic.Uint64  // of the client's last frame that was processed; written by Receive only
	refused []refusedFrame // the latest refused ones among those, oldest first
}

// refusedFrame remembers the answer to a frame, for a client that sends it again because it missed
// the answer.
type refusedFrame struct {
	seq uint64
	why error
}

// maxRefused is how many refusals are remembered; older frames that come again are acked.
const maxRefused = 16

func (c *conversation) Terms() signal.Terms { return c.server.terms }

// Encode is one frame for each event.
func (c *conversation) Encode(dst []signal.Frame, e signal.Event) []signal.Frame {
	return append(dst, signal.Frame{Body: encode(e, c.seq.Load())})
}

// Encoding: all receivers of an event get the same frame.
func (c *conversation) Encoding(signal.Event) any { return Protocol }

func (c *conversation) Ended(*signal.Session) {}

// Receive processes a frame: each number once, each id answered.
func (c *conversation) Receive(s *signal.Session, f signal.Frame, over error) {
	m, err := read(f)
	if over != nil {
		err = over
	}
	numbered := m.Seq != 0 && m.Type != typeResume // a resume's seq counts the hub's frames
	if err == nil && m.Received != 0 {
		s.Confirm(m.Received)
	}
	ends := err != nil && signal.RefusalOf(err).Final
	if numbered && !ends && m.Seq <= c.seq.Load() {
		c.repeat(s, &m)
		return
	}
	if err == nil {
		err = c.dispatch(s, &m)
	}
	if err == nil && m.Type == typeResume {
		return // the connection is another session's, which has answered
	}
	if numbered && !ends {
		c.processed(m.Seq, err)
	}
	if err != nil {
		refuse(s, m.ID, err)
		return
	}
	s.Reply(answer(m.ID)...)
	if m.Type == typeBye {
		s.Bye()
	}
}

func read(f signal.Frame) (clientMessage, error) {
	if f.Binary {
		return clientMessage{}, broken("it is binary")
	}
	return decode(f.Body)
}

// dispatch has the frame's verb do its work.
func (c *conversation) dispatch(s *signal.Session, m *clientMessage) error {
	v, known := c.server.verbs[m.Type]
	switch {
	case !known:
		return broken("its type is unknown")
	case !s.Greeted() && !v.beforeHello:
		return signal.Refuse(signal.CodeHelloFirst, "")
	}
	return v.run(c, s, m)
}

// processed notes that a numbered frame is done with, refused or not.
func (c *conversation) processed(seq uint64, err error) {
	c.seq.Store(seq)
	if err == nil {
		return
	}
	if len(c.refused) == maxRefused {
		c.refused = slices.Delete(c.refused, 0, 1)
	}
	c.refused = append(c.refused, refusedFrame{seq, err})
}

// repeat answers a frame that was processed before as it was answered then, with no other effect.
func (c *conversation) repeat(s *signal.Session, m *clientMessage) {
	for _, r := range c.refused {
		if r.seq == m.Seq {
			refuse(s, m.ID, r.why)
			return
		}
	}
	s.Reply(answer(m.ID)...)
}

func refuse(s *signal.Session, id string, why error) {
	s.Refuse(why, signal.Frame{Body: refusal(id, why)})
}

// answer is the ack of a frame that has an id.
func answer(id string) []signal.Frame {
	if id == "" {
		return nil
	}
	return []signal.Frame{{Body: acknowledgment(id)}}
}

const (
	typeResume = "resume"
	typeBye    = "bye"
)

// verb is the effect of one type of client frame. The frames that it causes for the client itself
// come before its ack, or before the error of the refusal that it returns.
type verb struct {
	run         func(*conversation, *signal.Session, *clientMessage) error
	beforeHello bool
}

// verbs is the table of all frames that a client may send.
func verbs() map[string]verb {
	return map[string]verb{
		"hello": {beforeHello: true, run: func(_ *conversation, s *signal.Session, m *clientMessage) error {
			return s.Hello(signal.Hello{Name: m.Name, User: m.User, Token: m.Token, Replaces: m.Replaces})
		}},
		typeResume: {beforeHello: true, run: func(c *conversation, s *signal.Session, m *clientMessage) error {
			return s.Resume(signal.Resume{Token: m.Token, Seq: cmp.Or(m.Seq, c.lastEvent), Answer: answer(m.ID)})
		}},
		"ping": {beforeHello: true, run: func(_ *conversation, s *signal.Session, _ *clientMessage) error {
			s.Reply(signal.Frame{Body: pong()})
			return nil
		}},
		typeBye: {run: func(*conversation, *signal.Session, *clientMessage) error {
			return nil // Receive ends the session behind the ack
		}},
		"join": {run: func(_ *conversation, s *signal.Session, m *clientMessage) error {
			return s.Join(signal.Join{Room: m.Room, Token: m.Token})
		}},
		"leave": {run: func(_ *conversation, s *signal.Session, m *clientMessage) error {
			if m.To != "" {
				return s.HangUpWith(m.To, m.Data)
			}
			return s.Leave(m.Room)
		}},
		"signal": {run: func(_ *conversation, s *signal.Session, m *clientMessage) error {
			return s.Signal(signal.Signal{To: m.To, Room: m.Room, Data: m.Data})
		}},
		"broadcast": {run: func(_ *conversation, s *signal.Session, m *clientMessage) error {
			return s.Broadcast(signal.Broadcast{Room: m.Room, Data: m.Data})
		}},
		"ice": {run: func(_ *conversation, s *signal.Session, _ *clientMessage) error {
			return s.ICE()
		}},
		"watch": {run: func(_ *conversation, s *signal.Session, m *clientMessage) error {
			return s.Watch(m.Test, m.Users)
		}},
	}
}
