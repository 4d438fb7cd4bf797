package webui

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// stories are what the test's hub does once the first frame of a connection has come, by the path
// that a client connects to. The frames are those of signalbox.v1; a type that it doesn't have is
// one that the SDK hands to the page as it is.
var stories = map[string]func(*story){
	"plain": func(s *story) {
		s.welcome("peer-1")
		s.serve()
	},
	"refused": func(s *story) {
		s.send(`{"type":"error","code":"unauthorized","message":"you are not allowed to do that"}`)
		s.conn.end(4502)
	},
	"push": func(s *story) {
		s.welcome("peer-1")
		s.answer()
		s.send(`{"type":"ice","seq":1,"iceServers":[{"urls":["stun:new:3478"]}],"iceExpiresAt":1}`)
		s.serve()
	},
	"signal": func(s *story) {
		s.welcome("peer-1")
		s.answer()
		s.send(`{"type":"signal","seq":1,"from":"peer-9","fromName":"Bob","data":{"ring":1}}`)
		s.serve()
	},
	// The line breaks while two frames wait for their answers; of those the hub has had the first.
	"cut": func(s *story) {
		if s.first.Type == "hello" {
			s.welcome("peer-1")
			s.answer()
			s.send(`{"type":"note","seq":1}`)
			s.answer()
			s.answer()
			s.read()
			s.read()
			s.conn.end(0)
			return
		}
		s.tell(s.first)
		s.send(`{"type":"resumed","peerId":"peer-1","received":4,"iceServers":[],"iceExpiresAt":0,` +
			`"rooms":[],"addressChanged":true}`)
		for _, seq := range []int{1, 2, 3} { // the first is a repetition
			s.send(fmt.Sprintf(`{"type":"note","seq":%d}`, seq))
		}
		s.serve()
	},
	// The session is over when the client comes back.
	"expired": func(s *story) {
		if s.first.Type == "hello" {
			s.welcome("peer-1")
			s.answer()
			s.read()
			s.conn.end(4001)
			return
		}
		s.send(`{"type":"error","code":"resume-expired","message":"the session is over; start a new one with hello"}`)
		hello := s.read()
		s.welcome("peer-1")
		s.tell(hello)
		s.serve()
	},
	"replaced": func(s *story) {
		s.welcome("peer-1")
		s.answer()
		s.send(`{"type":"error","code":"replaced","message":"the session was taken over by another connection"}`)
		s.conn.end(4503)
	},
	// A connection that has gone silent, but still holds a frame when the client has given it up.
	"silent": func(s *story) {
		if s.first.Type == "hello" {
			s.welcome("peer-1")
			s.answer()
			s.read() // its ping
			<-s.hub.resuming
			s.send(`{"type":"note","seq":1}`)
			<-s.hub.noted
			s.hub.resumable <- struct{}{}
			s.send(`{"type":"error","code":"replaced","message":"the session was taken over by another connection"}`)
			s.conn.end(4503)
			return
		}
		s.hub.resuming <- struct{}{}
		<-s.hub.resumable
		s.send(`{"type":"resumed","peerId":"peer-1","received":1,"iceServers":[],"iceExpiresAt":0,"rooms":[]}`)
		s.send(`{"type":"note","seq":2}`)
		s.serve()
	},
	// Says what the client's first frame was, once it is asked something, and waits for its bye.
	"again": func(s *story) {
		s.welcome("peer-1")
		s.read()
		s.tell(s.first)
		for s.answer() {
		}
		s.hub.mu.Lock()
		s.hub.last = s.last
		s.hub.mu.Unlock()
	},
	// Ends the stream once the client's test says so, whether there was a bye or not.
	"parting": func(s *story) {
		s.welcome("peer-1")
		<-s.hub.parted
	},
	// Asks whether the client is there until it says so: a POST that is under way says so, too, and
	// is none of its own.
	"asks": func(s *story) {
		s.welcome("peer-1")
		conn := s.conn.(*eventsConn)
		for {
			conn.event("ping", "{}")
			select {
			case text := <-conn.frames:
				s.tell(storyFrame{raw: text})
				s.serve()
				return
			case <-time.After(100 * time.Millisecond):
			case <-conn.gone:
				return
			}
		}
	},
	// Sends more than a client may leave unconfirmed, while its first POST waits for an answer.
	"flood": func(s *story) {
		s.welcome("peer-1")
		for seq := range 300 {
			s.send(fmt.Sprintf(`{"type":"note","seq":%d}`, seq+1))
		}
		s.serve()
	},
}

