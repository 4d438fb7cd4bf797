package signal

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Where WebSockets don't get through, frames come down as server-sent events and go up in POSTs.
// Both are plain HTTP, which every proxy passes.

const (
	// maxPost bounds the body of a POST, and maxPostFrames what it may hold. One frame of the
	// largest size always fits.
	maxPost       = 256 << 10
	maxPostFrames = 64
	// prelude makes proxies that gather the first kilobytes of an answer pass it on.
	prelude = 2 << 10
)

// Events serves one connection of signalbox.v1 as a stream of server-sent events, and returns when
// it is over.
func (h *Hub) Events(w http.ResponseWriter, r *http.Request) {
	if !h.crossOrigin(w, r) {
		return
	}
	if !h.enter() {
		http.Error(w, reasonFor(CodeShuttingDown).sentence, http.StatusServiceUnavailable)
		return
	}
	defer h.running.Done()

	t := &sseTransport{w: w, control: http.NewResponseController(w), gone: r.Context().Done(), key: newKey()}
	t.heard.Store(time.Now().UnixNano())
	t.link = newLink(h, client{source: h.opts.Source(r), host: r.Host}, t, func() {})
	t.link.lastEvent, _ = strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64)
	t.serve()
}

// sseTransport carries sessions over server-sent events. The goroutine of the stream's request
// writes, and ends the connection; those of the POSTs read.
type sseTransport struct {
	w       http.ResponseWriter
	control *http.ResponseController
	gone    <-chan struct{} // closed when the client is
	key     string          // names the connection in POSTs
	link    *link

	posting sync.Mutex   // one POST at a time
	heard   atomic.Int64 // Unix nanoseconds: when the client has posted last
}

func newKey() string {
	var key [16]byte
	rand.Read(key[:]) // never fails: the runtime ends the process first
	return base64.RawURLEncoding.EncodeToString(key[:])
}

func (t *sseTransport) serve() {
	l, h := t.link, t.link.hub
	bad := h.admit(l)
	defer h.release(l)
	if bad == nil {
		h.events.add(t)
		defer h.events.remove(t)
	} else {
		l.dismiss(bad)
	}
	code := CodeInternal // if something panics: net/http reports that, and the session ends in order
	defer func() { l.finish(code) }()

	// The server's limits are for requests and answers that come to an end; a read that times out
	// would end this one.
	t.control.SetReadDeadline(time.Time{}) //nolint:errcheck // where there are no deadlines, none ends it
	header := t.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no") // nginx would gather events otherwise
	open := append([]byte{':'}, bytes.Repeat([]byte{' '}, prelude)...)
	open = append(open, "\n\nevent: open\ndata: {\"key\":\""+t.key+"\"}\n\n"...)
	if t.send(open, time.Now().Add(h.limits.write)) != nil {
		code = ""
		return
	}
	code = t.write()
}

// write sends what is in the outbox, comments that keep proxies from cutting a silent stream,
// pings, and fresh ICE servers, until the connection is over. It returns the code to end the
// session with; "" when the connection was lost, or the session has its code already.
func (t *sseTransport) write() Code {
	l, h := t.link, t.link.hub
	timer := time.NewTimer(0)
	defer timer.Stop()
	var batch []outFrame
	var text []byte
	var pinged time.Time
	for {
		select {
		case <-l.feed.ready:
		case <-timer.C:
		case <-t.gone:
			return ""
		}
		now := time.Now()
		s := l.session.Load()
		s.renewICE(now)
		var over bool
		batch, over = l.feed.take(batch)
		text = text[:0]
		for _, f := range batch {
			text = appendEvent(text, s.codec.appendFrame(nil, f.body, f.seq), f.seq)
		}
		h.stats.framesOut.Add(uint64(len(batch)))
		h.stats.bytesOut.Add(uint64(len(text)))
		deadline := now.Add(h.limits.write)
		if over {
			deadline = now.Add(h.limits.linger)
			text = appendClose(text, l.feed.code)
		}
		// Nothing tells that the client is there but what it posts.
		heard := time.Unix(0, t.heard.Load())
		beat := now.Add(-h.opts.Heartbeat)
		switch {
		case !over && l.greeted() && !heard.After(beat) && !pinged.After(beat):
			text = append(text, "event: ping\ndata: {}\n\n"...)
			pinged = now
		case len(text) == 0:
			text = append(text, ":\n\n"...)
		}
		if err := t.send(text, deadline); over || err != nil {
			if isTimeout(err) {
				s.tooSlow(l.feed)
			}
			return ""
		}
		batch = recycle(batch)
		if cap(text) > gatherSize {
			text = nil
		}
		dead := l.patience(heard)
		if !now.Before(dead) {
			if !l.greeted() {
				l.dismiss(refuse(CodeHelloFirst, ""))
				continue
			}
			return ""
		}
		timer.Reset(s.untilICE(now, min(h.opts.Heartbeat, dead.Sub(now))))
	}
}

