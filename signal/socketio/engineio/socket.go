package engineio

import (
	"crypto/rand"
	"encoding/base64"
	"strconv"

	"signalbox/signal"
)

// Conversation is what a session's messages mean: a signal.Dialect whose frames are messages. Its
// own frames are packets, which Text and Binary make.
type Conversation interface {
	// Terms are the session's; the server sets Hello and Silence.
	Terms() signal.Terms
	// Opened is called once, before any message.
	Opened(s *signal.Session)
	// Message processes a message of the client, as Receive does a frame.
	Message(s *signal.Session, m signal.Frame, over error)
	Encode(dst []signal.Frame, e signal.Event) []signal.Frame
	Encoding(e signal.Event) any
	Ended(s *signal.Session)
}

// Text is a message as a packet, given as what follows the type.
func Text(message []byte) signal.Frame {
	return signal.Frame{Body: append(append(make([]byte, 0, len(message)+1), typeMessage), message...)}
}

// Binary is a binary message as a packet.
func Binary(version int, message []byte) signal.Frame {
	if version == 3 {
		message = append([]byte{binaryType}, message...)
	}
	return signal.Frame{Body: message, Binary: true}
}

// socket is the dialect of one session.
type socket struct {
	Conversation
	server  *Server
	version int
	open    []byte // the first packet; nil once it is sent
}

// newSocket makes a socket for a client that may change to other transports, given as JSON.
func (s *Server) newSocket(r Request, id, upgrades string) *socket {
	open := []byte(`0{"sid":"` + id + `","upgrades":` + upgrades)
	open = strconv.AppendInt(append(open, `,"pingInterval":`...), s.o.PingInterval.Milliseconds(), 10)
	open = strconv.AppendInt(append(open, `,"pingTimeout":`...), s.o.PingTimeout.Milliseconds(), 10)
	if r.Version > 3 {
		open = strconv.AppendInt(append(open, `,"maxPayload":`...), int64(s.hub.MaxFrame()), 10)
	}
	return &socket{Conversation: s.o.Open(r), server: s, version: r.Version, open: append(open, '}')}
}

// newID is a secret: who knows it can speak for the session.
func newID() string {
	var id [15]byte
	rand.Read(id[:]) // never fails: the runtime ends the process first
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func (d *socket) Terms() signal.Terms {
	terms := d.Conversation.Terms()
	terms.Hello, terms.Silence = d.server.o.Connect, d.server.o.PingInterval+d.server.o.PingTimeout
	return terms
}

func (d *socket) Opened(s *signal.Session) {
	s.Reply(signal.Frame{Body: d.open})
	d.open = nil
	d.Conversation.Opened(s)
}

// Receive processes a packet.
func (d *socket) Receive(s *signal.Session, f signal.Frame, over error) {
	switch {
	case f.Binary && d.version == 3:
		if len(f.Body) == 0 || f.Body[0] != binaryType {
			Break(s, "a binary packet is no message")
			return
		}
		f.Body = f.Body[1:]
		d.Message(s, f, over)
	case f.Binary:
		d.Message(s, f, over)
	case len(f.Body) == 0:
		Break(s, "a packet is empty")
	case f.Body[0] == typeMessage:
		f.Body = f.Body[1:]
		d.Message(s, f, over)
	case over != nil:
		s.Refuse(over)
	case f.Body[0] == typeClose:
		s.Bye()
	case f.Body[0] == typePing && d.version == 3:
		s.Reply(text(string(typePong) + string(f.Body[1:])))
	case f.Body[0] == typePong && d.version > 3, f.Body[0] == typeUpgrade, f.Body[0] == typeNoop:
	default:
		Break(s, "a packet of a wrong type")
	}
}

// Break ends a session whose client does not keep to the protocol.
func Break(s *signal.Session, detail string) {
	s.Refuse(&signal.Refusal{Code: signal.CodeBadFrame, Detail: detail, Final: true})
}
