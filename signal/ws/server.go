package ws

import (
	"bytes"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
)

// Server holds what all WebSocket connections of a dialect share. Buffers are borrowed as long as
// there is something to read or write: an idle session holds only the read buffer that net/http
// made for its request.
type Server struct {
	hub      *signal.Hub
	upgrader websocket.Upgrader
	frames   sync.Pool // of *bytes.Buffer: one incoming frame
	gathers  sync.Pool // for gatherConn
}

// New makes a server for a hub. A client may offer one of the subprotocols, but need not.
func New(hub *signal.Hub, subprotocols ...string) *Server {
	return &Server{
		hub: hub,
		upgrader: websocket.Upgrader{
			HandshakeTimeout: 10 * time.Second,
			ReadBufferSize:   0, // that of net/http, which keeps it in memory anyway
			WriteBufferSize:  4 << 10,
			WriteBufferPool:  &sync.Pool{},
			Subprotocols:     subprotocols,
			// For clients that ask for it; each frame decides whether it is compressed.
			EnableCompression: true,
			CheckOrigin:       func(*http.Request) bool { return true }, // Serve has done it
		},
		frames:  sync.Pool{New: func() any { return new(bytes.Buffer) }},
		gathers: sync.Pool{New: func() any { b := make([]byte, 0, gatherSize); return &b }},
	}
}

// IsUpgrade reports whether a request asks for a WebSocket.
func IsUpgrade(r *http.Request) bool { return websocket.IsWebSocketUpgrade(r) }

// Serve serves one WebSocket connection whose client speaks that dialect, and returns when it is
// over. It refuses requests of pages that may not connect, and improper upgrades.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, d signal.Dialect) {
	if s.hub.RefusesOrigin(w, r) {
		return
	}
	link, err := s.hub.Connect(s.hub.ClientOf(r))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer link.Close()

	hijacker := &gatherHijacker{ResponseWriter: w, buffers: &s.gathers}
	socket, err := s.upgrader.Upgrade(hijacker, r, nil)
	if err != nil {
		return // the client has its answer, or is gone
	}
	hijacker.conn.gather()
	c := &conn{server: s, ws: socket, gather: hijacker.conn, link: link, written: make(chan struct{})}
	c.serve(d)
}
