package socketio

import (
	"encoding/json"
	"net/url"
	"slices"
	"sync"

	"signalbox/signal"
	"signalbox/signal/internal/object"
	"signalbox/signal/socketio/engineio"
)

// Socket is one client, as a Handler sees it.
type Socket struct {
	*signal.Session            // set when it opens
	Version         int        // of Engine.IO
	Query           url.Values // with which it has come; nil once it has connected: it may be long
}

// Emit tells the client an event, given as its array, in a namespace.
func (s *Socket) Emit(namespace string, event []byte, binary ...[]byte) {
	s.Reply(frames(nil, s.Version, typeEvent, namespace, "", event, binary...)...)
}

// Answer answers an event of the client's, if it awaits that, with an array of arguments.
func (s *Socket) Answer(p *Packet, arguments []byte, binary ...[]byte) {
	if p.Ack != "" {
		s.Reply(frames(nil, s.Version, typeAck, p.Namespace, p.Ack, arguments, binary...)...)
	}
}

// conversation is the protocol's part of one client.
type conversation struct {
	Socket
	handler Handler
	packets *sync.Pool // of *Packet
	joined  []string   // namespaces that the client is connected to
	partial *Packet    // an event whose binary values have not all come; nil: none
	held    int        // bytes of it
}

func (c *conversation) Terms() signal.Terms { return signal.Terms{Name: Name, Space: Space} }

// Opened connects a client of version 3, which does not ask for it.
func (c *conversation) Opened(s *signal.Session) {
	c.Session = s
	if c.Version == 3 {
		c.connect(&Packet{Type: typeConnect, Namespace: "/"})
	}
}

// Message processes a packet, or a binary value of one.
func (c *conversation) Message(s *signal.Session, m signal.Frame, over error) {
	if over != nil {
		if c.partial != nil || m.Binary {
			over = &signal.Refusal{Code: signal.CodeRateLimited, Detail: "a packet is not whole", Final: true}
		}
		s.Refuse(over)
		return
	}
	if m.Binary {
		c.attach(m.Body)
		return
	}
	p := c.packets.Get().(*Packet)
	err := p.parse(m.Body)
	defer func() {
		if c.partial != p {
			*p = Packet{last: p.last}
			c.packets.Put(p)
		}
	}()
	switch {
	case err != nil || c.partial != nil:
		engineio.Break(s, errPacket.Error())
	case p.Type == typeConnect:
		c.connect(p)
	case !slices.Contains(c.joined, p.Namespace):
		if len(c.joined) == 0 && !s.Greeted() {
			engineio.Break(s, "connect first")
		} // else it has just left
	case p.Type == typeDisconnect:
		c.disconnect(p.Namespace)
	case p.attachments > 0:
		c.begin(p)
	case p.Type == typeEvent || p.Type == typeBinaryEvent:
		c.handler.Event(&c.Socket, p)
	} // acks answer nothing
}

// begin keeps a packet until its binary values have come.
func (c *conversation) begin(p *Packet) {
	p.Data = append([]byte(nil), p.Data...)
	c.partial = p
	c.hold(len(p.Data))
}

func (c *conversation) hold(bytes int) {
	c.held += bytes
	c.Hold(bytes)
}

// attach takes a binary value.
func (c *conversation) attach(value []byte) {
	p := c.partial
	if p == nil {
		engineio.Break(c.Session, "a binary value that belongs to nothing")
		return
	}
	if c.hold(len(value)); c.held > maxPartial {
		c.Refuse(&signal.Refusal{Code: signal.CodeTooLarge, Final: true})
		return
	}
	p.Binary = append(p.Binary, append([]byte(nil), value...))
	if len(p.Binary) < p.attachments {
		return
	}
	c.partial = nil
	c.hold(-c.held)
	switch {
	case !p.whole() || p.check() != nil: // the latter since Data has moved
		engineio.Break(c.Session, "a place for a binary value that is not there")
	case p.Type == typeBinaryEvent:
		c.handler.Event(&c.Socket, p)
	}
}

// maxPartial is how many bytes a packet may have with its binary values.
const maxPartial = 1 << 20

// connect lets the client in, or answers why not.
func (c *conversation) connect(p *Packet) {
	if p.Namespace != "/" && !c.handler.Serves(p.Namespace) {
		c.Reply(c.refusal(p.Namespace, "Invalid namespace"))
		return
	}
	if slices.Contains(c.joined, p.Namespace) {
		return
	}
	if !c.Greeted() {
		if err := c.Hello(signal.Hello{Token: c.said(p.Data, "token")}); err != nil {
			if code := signal.RefusalOf(err).Code; code == signal.CodeUnauthorized || code == signal.CodeKicked {
				c.Refuse(err, c.refusal(p.Namespace, err.Error()))
			} else { // the client is to come again
				c.Refuse(err)
			}
			return
		}
	}
	c.joined = append(c.joined, p.Namespace)
	if c.Version > 3 {
		sid := append(append([]byte(`{"sid":`), quote(c.ID())...), '}')
		c.Reply(frames(nil, c.Version, typeConnect, p.Namespace, "", sid)...)
	} else {
		c.Reply(frames(nil, c.Version, typeConnect, p.Namespace, "", nil)...)
	}
	auth := p.Data
	if auth == nil {
		auth = []byte("{}")
	}
	c.handler.Connected(&c.Socket, p.Namespace, auth)
	c.Query = nil
}

// said is what the client says of itself as it connects, by auth or in its query.
func (s *Socket) said(auth []byte, name string) string {
	var values map[string]json.RawMessage
	if json.Unmarshal(auth, &values) == nil {
		if text, ok := object.Text(values[name]); ok {
			return text
		}
	}
	return s.Query.Get(name)
}

func (c *conversation) refusal(namespace, why string) signal.Frame {
	data := quote(why)
	if c.Version > 3 {
		data = append(append([]byte(`{"message":`), data...), '}')
	}
	return frames(nil, c.Version, typeError, namespace, "", data)[0]
}

// disconnect takes the client out of a namespace. The connection stays.
func (c *conversation) disconnect(namespace string) {
	c.joined = slices.DeleteFunc(c.joined, func(joined string) bool { return joined == namespace })
	if leaver, ok := c.handler.(interface{ Disconnected(*Socket) }); ok && namespace == "/" {
		leaver.Disconnected(&c.Socket)
	}
}

// Encode tells the client that it shall not come back, or what its handler makes of the event.
func (c *conversation) Encode(dst []signal.Frame, e signal.Event) []signal.Frame {
	if end, ok := e.(signal.Ended); ok {
		switch end.Code {
		case signal.CodeKicked, signal.CodeUnauthorized:
			return frames(dst, c.Version, typeDisconnect, "/", "", nil)
		}
		return dst
	}
	return c.handler.Encode(&c.Socket, dst, e)
}

func (c *conversation) Encoding(e signal.Event) any { return c.handler.Encoding(&c.Socket, e) }

func (c *conversation) Ended(*signal.Session) {}
