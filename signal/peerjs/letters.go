package peerjs

import (
	"time"

	"signalbox/signal"
	"signalbox/signal/internal/object"
)

// letter is what one session has said to an id that is not there, in order. Like all of a
// conversation it belongs to the work of its session.
type letter struct {
	messages []message
	bytes    int
	expiry   *time.Timer
}

// message is one of a client's to another.
type message struct {
	kind string
	body []byte // as the other one gets it, the src apart
}

// Limits of what waits. Who says more than that is told at once that nobody is there.
const (
	maxLetters  = 16       // of a session
	maxMessages = 64       // in a letter
	maxWaiting  = 64 << 10 // bytes of a session
)

// keep has a message wait for its destination.
func (c *conversation) keep(to string, m message) {
	s, l := c.server, c.letters[to]
	if l == nil {
		if len(c.letters) == maxLetters {
			c.session.Reply(expired(to, c.id))
			return
		}
		l = &letter{}
		c.letters[to] = l
		l.expiry = time.AfterFunc(s.expiry, func() { c.session.Do(func() { c.expire(to, l) }) })
	}
	if len(l.messages) == maxMessages || c.held+len(m.body) > maxWaiting {
		c.expire(to, l)
		return
	}
	s.awaits(c, to)
	l.messages = append(l.messages, m)
	l.bytes += len(m.body)
	c.hold(len(m.body))
	if to != c.id && s.find(to) != nil { // it has come just now, and may not have seen the letter
		c.deliver(to)
	}
}

// hold counts bytes that wait, or with a negative number do so no longer.
func (c *conversation) hold(bytes int) {
	c.held += bytes
	c.session.Hold(bytes)
}

// expire tells the client, once for all messages of a letter, that nobody is there.
func (c *conversation) expire(to string, l *letter) {
	if c.letters[to] == l {
		c.drop(to, l)
		c.session.Reply(expired(to, c.id))
	}
}

// deliver sends a letter to the session that has just come. If that fails it is lost, like what is
// sent to somebody who leaves.
func (c *conversation) deliver(to string) {
	l := c.letters[to]
	if l == nil {
		return
	}
	c.drop(to, l)
	for _, m := range l.messages {
		c.send(to, m) //nolint:errcheck // the sender was not told of the others, either
	}
}

// drop forgets a letter.
func (c *conversation) drop(to string, l *letter) {
	delete(c.letters, to)
	c.hold(-l.bytes)
	c.server.discard(c, to, l)
}

// awaits notes that a conversation has a letter to an id that is not there.
func (s *Server) awaits(c *conversation, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[id] == nil {
		s.waiting[id] = make(map[*conversation]struct{})
	}
	s.waiting[id][c] = struct{}{}
}

// discard is the end of a letter.
func (s *Server) discard(c *conversation, id string, l *letter) {
	l.expiry.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting[id], c)
	if len(s.waiting[id]) == 0 {
		delete(s.waiting, id)
	}
}

// arrived has everybody who waits for a conversation's id say what they have to say.
func (s *Server) arrived(id string) {
	s.mu.Lock()
	var senders []*conversation
	for c := range s.waiting[id] {
		senders = append(senders, c)
	}
	s.mu.Unlock()
	for _, c := range senders {
		c.session.Soon(func() { c.deliver(id) })
	}
}

// expired tells a client that nobody with that id is there.
func expired(from, to string) signal.Frame { return frame("EXPIRE", from, to, nil) }

// frame is a message from one client to another.
func frame(kind, from, to string, payload []byte) signal.Frame {
	var o object.Object
	o.SetText("type", kind)
	o.SetText("src", from)
	o.SetText("dst", to)
	if payload != nil {
		o.Set("payload", payload)
	}
	return signal.Frame{Body: o.JSON()}
}
