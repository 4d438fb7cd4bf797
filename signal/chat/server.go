package chat

import (
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
	"signalbox/signal/ws"
)

// Name is the dialect's: of its sessions, and the prefix of its room.
const Name = "chat"

const (
	lobby       = "lobby"
	subprotocol = "json"
	shareOf     = 4 // of the lobby's places, one line may have one of so many
)

// Hall is the lobby, by its full name, and what clients of all dialects find there: a page of the
// box's own shows who can be called.
func Hall(o Options) (name string, hall signal.Hall) {
	return Name + "/" + lobby, signal.Hall{Capacity: o.Capacity, Share: shareOf}
}

// Options are what all clients share.
type Options struct {
	Capacity int // of the lobby; 0: the hub's limit
}

// Server serves the clients of MDN's chat.
type Server struct {
	sockets *ws.Server
	terms   signal.Terms
	lists   lists

	patience time.Duration // how long a call rings
}

// New makes a server of a hub's.
func New(hub *signal.Hub, o Options) *Server {
	return &Server{
		sockets: ws.New(hub, subprotocol),
		terms:   signal.Terms{Name: Name, Space: Name, Capacity: o.Capacity, Share: shareOf},
		lists:   lists{seed: maphash.MakeSeed()},

		patience: patience,
	}
}

// Routes are the addresses of the dialect, by pattern of http.ServeMux.
func (s *Server) Routes() map[string]http.Handler { return map[string]http.Handler{"GET /chat": s} }

// ServeHTTP serves one WebSocket connection, and returns when it is open.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if ws.RefusesPlain(w, r, "the protocol of MDN's chat") {
		return
	}
	s.sockets.Serve(w, r, &conversation{server: s, token: strings.Clone(r.URL.Query().Get("token"))})
}

// Before serves what the demo's own client asks for, and leaves the rest to next.
func (s *Server) Before(next http.Handler) http.Handler { return before(s, next) }

// Off answers 404 to what the demo's own client asks for, and leaves the rest to next.
func Off(next http.Handler) http.Handler { return before(http.NotFoundHandler(), next) }

func before(client, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ws.IsUpgrade(r) && slices.Contains(websocket.Subprotocols(r), subprotocol) {
			client.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