// A storyFrame is what a story looks at in a frame.
type storyFrame struct {
	Type, ID, Room string
	raw            json.RawMessage
}

// A storyConn is a connection over either carrier.
type storyConn interface {
	read() ([]byte, error)
	write(frame string) error
	end(code int) // 0: without a word
}

type story struct {
	t     *testing.T
	hub   *storyHub
	conn  storyConn
	first storyFrame
	last  storyFrame // that was read
}

func (s *story) send(frame string) {
	if err := s.conn.write(frame); err != nil {
		s.t.Logf("send: %v", err) // the client may have closed first
	}
}

func (s *story) read() (frame storyFrame) {
	text, err := s.conn.read()
	if err != nil {
		return frame
	}
	if err := json.Unmarshal(text, &frame); err != nil {
		s.t.Errorf("the client sends %q: %v", text, err)
	}
	frame.raw = text
	s.last = frame
	return frame
}

// tell tells the client's test what it has sent.
func (s *story) tell(frame storyFrame) {
	s.send(`{"type":"got","frame":` + string(frame.raw) + `}`)
}

func (s *story) welcome(peerID string) {
	s.send(`{"type":"welcome","peerId":"` + peerID + `","name":"Ada","resumeToken":"token-of-` + peerID +
		`","resumeSeconds":60,` +
		`"heartbeatSeconds":25,"iceServers":[{"urls":["stun:b:3478"]}],"iceExpiresAt":0,"protocol":"signalbox.v1"}`)
}

// serve answers every request until the client goes.
func (s *story) serve() {
	for s.answer() {
	}
}

// answer answers one request, as the hub does: what it asks for, then the ack. Before, it tells
// what it was.
func (s *story) answer() bool {
	frame := s.read()
	switch {
	case frame.Type == "":
		return false
	case frame.Type == "ping":
		s.send(`{"type":"pong"}`)
		return true
	case frame.Type == "bye":
		s.conn.end(1000)
		return false
	case frame.Room == "full":
		s.send(`{"type":"error","code":"room-full","message":"the room is full","id":"` + frame.ID + `"}`)
		return true
	case frame.Type == "join":
		s.send(`{"type":"joined","room":"` + frame.Room + `","peers":[],"capacity":8}`)
	}
	s.tell(frame)
	if frame.ID != "" {
		s.send(`{"type":"ack","id":"` + frame.ID + `"}`)
	}
	return true
}

// A storyHub speaks both carriers. Under /no-websocket/ it is behind a proxy that knows nothing of
// WebSockets.
type storyHub struct {
	t         *testing.T
	resuming  chan struct{} // of the story "silent"
	noted     chan struct{}
	resumable chan struct{}
	parted    chan struct{} // of the story "parting"
	flooded   chan struct{} // of the story "flood"

	mu   sync.Mutex
	last storyFrame // of the story "again"
	keys map[string]*eventsConn
}

func newHub(t *testing.T) string {
	t.Helper()
	hub := &storyHub{
		t:         t,
		resuming:  make(chan struct{}),
		noted:     make(chan struct{}),
		resumable: make(chan struct{}),
		parted:    make(chan struct{}),
		flooded:   make(chan struct{}),
		keys:      make(map[string]*eventsConn),
	}
	server := httptest.NewServer(hub)
	t.Cleanup(server.Close)
	return server.URL
}

