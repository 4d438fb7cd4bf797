package native

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"signalbox/signal"
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

// Send takes the frames that the client of an event stream posts. Nothing but the key is read
// before the stream is found, and one body of a stream at a time after that.
func (s *Server) Send(w http.ResponseWriter, r *http.Request) {
	if s.refusesOrigin(w, r) {
		return
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	body := http.MaxBytesReader(w, r.Body, maxPost)
	begun, key, err := head(body)
	if err == nil && key == "" {
		begun, key, err = smallBody(begun, body)
	}
	if err != nil {
		refusePost(w, err)
		return
	}
	t := s.streams.find(key)
	if t == nil {
		refusePost(w, errOver)
		return
	}
	t.posting.Lock()
	defer t.posting.Unlock()
	if err := t.take(r, begun, body); err != nil {
		refusePost(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

var errOver = errors.New("this connection is over")

func refusePost(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	var tooLong *http.MaxBytesError
	switch {
	case errors.Is(err, errOver):
		status = http.StatusNotFound
	case errors.Is(err, errTooManyFrames), errors.Is(err, errTooLong):
		status = http.StatusRequestEntityTooLarge
	case errors.As(err, &tooLong), !errors.Is(err, errNoPost) && !errors.Is(err, errKeyFirst):
		status, err = http.StatusRequestEntityTooLarge, errTooLong
	}
	http.Error(w, err.Error(), status)
}

// take reads the rest of a body and processes it. posting is held.
func (t *stream) take(r *http.Request, begun []byte, body io.Reader) error {
	if r.ContentLength > maxPost {
		return errTooLong
	}
	held := 0
	defer func() { t.link.Hold(-held) }()
	all, err := readBody(begun, body, int(r.ContentLength), func(bytes int) error {
		if t.link.Await(r.Context(), bytes) != nil {
			return errTooLong
		}
		t.link.Hold(bytes)
		held += bytes
		return nil
	})
	if err != nil {
		return err
	}
	p, err := parse(all)
	if err != nil {
		t.link.Ping()
		return err
	}
	if !t.receive(&p) {
		return errOver
	}
	return nil
}

// receive processes a POST and reports whether all of it was taken. posting is held.
func (t *stream) receive(in *post) bool {
	t.heard.Store(int64(time.Since(t.began)))
	l := t.link
	defer func() {
		if p := recover(); p != nil {
			l.Session().Stop(signal.CodeInternal)
			panic(p) // net/http reports it
		}
	}()
	for i, frame := range in.frames {
		if len(frame) > t.hub.MaxFrame() {
			l.Dismiss(signal.Refuse(signal.CodeTooLarge, ""))
			return false
		}
		if !l.Receive(signal.Frame{Body: frame}) {
			return i == len(in.frames)-1 // it may have been a bye
		}
	}
	if len(in.frames) == 0 && !l.Ping() {
		return false
	}
	return in.received == 0 || l.Confirm(in.received)
}

// refusesOrigin lets pages of the allowed origins read the answer, and refuses other pages.
func (s *Server) refusesOrigin(w http.ResponseWriter, r *http.Request) bool {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if s.hub.RefusesOrigin(w, r) {
		return true
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		header.Set("Timing-Allow-Origin", origin) // whether it is HTTP/2
		header.Set("Access-Control-Allow-Methods", "POST")
		header.Set("Access-Control-Allow-Headers", "Content-Type")
		header.Set("Access-Control-Max-Age", "86400")
	}
	return false
}
