package yjs

import (
	"net/http"
	"strings"

	"signalbox/signal"
	"signalbox/signal/ws"
)

// Name is the dialect's: of its sessions, and the prefix of its rooms.
const Name = "yjs"

// Options are what all clients share.
type Options struct {
	Capacity int // subscribers of a topic; 0: the hub's limit
}

// Server serves the clients of y-webrtc.
type Server struct {
	sockets *ws.Server
	terms   signal.Terms
}

// New makes a server of a hub's.
func New(hub *signal.Hub, o Options) *Server {
	return &Server{
		sockets: ws.New(hub),
		terms:   signal.Terms{Name: Name, Space: Name, Capacity: o.Capacity},
	}
}

// Routes are the addresses of the dialect, by pattern of http.ServeMux.
func (s *Server) Routes() map[string]http.Handler { return map[string]http.Handler{"GET /yjs": s} }

// ServeHTTP serves one WebSocket connection, and returns when it is open. Like the original it
// answers anything else with "okay".
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !ws.IsUpgrade(r) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte("okay")) //nolint:errcheck // whoever asked is gone
		return
	}
	s.sockets.Serve(w, r, &conversation{
		server: s, token: strings.Clone(r.URL.Query().Get("token")), subscribers: make(map[string]int),
	})
}
