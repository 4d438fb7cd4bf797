// Package socketio serves Socket.IO: its protocol 5 (of clients 3.x and 4.x) and 4 (of 2.x), and
// on it the rooms that its tutorials make. What carries it is package engineio.
//
//	mux.Handle("/socket.io/", socketio.New(hub, socketio.Options{Capacity: 128}))
//
// packet.go reads and makes packets. A conversation (conversation.go) is one client: it connects,
// its events go to a Handler, and what happens to it becomes events. Rooms (rooms.go) is the
// handler that the appliance has: a table, of which each row is a tutorial's server. Its rooms are
// the hub's with the prefix sio, so clients of other protocols may be in them: there, an event is
// its JSON array, the name first.
//
// Better than the originals: only members may send, and what they say stays in the room; to join
// again is answered and announced to nobody; whoever is lost is announced as one that has left; no
// member says what is the server's to say; and nothing that a client sends ends the server. An id
// that others learn is the hub's peer id, which a 2.x client does not know as its socket.id: that
// one is a secret.
//
// Who is turned away hears full, if its row has that, whatever the reason: its page knows no other
// word. If the room is not full, or the row has no such word, the event error says the reason.
package socketio

import (
	"net/http"
	"sync"
	"time"

	"signalbox/signal"
	"signalbox/signal/socketio/engineio"
)

// Name is the dialect's, and Space the prefix of its rooms.
const (
	Name  = "socket.io"
	Space = "sio"
)

// Options are what a server needs to know.
type Options struct {
	// Capacity is how many members a room may have whose tutorial lets any number in; 0: the
	// hub's limit.
	Capacity int
	// Relay lets sockets name a room as they connect, and passes on what no tutorial knows.
	Relay bool
	// Handler makes what sockets' events do; nil: Rooms.
	Handler func() Handler

	// See engineio.Options.
	PingInterval, PingTimeout, Connect time.Duration
}

// New makes a server of a hub's, for the path "/socket.io/".
func New(hub *signal.Hub, o Options) http.Handler {
	handler := o.Handler
	if handler == nil {
		t := newTable()
		handler = func() Handler { return &rooms{hub: hub, o: &o, t: t} }
	}
	packets := &sync.Pool{New: func() any { return new(Packet) }}
	return engineio.New(hub, engineio.Options{
		PingInterval: o.PingInterval, PingTimeout: o.PingTimeout, Connect: o.Connect,
		Open: func(r engineio.Request) engineio.Conversation {
			c := &conversation{Socket: Socket{Version: r.Version, Query: r.Query}, packets: packets}
			c.handler = handler()
			return c
		},
	})
}

// Handler is what the events of one socket do. If it also has the method Disconnected(*Socket),
// that is called when the client has disconnected from "/" and its connection stays; a session that
// ends leaves its rooms by itself.
type Handler interface {
	// Serves reports whether there is that namespace. There is "/" in any case.
	Serves(namespace string) bool
	// Connected is called when the client has connected to a namespace. auth is the JSON object
	// that it has brought, or {}.
	Connected(s *Socket, namespace string, auth []byte)
	// Event processes an event, which is valid until it returns.
	Event(s *Socket, p *Packet)
	// Encode appends what the client is to be told of an event of the hub's, from another
	// goroutine. Encoding is as in signal.Dialect.
	Encode(s *Socket, dst []signal.Frame, e signal.Event) []signal.Frame
	Encoding(s *Socket, e signal.Event) any
}
