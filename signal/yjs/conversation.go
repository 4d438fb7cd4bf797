package yjs

import (
	"encoding/json"
	"strconv"

	"signalbox/signal"
	"signalbox/signal/internal/object"
)

// conversation is the dialect of one session.
type conversation struct {
	server *Server
	token  string // until it has said hello
	// How many subscribers each topic of the session's has, by its full name, as of the event that
	// is being encoded.
	subscribers map[string]int
}

func (c *conversation) Terms() signal.Terms { return c.server.terms }

// Opened says hello for the client, which has no word for that.
func (c *conversation) Opened(s *signal.Session) {
	if err := s.Hello(signal.Hello{Token: c.token}); err != nil {
		s.Refuse(err)
	}
	c.token = ""
}

func (c *conversation) Ended(*signal.Session) {}

// Receive processes a frame. The protocol has no word for a refusal, either.
func (c *conversation) Receive(s *signal.Session, f signal.Frame, over error) {
	object.Receive(s, f, over, func(m object.Object) error { return take(s, m) })
}

func take(s *signal.Session, m object.Object) error {
	kind, _ := m.Text("type")
	switch kind {
	case "subscribe":
		return each(s, m, func(topic string) error {
			if s.Peers(topic) >= 0 {
				return nil // the hub would tell it again of all who are there
			}
			return s.Join(signal.Join{Room: topic})
		})
	case "unsubscribe":
		return each(s, m, s.Leave)
	case "publish":
		topic, ok := m.Text("topic")
		if !ok {
			return signal.Refuse(signal.CodeBadFrame, "topic is not a string")
		}
		return s.Broadcast(signal.Broadcast{Room: topic, Data: m.JSON(), Echo: true})
	case "ping":
		s.Reply(signal.Frame{Body: []byte(`{"type":"pong"}`)})
	}
	return nil // like the original, what it doesn't know
}

// each does something with each of a frame's topics. It goes on after one that fails, and returns
// the first error: what is no topic is passed over. Each topic but the first counts as another
// frame, and ends the rest if that is too much.
func each(s *signal.Session, m object.Object, do func(topic string) error) (first error) {
	var topics []json.RawMessage
	if text := m.Get("topics"); text != nil && json.Unmarshal(text, &topics) != nil {
		return signal.Refuse(signal.CodeBadFrame, "topics is no array")
	}
	for i, value := range topics {
		if i > 0 {
			if err := s.Meter(0); err != nil {
				return err
			}
		}
		topic, ok := object.Text(value)
		err := signal.Refuse(signal.CodeBadFrame, "a topic is not a string")
		if ok {
			err = do(topic)
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// shape is what frames of a broadcast depend on.
type shape struct{ subscribers int }

// Encoding: subscribers share the frame of a publish, if they know of equally many. It is called
// before Encode with each event.
func (c *conversation) Encoding(e signal.Event) any {
	switch e := e.(type) {
	case signal.Joined:
		c.subscribers[e.Room] = len(e.Peers) + 1
	case signal.PeerJoined:
		c.subscribers[e.Room]++
	case signal.PeerLeft:
		if e.Room != "" {
			c.subscribers[e.Room]--
		}
	case signal.Left:
		delete(c.subscribers, e.Room)
	case signal.Broadcasted:
		return shape{c.subscribers[e.Room]}
	}
	return nil
}

// Encode tells of broadcasts alone.
func (c *conversation) Encode(dst []signal.Frame, e signal.Event) []signal.Frame {
	b, ok := e.(signal.Broadcasted)
	if !ok {
		return dst
	}
	return append(dst, signal.Frame{Body: publish(c.server.terms.Room(b.Room), b.Data, c.subscribers[b.Room])})
}

// publish is a broadcast to a topic as its subscribers get it.
func publish(topic string, data []byte, subscribers int) []byte {
	m, err := object.Parse(data)
	kind, _ := m.Text("type")
	if said, _ := m.Text("topic"); err != nil || kind != "publish" || signal.RoomName(said) != topic {
		m = nil // of a member that speaks another protocol
		m.SetText("type", "publish")
		m.SetText("topic", topic)
		m.Set("data", data)
	}
	m.Set("clients", json.RawMessage(strconv.Itoa(subscribers)))
	return m.JSON()
}
