package native

import (
	"net/http"

	"signalbox/signal"
	"signalbox/signal/ws"
)

// Server serves the clients of signalbox.v1. It is an http.Handler for WebSockets; Events and Send
// are for where these don't get through.
type Server struct {
	hub     *signal.Hub
	sockets *ws.Server
	streams streams
	verbs   map[string]verb
	terms   signal.Terms
}

// New makes a server of a hub's.
func New(hub *signal.Hub) *Server {
	return &Server{
		hub:     hub,
		sockets: ws.New(hub, Protocol),
		streams: streams{byKey: make(map[string]*stream)},
		verbs:   verbs(),
		terms:   signal.Terms{Name: Protocol, Outlives: hub.Resume(), Confirms: true, Number: number},
	}
}

// Dialect is signalbox.v1 for one session.
func (s *Server) Dialect() signal.Dialect { return s.conversation() }

func (s *Server) conversation() *conversation { return &conversation{server: s} }

// ServeHTTP serves one WebSocket connection, and returns when it is open.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if ws.RefusesPlain(w, r, Protocol) {
		return
	}
	s.sockets.Serve(w, r, s.conversation())
}
