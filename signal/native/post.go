package native

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"signalbox/signal"
)

const (
	// maxPost bounds the body of a POST, and maxPostFrames what it may hold. One frame of the
	// largest size always fits.
	maxPost       = 256 << 10
	maxPostFrames = 64
)

// streams finds the connection that a POST is for.
type streams struct {
	mu    sync.Mutex
	byKey map[string]*stream
}

func (e *streams) add(t *stream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.byKey[t.key] = t
}

func (e *streams) remove(t *stream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.byKey, t.key)
}

func (e *streams) find(key string) *stream {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.byKey[key]
}

// post is the body of a POST.
type post struct {
	Key      string            `json:"key"`
	Received uint64            `json:"received"`
	Frames   []json.RawMessage `json:"frames"`
}

// Send takes the frames that the client of an event stream posts.
func (s *Server) Send(w http.ResponseWriter, r *http.Request) {
	if s.refusesOrigin(w, r) {
		return
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPost))
	var in post
	switch {
	case err != nil:
		http.Error(w, "the body is longer than 256 KiB, or came too slowly", http.StatusRequestEntityTooLarge)
		return
	case json.Unmarshal(body, &in) != nil:
		http.Error(w, `want {"key":"...","received":0,"frames":[{...}]}`, http.StatusBadRequest)
		return
	case len(in.Frames) > maxPostFrames:
		http.Error(w, "more than 64 frames", http.StatusRequestEntityTooLarge)
		return
	}
	t := s.streams.find(in.Key)
	if t == nil || !t.receive(in) {
		http.Error(w, "this connection is over", http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// receive processes a POST and tells whether all of it was taken.
func (t *stream) receive(in post) bool {
	t.posting.Lock()
	defer t.posting.Unlock()
	t.heard.Store(time.Now().UnixNano())
	l := t.link
	defer func() {
		if p := recover(); p != nil {
			l.Session().Stop(signal.CodeInternal)
			panic(p) // net/http reports it
		}
	}()
	for i, frame := range in.Frames {
		if len(frame) > t.hub.MaxFrame() {
			l.Dismiss(signal.Refuse(signal.CodeTooLarge, ""))
			return false
		}
		if !l.Receive(signal.Frame{Body: frame}) {
			return i == len(in.Frames)-1 // it may have been a bye
		}
	}
	return in.Received == 0 || l.Confirm(in.Received)
}

// refusesOrigin lets pages of the allowed origins read the answer, and refuses other pages.
func (s *Server) refusesOrigin(w http.ResponseWriter, r *http.Request) bool {
	header := w.Header()
	header.Add("Vary", "Origin")
	header.Set("Cache-Control", "no-store")
	if s.hub.RefusesOrigin(w, r) {
		return true
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Timing-Allow-Origin", origin) // whether it is HTTP/2
		header.Set("Access-Control-Allow-Methods", "POST")
		header.Set("Access-Control-Allow-Headers", "Content-Type")
		header.Set("Access-Control-Max-Age", "86400")
	}
	return false
}
