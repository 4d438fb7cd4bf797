package apprtc

import (
	"bytes"
	"encoding/json"

	"signalbox/signal"
)

// failing is an error in the words of Collider.
type failing string

func (f failing) Error() string { return string(f) }

// What Collider says, word for word.
const (
	errDuplicateRequest = failing("Duplicated register request")
	errDuplicate        = failing("Duplicated registration")
	errRegister         = failing("Invalid register request: missing 'clientid' or 'roomid'")
	errNotRegistered    = failing("Client not registered")
	errNoMessage        = failing("Invalid send request: missing 'msg'")
	errCommand          = failing("Invalid message: unexpected 'cmd'")
	errFull             = failing("Max room capacity reached")
	errQueue            = failing("Too many messages queued for the client")
	errEmpty            = failing("Empty request body")
)

const (
	// maxUnknown is how many unknown commands in a row a connection may send.
	maxUnknown = 16
	// maxName bounds the ids of rooms and clients, in characters.
	maxName = signal.MaxRoom
)

// Terms implements signal.Dialect.
func (c *client) Terms() signal.Terms {
	return signal.Terms{Name: Name, Space: Space, Capacity: capacity, Outlives: c.server.times.Reconnect}
}

// Encoding implements signal.Dialect: two in a room have nothing to share.
func (c *client) Encoding(signal.Event) any { return nil }

// Ended implements signal.Dialect.
func (c *client) Ended(*signal.Session) { c.server.desk.remove(c) }

// Encode implements signal.Dialect.
func (c *client) Encode(dst []signal.Frame, e signal.Event) []signal.Frame {
	var texts []string
	switch e := e.(type) {
	case signal.Joined:
		c.first.Store(len(e.Peers) == 0)
	case signal.Signaled:
		texts = fromHub(e.Data)
	case signal.Broadcasted:
		texts = fromHub(e.Data)
	case signal.PeerLeft:
		if e.Room != "" { // else it was a call
			texts = []string{bye}
		}
	case signal.Left:
		if e.Reason == signal.ReasonKicked {
			texts = []string{bye}
		}
	case signal.Ended:
		if !c.bare.Load() {
			return append(dst, failure(e.Message))
		}
	}
	for _, text := range texts {
		if c.bare.Load() {
			dst = append(dst, signal.Frame{Body: []byte(text)})
		} else {
			dst = append(dst, delivery(text, ""))
		}
	}
	return dst
}

// delivery is a frame of Collider's: both of its members are always there, and a line break behind.
func delivery(msg, failed string) signal.Frame {
	var body bytes.Buffer
	json.NewEncoder(&body).Encode(struct { //nolint:errcheck // two texts always have JSON
		Msg   string `json:"msg"`
		Error string `json:"error"`
	}{msg, failed})
	return signal.Frame{Body: body.Bytes()}
}

func failure(why string) signal.Frame { return delivery("", why) }

// Receive implements signal.Dialect.
func (c *client) Receive(s *signal.Session, f signal.Frame, over error) {
	if over != nil {
		s.Refuse(over, failure(over.Error()))
		return
	}
	var in struct {
		Cmd      string `json:"cmd"`
		RoomID   string `json:"roomid"`
		ClientID string `json:"clientid"`
		Msg      string `json:"msg"`
	}
	err := json.Unmarshal(f.Body, &in)
	if err != nil {
		c.fail(s, failing("websocket.JSON.Receive error: "+err.Error()))
		return
	}
	switch in.Cmd {
	case "register":
		err = c.register(s, signal.RoomName(in.RoomID), in.ClientID)
	case "send":
		err = c.send(s, in.Msg)
	default:
		c.server.wsErrors.Add(1)
		if c.unknown++; c.unknown < maxUnknown {
			s.Reply(failure(errCommand.Error()))
			return
		}
		err = errCommand
	}
	c.unknown = 0
	if err != nil {
		c.fail(s, err)
	}
}

// fail tells the client why, and ends its session. What it should only say again later ends
// nothing.
func (c *client) fail(s *signal.Session, why error) {
	c.server.wsErrors.Add(1)
	if code := signal.RefusalOf(why).Code; code == signal.CodeRateLimited && s.Greeted() {
		s.Refuse(why, failure(why.Error()))
		return
	}
	s.Reply(failure(why.Error()))
	s.Bye()
}

// register gives the connection to the session that a join has opened, or makes it one of its own.
func (c *client) register(s *signal.Session, room, id string) error {
	switch {
	case s.Greeted():
		return errDuplicateRequest
	case room == "" || id == "" || !isName(room) || !isName(id):
		return errRegister
	}
	known, to, _ := c.server.desk.find(room, id)
	switch {
	case known == nil:
		c.room, c.id = room, id
		token := c.token
		c.token = ""
		return c.server.enter(c, func() (*signal.Session, error) { return s, s.Hello(signal.Hello{Token: token}) },
			func(_ *signal.Session, join func() error) error { return join() })
	case to == nil || to.Attached():
		return errDuplicate
	}
	if known.key == "" {
		// Its client made the id up, so it is no secret that only who was let in knows.
		if err := s.MayAttach(to, c.token, room); err != nil {
			return err
		}
	}
	return s.Attach(to)
}

// isName reports whether a text can name a room or a client.
func isName(text string) bool { return signal.CheckText("name", text, maxName) == nil }

func (c *client) send(s *signal.Session, msg string) error {
	switch {
	case !s.Greeted():
		return errNotRegistered
	case msg == "":
		return errNoMessage
	}
	return c.say(s, msg)
}

// say passes a message on, or keeps it for the second one. Who says bye has left.
func (c *client) say(s *signal.Session, text string) error {
	if typeOf(text) == typeBye {
		c.leave(s)
		return nil
	}
	return s.Say(signal.Say{Room: c.room, Data: toHub(text, &c.offers)})
}

func (c *client) leave(s *signal.Session) {
	s.Leave(c.room) //nolint:errcheck // it isn't in it any more, then
	s.Bye()
}

// post is say for a request. What the hub has no place for is too much for the other client; what
// its sender says too fast is not.
func (c *client) post(s *signal.Session, text string) error {
	return within(s, func() error {
		if err := s.Meter(len(text)); err != nil {
			return err
		}
		err := c.say(s, text)
		if err != nil && signal.RefusalOf(err).Code == signal.CodeRateLimited {
			return errQueue
		}
		return err
	})
}
