package ws

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
)

// Server holds what all WebSocket connections of a dialect share. Buffers are borrowed as long as
// there is something to read or write: an idle session holds none.
type Server struct {
	hub      *signal.Hub
	upgrader websocket.Upgrader
	inputs   *sync.Pool // of *input
	buffers  *buffers
	lot      lot
	pulse    Pulse
}

// Pulse is how a server asks idle clients for a sign of life.
type Pulse struct {
	// Every is how often.
	Every time.Duration
	// Beat is a text that the client answers; nil: a ping of the WebSocket's own. Empty: nothing,
	// since the client speaks by itself.
	Beat []byte
	// Sign is the text that is the sign, beside the WebSocket's own: it says nothing else, so a
	// client that was idle still is. nil: there is none.
	Sign []byte
}

// NewBeating is New for a protocol with a heartbeat of its own, and without compression.
func NewBeating(hub *signal.Hub, pulse Pulse) *Server {
	s := New(hub)
	s.pulse, s.upgrader.EnableCompression = pulse, false
	return s
}

// New makes a server for a hub. A client may offer one of the subprotocols, but need not.
func New(hub *signal.Hub, subprotocols ...string) *Server {
	return &Server{
		hub: hub,
		upgrader: websocket.Upgrader{
			HandshakeTimeout: 10 * time.Second,
			ReadBufferSize:   1, // gorilla does the handshake only
			WriteBufferPool:  &sync.Pool{},
			Subprotocols:     subprotocols,
			// For clients that ask for it; for each frame it is decided whether it is compressed.
			EnableCompression: true,
			CheckOrigin:       func(*http.Request) bool { return true }, // Serve has done it
		},
		inputs:  newInputs(),
		buffers: newBuffers(),
		pulse:   Pulse{Every: hub.Heartbeat()},
	}
}

// IsUpgrade reports whether a request asks for a WebSocket.
func IsUpgrade(r *http.Request) bool { return websocket.IsWebSocketUpgrade(r) }

// RefusesPlain answers a request that asks for no WebSocket, where nothing but a protocol over
// WebSockets is spoken, and reports whether it did.
func RefusesPlain(w http.ResponseWriter, r *http.Request, protocol string) bool {
	if IsUpgrade(r) {
		return false
	}
	w.Header().Set("Upgrade", "websocket")
	http.Error(w, "this address speaks "+protocol+" over WebSocket", http.StatusUpgradeRequired)
	return true
}

// Serve serves one WebSocket connection whose client speaks that dialect. It refuses requests of
// pages that may not connect, and improper upgrades. It returns when the connection is open, so
// nothing of the request stays in memory. The hub's Close waits for the connection's end.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, d signal.Dialect) {
	if s.hub.RefusesOrigin(w, r) {
		return
	}
	link, err := s.hub.Connect(s.hub.ClientOf(r))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	begun := false
	defer func() {
		if !begun { // refused, or the dialect has panicked
			link.Close()
		}
	}()
	hijacker := &hijacker{ResponseWriter: w}
	if _, err := s.upgrader.Upgrade(hijacker, r, nil); err != nil {
		return // the client has its answer, or is gone
	}
	raw := hijacker.conn.Conn
	defer func() {
		if !begun {
			raw.Close()
		}
	}()
	c := &conn{
		Conn:     raw,
		server:   s,
		deflates: hijacker.conn.deflates,
		link:     link,
		written:  make(chan struct{}),
		out:      output{conn: raw, buffers: s.buffers},
	}
	c.begin(d)
	begun = true
}

// hijacker hands gorilla a connection for the handshake, and no longer.
type hijacker struct {
	http.ResponseWriter
	conn *handshake // set by Hijack
}

func (w *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.conn = &handshake{Conn: conn}
	return w.conn, rw, nil
}

// handshake reads in gorilla's answer what was agreed upon.
type handshake struct {
	net.Conn
	deflates bool
}

func (c *handshake) Write(p []byte) (int, error) {
	c.deflates = bytes.Contains(p, []byte("permessage-deflate"))
	return c.Conn.Write(p)
}
