package engineio

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"signalbox/signal"
	"signalbox/signal/ws"
)

// Options are what a server needs to know. Times that are 0 are those of the original.
type Options struct {
	// Open makes the conversation of a new session.
	Open func(Request) Conversation
	// PingInterval is how often a sign of life is asked for; 0: as often as the hub's heartbeat.
	PingInterval time.Duration
	PingTimeout  time.Duration // how long the answer may take; 0: 20 s
	// Connect is how long a client may take to say hello; 0: 10 s. So long it may also take to
	// change to a WebSocket.
	Connect time.Duration
}

// Request is how a client opens a session.
type Request struct {
	Version int // of Engine.IO: 3 or 4
	Query   url.Values
}

// Server serves Engine.IO at one path. It is an http.Handler.
type Server struct {
	hub     *signal.Hub
	o       Options
	sockets map[int]*ws.Server // by version

	mu       sync.Mutex
	pollings map[string]*polling // by session id
}

// New makes a server of a hub's.
func New(hub *signal.Hub, o Options) *Server {
	for _, d := range []struct {
		of        *time.Duration
		otherwise time.Duration
	}{{&o.PingInterval, hub.Heartbeat()}, {&o.PingTimeout, 20 * time.Second}, {&o.Connect, 10 * time.Second}} {
		if *d.of == 0 {
			*d.of = d.otherwise
		}
	}
	return &Server{
		hub: hub, o: o, pollings: make(map[string]*polling),
		sockets: map[int]*ws.Server{
			// the client pings
			3: ws.NewBeating(hub, ws.Pulse{Every: o.PingInterval, Beat: []byte{}, Sign: []byte{typePing}}),
			4: ws.NewBeating(hub, ws.Pulse{Every: o.PingInterval, Beat: []byte{typePing}, Sign: []byte{typePong}}),
		},
	}
}

// failure is an error of the protocol's, answered with status 400.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

var (
	errTransport = failure{0, "Transport unknown"}
	errSession   = failure{1, "Session ID unknown"}
	errMethod    = failure{2, "Bad handshake method"}
	errRequest   = failure{3, "Bad request"}
	errVersion   = failure{5, "Unsupported protocol version"}
)

func (f failure) answer(w http.ResponseWriter, status int) {
	text, _ := json.Marshal(f) // a number and a string always have JSON
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(text) //nolint:errcheck // the client is gone
}

// ServeHTTP serves one request, of whichever transport.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.hub.RefusesOrigin(w, r) {
		return
	}
	allowPage(w, r)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	query := r.URL.Query()
	version, _ := strconv.Atoi(query.Get("EIO"))
	socket := query.Get("transport") == "websocket"
	switch {
	case !socket && query.Get("transport") != "polling":
		errTransport.answer(w, http.StatusBadRequest)
	case s.sockets[version] == nil || query.Get("EIO") != strconv.Itoa(version):
		errVersion.answer(w, http.StatusBadRequest)
	case socket != ws.IsUpgrade(r), query.Has("j"): // the latter asks for JSONP
		errRequest.answer(w, http.StatusBadRequest)
	case query.Get("sid") != "":
		s.goOn(w, r, query.Get("sid"), socket)
	case r.Method != http.MethodGet:
		errMethod.answer(w, http.StatusBadRequest)
	case socket:
		s.sockets[version].Serve(w, r, s.newSocket(Request{version, query}, newID(), "[]"))
	default:
		s.open(w, r, Request{version, query})
	}
}

// goOn serves a request of a client that has a session already.
func (s *Server) goOn(w http.ResponseWriter, r *http.Request, id string, socket bool) {
	p := s.find(id)
	switch {
	case p == nil:
		errSession.answer(w, http.StatusBadRequest)
	case socket:
		s.upgrade(w, r, p)
	case r.Method == http.MethodGet:
		p.poll(w, r)
	case r.Method == http.MethodPost:
		p.post(w, r)
	default:
		errRequest.answer(w, http.StatusBadRequest)
	}
}

// allowPage lets the page that asks read the answer to a request with credentials, too.
func allowPage(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if r.Header.Get("Origin") == "" {
		return
	}
	header.Set("Access-Control-Allow-Credentials", "true") // there are none, but pages ask for it
	if r.Method == http.MethodOptions {
		header.Set("Access-Control-Allow-Methods", "GET, POST")
		header.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
		header.Set("Access-Control-Max-Age", "86400")
	}
}

func (s *Server) find(id string) *polling {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pollings[id]
}

func (s *Server) add(p *polling) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pollings[p.id] = p
}

// remove reports whether the session was there: who removes it decides what becomes of it.
func (s *Server) remove(p *polling) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := s.pollings[p.id] == p
	delete(s.pollings, p.id)
	return there
}
