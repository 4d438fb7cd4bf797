package apprtc

import (
	"net/http"
	"sync/atomic"
	"time"

	"signalbox/signal"
	"signalbox/signal/ws"
)

const (
	// Name is the name of the dialect, and Space the prefix of its rooms.
	Name  = "apprtc"
	Space = "apprtc"

	capacity     = 2
	colliderPath = "/collider/"
)

// times are how long clients may take. Tests shorten them.
type times struct {
	Register  time.Duration // from /join to the connection
	Reconnect time.Duration // for who has lost it, or has only been posted for
}

// Options are what Server needs of the box around it.
type Options struct {
	// ICE answers those who ask for ICE servers without a session, by WriteICE.
	ICE http.Handler
	// Origin is where the client of a request finds the box, as in "https://box.example.org".
	Origin func(*http.Request) string
}

// Server serves AppRTC's clients.
type Server struct {
	hub     *signal.Hub
	o       Options
	sockets *ws.Server
	desk    desk
	times   times
	started time.Time

	opened, wsErrors, httpErrors atomic.Uint64 // as /status tells them
}

// New makes a server of a hub's.
func New(hub *signal.Hub, o Options) *Server {
	return &Server{
		hub: hub, o: o, sockets: ws.New(hub), started: time.Now(),
		desk:  desk{rooms: make(map[string]map[string]*client), keys: make(map[string]*client)},
		times: times{Register: 30 * time.Second, Reconnect: 10 * time.Second},
	}
}

// Routes are the patterns of http.ServeMux to mount it at.
func (s *Server) Routes() map[string]http.Handler {
	return map[string]http.Handler{
		"POST /join/{room}":             http.HandlerFunc(s.serveJoin),
		"POST /message/{room}/{client}": http.HandlerFunc(s.serveMessage),
		"POST /leave/{room}/{client}":   http.HandlerFunc(s.serveLeave),
		"GET /params":                   http.HandlerFunc(s.serveParams),
		"POST " + icePath:               http.HandlerFunc(s.serveICE),
		"OPTIONS " + icePath:            http.HandlerFunc(s.serveICE),
		"GET /r/{room}":                 http.HandlerFunc(serveRoom),
		colliderPath:                    atRoot(s.Collider()),
	}
}
