package native

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/signal"
)

// Where WebSockets don't get through, frames come down as server-sent events and go up in POSTs.
// Both are plain HTTP, which every proxy passes.

// prelude makes proxies that gather the first kilobytes of an answer pass it on.
const prelude = 2 << 10

// Events serves one connection as a stream of server-sent events, and returns when it is over.
func (s *Server) Events(w http.ResponseWriter, r *http.Request) {
	if s.refusesOrigin(w, r) {
		return
	}
	link, err := s.hub.Connect(s.hub.ClientOf(r))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer link.Close()
	c := s.conversation()
	c.lastEvent, _ = strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64)
	t := &stream{hub: s.hub, w: w, control: http.NewResponseController(w), key: newKey(), link: link,
		began: time.Now()}
	if link.Begin(c, t) == nil {
		s.streams.add(t)
		defer s.streams.remove(t)
	}
	t.serve(r.Context().Done())
}

// stream carries sessions over server-sent events. The goroutine of the stream's request writes,
// and ends the connection; the goroutines of the POSTs read.
type stream struct {
	hub     *signal.Hub
	w       http.ResponseWriter
	control *http.ResponseController
	key     string // names the connection in POSTs
	link    *signal.Link

	posting sync.Mutex // one POST at a time
	began   time.Time
	heard   atomic.Int64 // nanoseconds since it began: when the client has posted last

	// owned by the writer
	opened bool
	pinged time.Time
	text   []byte
}

func newKey() string {
	var key [16]byte
	rand.Read(key[:]) // never fails: the runtime ends the process first
	return base64.RawURLEncoding.EncodeToString(key[:])
}

// serve writes until the connection is over; gone is closed when the client is.
func (t *stream) serve(gone <-chan struct{}) {
	// What it is if something panics: net/http reports that, and the session ends in order.
	code := signal.CodeInternal
	defer func() { t.link.Finish(code) }()

	// The HTTP server's timeouts are for requests and answers that end soon; a read timeout would
	// end this one.
	t.control.SetReadDeadline(time.Time{}) //nolint:errcheck // where there are no deadlines, none ends it
	header := t.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no") // nginx would gather events otherwise
	t.link.Pump(gone)
	code = signal.CodeLost
}

var errSilent = errors.New("the client is silent")

// Write sends a batch, comments that keep proxies from cutting a silent stream, and pings.
func (t *stream) Write(b *signal.Batch) (again time.Duration, err error) {
	text := t.text[:0]
	if !t.opened {
		t.opened = true
		text = append(text, ':')
		text = append(text, bytes.Repeat([]byte{' '}, prelude)...)
		text = append(text, "\n\nevent: open\ndata: {\"key\":\""+t.key+"\"}\n\n"...)
	}
	for f := range b.Frames {
		text = appendEvent(text, f.Body, f.Seq)
	}
	if b.Over {
		text = appendClose(text, b.Code)
	}
	// Nothing tells that the client is there but what it posts.
	heard := t.began.Add(time.Duration(t.heard.Load())) // by a clock that nobody sets
	beat := b.Now.Add(-t.hub.Heartbeat())
	switch {
	case !b.Over && t.link.Greeted() && !heard.After(beat) && !t.pinged.After(beat):
		text = append(text, "event: ping\ndata: {}\n\n"...)
		t.pinged = b.Now
	case len(text) == 0:
		text = append(text, ":\n\n"...)
	}
	if t.text = text; cap(text) > worthKeeping {
		t.text = nil
	}
	if err := t.send(text, b.Deadline); err != nil || b.Over {
		return 0, err
	}
	dead := t.link.Patience(heard)
	switch {
	case b.Now.Before(dead):
		return min(t.hub.Heartbeat(), dead.Sub(b.Now)), nil
	case t.link.Greeted():
		return 0, errSilent
	}
	t.link.Dismiss(signal.Refuse(signal.CodeHelloFirst, "")) // which wakes the writer
	return t.hub.Heartbeat(), nil
}

// worthKeeping is the largest buffer that a stream keeps.
const worthKeeping = 16 << 10

func (t *stream) send(text []byte, deadline time.Time) error {
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

// Stop does nothing: POSTs find out.
func (t *stream) Stop() {}

// Abort makes the write that is under way fail.
func (t *stream) Abort() {
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

func appendClose(dst []byte, code signal.Code) []byte {
	var end struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
	}
	end.Code, end.Reason = code.WebSocket()
	text, _ := json.Marshal(end) // a number and a string always have JSON
	dst = append(dst, "event: close\ndata: "...)
	dst = append(dst, text...)
	return append(dst, '\n', '\n')
}
