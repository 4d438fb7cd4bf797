package peerjs

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"signalbox/signal"
	"signalbox/signal/ws"
)

// Name is the dialect's: of its sessions, and the prefix of its rooms and users.
const Name = "peerjs"

// defaultKey is what PeerJS has for a key unless it is told another one.
const defaultKey = "peerjs"

// Options are what all clients share.
type Options struct {
	Discovery bool // whether everybody may read which ids there are
	// KeyIsToken has the clients' key be their token for admission. Without it the key must be
	// "peerjs", and nobody is asked for a token.
	KeyIsToken bool
}

// Server serves the clients of PeerJS.
type Server struct {
	hub     *signal.Hub
	sockets *ws.Server
	o       Options
	terms   signal.Terms

	expiry  time.Duration // how long a message waits for its destination
	silence time.Duration // after how much of it a client is gone

	mu      sync.Mutex
	ids     map[string]*conversation
	waiting map[string]map[*conversation]struct{} // who has messages for an id that is not there
}

// New makes a server of a hub's.
func New(hub *signal.Hub, o Options) *Server {
	return &Server{
		hub: hub, sockets: ws.New(hub), o: o,
		terms:   signal.Terms{Name: Name, Space: Name, Capacity: 1},
		expiry:  5 * time.Second,
		silence: 90 * time.Second,
		ids:     make(map[string]*conversation),
		waiting: make(map[string]map[*conversation]struct{}),
	}
}

// Routes are the addresses of PeerJS, by pattern of http.ServeMux: those for the path "/", and
// those for the path "/peerjs".
func (s *Server) Routes() map[string]http.Handler {
	id, peers := http.HandlerFunc(s.serveID), http.HandlerFunc(s.servePeers)
	return map[string]http.Handler{
		"GET /peerjs": s, "GET /peerjs/{$}": s, "GET /peerjs/peerjs": s,
		"GET /peerjs/id": id, "GET /peerjs/{key}/id": id,
		"GET /peerjs/peers": peers, "GET /peerjs/{key}/peers": peers,
	}
}

// ServeHTTP serves one WebSocket connection, and returns when it is open. It tells anybody else who
// is here.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !ws.IsUpgrade(r) {
		s.answer(w, r, "application/json", `{"name":"PeerJS Server",`+
			`"description":"A server side element to broker connections between PeerJS clients.",`+
			`"website":"https://peerjs.com/"}`)
		return
	}
	q := r.URL.Query()
	s.sockets.Serve(w, r, &conversation{
		server: s,
		// Copies, which don't keep the whole address.
		id: strings.Clone(q.Get("id")), token: strings.Clone(q.Get("token")), key: strings.Clone(q.Get("key")),
		settled: make(chan struct{}), gone: make(chan struct{}), letters: make(map[string]*letter),
	})
}

// serveID makes up an id for a client that has none.
func (s *Server) serveID(w http.ResponseWriter, r *http.Request) {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s.answer(w, r, "text/html", fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// servePeers lists the ids, to anybody who asks, if the operator wants that and admits everybody.
func (s *Server) servePeers(w http.ResponseWriter, r *http.Request) {
	if key := r.PathValue("key"); !s.o.Discovery || s.o.KeyIsToken || key != "" && key != defaultKey {
		s.hub.LetsRead(w, r)
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	ids := []string{}
	s.mu.Lock()
	for id, c := range s.ids {
		if c.open.Load() {
			ids = append(ids, id)
		}
	}
	s.mu.Unlock()
	slices.Sort(ids)
	body, _ := json.Marshal(ids) // strings always have a form
	s.answer(w, r, "application/json", string(body))
}

// answer is for pages of the origins that may connect, too.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, kind, body string) {
	s.hub.LetsRead(w, r)
	w.Header().Set("Content-Type", kind+"; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	io.WriteString(w, body) //nolint:errcheck // whoever asked is gone
}

// claim gives an id to a conversation, unless another one has it.
func (s *Server) claim(c *conversation) (holder *conversation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if holder := s.ids[c.id]; holder != nil {
		return holder
	}
	s.ids[c.id] = c
	return nil
}

// release makes an id free again, if the conversation has it.
func (s *Server) release(c *conversation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids[c.id] == c {
		delete(s.ids, c.id)
	}
}

// find returns the session that has an id; nil: there is none.
func (s *Server) find(id string) *signal.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.ids[id]; c != nil && c.open.Load() {
		return c.session
	}
	return nil
}