func (h *storyHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, down := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/events")
	path, up := strings.CutSuffix(path, "/send")
	name, proxied := strings.CutPrefix(path, "no-websocket/")
	switch {
	case path == "last":
		h.mu.Lock()
		defer h.mu.Unlock()
		w.Write(h.last.raw)
		h.last.raw = nil
	case path == "noted":
		h.noted <- struct{}{}
	case path == "parted":
		h.parted <- struct{}{}
	case path == "flooded":
		close(h.flooded)
	case up:
		h.send(w, r, name)
	case down:
		h.events(w, r, name)
	case proxied:
		http.Error(w, "what is an upgrade?", http.StatusBadRequest)
	default:
		upgrader := websocket.Upgrader{Subprotocols: []string{"signalbox.v1"}}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			// Unless the client has gone meanwhile.
			if bad := (websocket.HandshakeError{}); errors.As(err, &bad) {
				h.t.Errorf("%s: %v", r.URL.Path, err)
			}
			return
		}
		defer conn.Close()
		if conn.Subprotocol() != "signalbox.v1" {
			h.t.Errorf("the client asks for subprotocol %q", conn.Subprotocol())
		}
		h.play(name, webSocketConn{conn})
	}
}

func (h *storyHub) play(name string, conn storyConn) {
	tell := stories[name]
	if tell == nil {
		h.t.Errorf("there is no story %q", name)
		return
	}
	s := &story{t: h.t, hub: h, conn: conn}
	s.first = s.read()
	if s.first.Type == "" {
		return // it had nothing to say
	}
	if s.first.Type != "hello" && s.first.Type != "resume" {
		h.t.Errorf("%s: the first frame is %s", name, s.first.raw)
		return
	}
	tell(s)
}

type webSocketConn struct{ *websocket.Conn }

func (c webSocketConn) read() ([]byte, error) {
	_, text, err := c.ReadMessage()
	return text, err
}

func (c webSocketConn) write(frame string) error {
	return c.WriteMessage(websocket.TextMessage, []byte(frame))
}

func (c webSocketConn) end(code int) {
	if code == 0 {
		c.Close()
		return
	}
	deadline := time.Now().Add(5 * time.Second)
	if err := c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), deadline); err != nil {
		return // the client has closed first
	}
	c.ReadMessage() // its answer
}

// An eventsConn is server-sent events down and POSTs up.
type eventsConn struct {
	w      http.ResponseWriter
	frames chan []byte
	gone   <-chan struct{}
}

func (c *eventsConn) read() ([]byte, error) {
	select {
	case frame := <-c.frames:
		return frame, nil
	case <-c.gone:
		return nil, io.EOF
	}
}

func (c *eventsConn) write(frame string) error { return c.event("message", frame) }

func (c *eventsConn) event(name, data string) error {
	if _, err := fmt.Fprintf(c.w, "event: %s\ndata: %s\n\n", name, data); err != nil {
		return err
	}
	return http.NewResponseController(c.w).Flush()
}

func (c *eventsConn) end(code int) {
	if code != 0 {
		c.event("close", fmt.Sprintf(`{"code":%d,"reason":""}`, code))
	}
}

func (h *storyHub) events(w http.ResponseWriter, r *http.Request, name string) {
	conn := &eventsConn{w: w, frames: make(chan []byte, 1024), gone: r.Context().Done()}
	w.Header().Set("Content-Type", "text/event-stream")
	h.mu.Lock()
	key := fmt.Sprintf("key-%d", len(h.keys))
	h.keys[key] = conn
	h.mu.Unlock()
	conn.event("open", `{"key":"`+key+`"}`)
	h.play(name, conn)
	h.mu.Lock()
	h.keys[key] = nil
	h.mu.Unlock()
}

func (h *storyHub) send(w http.ResponseWriter, r *http.Request, name string) {
	var body struct {
		Key      string
		Received *int
		Frames   []json.RawMessage
	}
	text, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err == nil && (body.Received == nil || body.Frames == nil || len(body.Frames) > 64 || len(text) > 256<<10) {
		err = errors.New("that is not what the protocol says")
	}
	if err != nil {
		h.t.Errorf("POST %s of %d bytes, %.200s: %v", r.URL.Path, len(text), text, err)
		return
	}
	h.mu.Lock()
	conn := h.keys[body.Key]
	h.mu.Unlock()
	if conn == nil {
		http.Error(w, "the connection is over", http.StatusNotFound)
		return
	}
	for _, frame := range body.Frames {
		conn.frames <- bytes.Clone(frame)
	}
	if len(body.Frames) == 0 {
		conn.frames <- fmt.Appendf(nil, `{"type":"confirmed","received":%d}`, *body.Received)
	}
	if name == "flood" {
		<-h.flooded
	}
	w.WriteHeader(http.StatusNoContent)
}
