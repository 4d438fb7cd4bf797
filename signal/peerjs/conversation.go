package peerjs

import (
	"crypto/subtle"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"signalbox/signal"
	"signalbox/signal/internal/object"
)

// space is what ids of PeerJS have before them as users of the hub.
const space = Name + "/"

const (
	maxID    = signal.MaxUser - len(space) // characters
	maxToken = 256                         // bytes
)

// conversation is the dialect of one session.
type conversation struct {
	server         *Server
	id, token, key string          // key: until it has said hello
	session        *signal.Session // set by Opened
	open           atomic.Bool     // the id is its own, and others may know
	settled        chan struct{}   // closed when it has the id for its own, or does not get it
	gone           chan struct{}   // closed when the session is over

	// belong to the session's work
	letters map[string]*letter // to ids that are not there
	held    int                // bytes in them
	silence *time.Timer        // ends the session; nil: it is not open

	// belongs to Encode
	told bool // that it is open
}

func (c *conversation) Terms() signal.Terms { return c.server.terms }

// Opened takes the id for the client, or takes over the session that has it.
func (c *conversation) Opened(s *signal.Session) {
	c.session = s
	switch {
	case c.id == "" || c.token == "" || c.key == "":
		c.turnAway(errMissing, failure("No id, token, or key supplied to websocket server"))
		return
	case !c.server.o.KeyIsToken && c.key != defaultKey:
		c.turnAway(errKey, failure("Invalid key provided"))
		return
	case utf8.RuneCountInString(c.id) > maxID || len(c.token) > maxToken || signal.Visible(c.id) != c.id:
		c.turnAway(errID, failure("Invalid id or token"))
		return
	}
	holder := c.server.claim(c)
	if holder != nil && subtle.ConstantTimeCompare([]byte(holder.token), []byte(c.token)) == 1 {
		if await(holder.settled) && holder.open.Load() {
			if err := c.mayTakeOver(holder.session); err != nil {
				c.turnAway(err, whyNot(err))
				return
			}
			if s.Attach(holder.session) == nil {
				return
			}
		}
		await(holder.gone) // it has just left, and its id is about to be free
		holder = c.server.claim(c)
	}
	if holder != nil {
		c.turnAway(errTaken, taken())
		return
	}
	defer close(c.settled)
	if err := c.enter(s); err != nil {
		c.server.release(c)
		c.turnAway(err, whyNot(err))
		return
	}
	c.key = ""
	c.open.Store(true)
	c.silence = time.AfterFunc(c.server.silence, func() { s.Stop(signal.CodeLost) })
	c.server.arrived(c.id)
}

// mayTakeOver asks for the key that the first connection had to show, too: the token alone is no
// secret that the box has chosen.
func (c *conversation) mayTakeOver(held *signal.Session) error {
	if !c.server.o.KeyIsToken {
		return nil
	}
	return c.session.MayAttach(held, c.key, c.id)
}

// whyNot tells a client that the hub has refused.
func whyNot(err error) signal.Frame {
	switch signal.RefusalOf(err).Code {
	case signal.CodeUserTaken, signal.CodeRoomFull:
		return taken()
	case signal.CodeUnauthorized:
		return failure("Invalid key provided")
	}
	return failure(signal.RefusalOf(err).Error())
}