func (t *sseTransport) send(text []byte, deadline time.Time) error {
	if err := t.control.SetWriteDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_, err := t.w.Write(text)
	if err == nil {
		err = t.control.Flush()
	}
	if err == nil {
		// HTTP/2 ends a stream whose deadline passes, even when nothing is being written.
		t.control.SetWriteDeadline(time.Time{}) //nolint:errcheck // where there are no deadlines, none ends it
	}
	return err
}

// abort makes the write that is under way fail.
func (t *sseTransport) abort() {
	t.control.SetWriteDeadline(time.Unix(1, 0)) //nolint:errcheck // then it is over already
}

// appendEvent appends a frame as a message event. Line breaks, which a client's data may have
// between its values, would end the event's line.
func appendEvent(dst, frame []byte, seq uint64) []byte {
	if seq != 0 {
		dst = append(dst, "id: "...)
		dst = strconv.AppendUint(dst, seq, 10)
		dst = append(dst, '\n')
	}
	for len(frame) > 0 {
		end := bytes.IndexAny(frame, "\r\n")
		if end < 0 {
			end = len(frame)
		}
		dst = append(dst, "data: "...)
		dst = append(dst, frame[:end]...)
		dst = append(dst, '\n')
		frame = frame[min(end+1, len(frame)):]
	}
	return append(dst, '\n')
}

func appendClose(dst []byte, code Code) []byte {
	end := struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
	}{Code: 1000}
	if code != "" && code != codeBye {
		r := reasonFor(code)
		end.Code, end.Reason = r.close, r.sentence
	}
	text, _ := json.Marshal(end) // a number and a string always have JSON
	dst = append(dst, "event: close\ndata: "...)
	dst = append(dst, text...)
	return append(dst, '\n', '\n')
}

// eventStreams finds the connection that a POST is for.
type eventStreams struct {
	mu    sync.Mutex
	byKey map[string]*sseTransport
}

func (e *eventStreams) add(t *sseTransport) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.byKey[t.key] = t
}

func (e *eventStreams) remove(t *sseTransport) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.byKey, t.key)
}

func (e *eventStreams) find(key string) *sseTransport {
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

// Send takes what the client of an event stream has to say.
func (h *Hub) Send(w http.ResponseWriter, r *http.Request) {
	if !h.crossOrigin(w, r) {
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
	t := h.events.find(in.Key)
	if t == nil || !t.receive(in) {
		http.Error(w, "this connection is over", http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// receive processes a POST and tells whether all of it was taken.
func (t *sseTransport) receive(in post) bool {
	t.posting.Lock()
	defer t.posting.Unlock()
	t.heard.Store(time.Now().UnixNano())
	l, h := t.link, t.link.hub
	defer func() {
		if p := recover(); p != nil {
			l.session.Load().stop(CodeInternal)
			panic(p) // net/http reports it
		}
	}()
	for i, frame := range in.Frames {
		if len(frame) > h.opts.MaxFrame {
			l.do(func(s *session) bool { s.stop(CodeTooLarge); return false })
			return false
		}
		if !l.receive(frame) {
			l.feed.wake()
			return i == len(in.Frames)-1 // it may have been a bye
		}
	}
	if in.Received != 0 {
		return l.do(func(s *session) bool { s.out.confirm(in.Received); return true })
	}
	return true
}

// crossOrigin lets pages of the allowed origins read the answer, and refuses those of others.
func (h *Hub) crossOrigin(w http.ResponseWriter, r *http.Request) bool {
	header := w.Header()
	header.Add("Vary", "Origin")
	header.Set("Cache-Control", "no-store")
	if !h.OriginAllowed(r) {
		h.stats.foreignOrigins.Add(1)
		http.Error(w, "pages of this origin may not connect here", http.StatusForbidden)
		return false
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Allow-Methods", "POST")
		header.Set("Access-Control-Allow-Headers", "Content-Type")
		header.Set("Access-Control-Max-Age", "86400")
	}
	return true
}