// await waits a moment for what another session is about to do, and reports whether it has.
func await(done <-chan struct{}) bool {
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// enter says hello for the client, and takes the room of its id.
func (c *conversation) enter(s *signal.Session) error {
	hello := signal.Hello{User: space + c.id}
	if c.server.o.KeyIsToken {
		hello.Token = c.key
	}
	if err := s.Hello(hello); err != nil {
		return err
	}
	return s.Join(signal.Join{Room: c.id})
}

// turnAway ends a session that was not let in. Its client is told why.
func (c *conversation) turnAway(why error, answer signal.Frame) {
	if c.session.Greeted() { // but for its room
		c.session.Reply(answer)
		c.session.Bye()
		return
	}
	c.session.Refuse(why, answer)
}

var (
	errMissing = signal.Refuse(signal.CodeBadFrame, "id, token or key is missing")
	errKey     = signal.Refuse(signal.CodeUnauthorized, "the key is wrong")
	errID      = signal.Refuse(signal.CodeBadFrame, "the id or the token is too long, or not visible")
	errTaken   = signal.Refuse(signal.CodeUserTaken, "")
)

// taken tells a client that another one has its id.
func taken() signal.Frame {
	return signal.Frame{Body: []byte(`{"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}`)}
}

// failure tells a client what is wrong, as the original does.
func failure(why string) signal.Frame {
	var payload, o object.Object
	payload.SetText("msg", why)
	o.SetText("type", "ERROR")
	o.Set("payload", payload.JSON())
	return signal.Frame{Body: o.JSON()}
}

// Ended makes the id free.
func (c *conversation) Ended(*signal.Session) {
	c.open.Store(false)
	c.server.release(c)
	close(c.gone)
	for to, l := range c.letters {
		c.server.discard(c, to, l)
	}
	if c.silence != nil {
		c.silence.Stop()
	}
}

// Receive processes a frame. Refusals have no form in the protocol.
func (c *conversation) Receive(s *signal.Session, f signal.Frame, over error) {
	object.Receive(s, f, over, c.take)
}

func (c *conversation) take(o object.Object) error {
	c.silence.Reset(c.server.silence)
	kind, _ := o.Text("type")
	to, ok := o.Text("dst")
	switch {
	case kind == "HEARTBEAT":
		return nil
	case !passes(kind):
		return signal.Refuse(signal.CodeBadFrame, "its type is unknown")
	case kind == "LEAVE" && to == "":
		c.session.Bye()
		return nil
	case !ok || to == "" || utf8.RuneCountInString(to) > maxID:
		return signal.Refuse(signal.CodeBadFrame, "dst is no id")
	}
	m := message{kind: kind, body: frame(kind, c.id, to, o.Get("payload")).Body}
	switch {
	case c.letters[to] != nil && c.server.find(to) != nil:
		c.deliver(to) // before this one
	case c.letters[to] != nil || c.server.find(to) == nil || to == c.id:
		if kind != "LEAVE" {
			c.keep(to, m)
		}
		return nil
	}
	return c.send(to, m)
}

// passes reports whether clients send each other such messages.
func passes(kind string) bool {
	return kind == "OFFER" || kind == "ANSWER" || kind == "CANDIDATE" || kind == "LEAVE"
}

// send sends a message to a client. An OFFER opens the pair.
func (c *conversation) send(to string, m message) error {
	address := "@" + space + to
	if m.kind != "OFFER" {
		target := c.server.find(to)
		if target == nil {
			return signal.Refuse(signal.CodeNoSuchPeer, "")
		}
		address = target.ID()
	}
	return c.session.Signal(signal.Signal{To: address, Data: m.body})
}

// Encoding: nothing is for many.
func (c *conversation) Encoding(signal.Event) any { return nil }

// Encode tells the client that its id is its own, what others say to it, and why it was not let in.
func (c *conversation) Encode(dst []signal.Frame, e signal.Event) []signal.Frame {
	switch e := e.(type) {
	case signal.Joined:
		if !c.told {
			c.told = true
			return append(dst, signal.Frame{Body: []byte(`{"type":"OPEN"}`)})
		}
	case signal.Left: // the operator has taken it out of the room of its id
		c.session.Soon(func() { c.session.Stop(signal.CodeKicked) })
	case signal.Signaled:
		if f, ok := c.passed(&e); ok {
			return append(dst, f)
		}
	case signal.Ended:
		if !c.told && e.Code == signal.CodeRateLimited {
			return append(dst, failure("Server has reached its concurrent user limit"))
		}
	}
	return dst
}

// passed is a message as the client gets it: from whom it really is, and nothing but what the
// protocol knows. Who is no client of PeerJS has none for it.
func (c *conversation) passed(e *signal.Signaled) (signal.Frame, bool) {
	from, ok := strings.CutPrefix(e.From.User, space)
	o, err := object.Parse(e.Data)
	kind, _ := o.Text("type")
	if !ok || err != nil || !passes(kind) {
		return signal.Frame{}, false
	}
	return frame(kind, from, c.id, o.Get("payload")), true
}
