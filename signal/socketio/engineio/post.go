package engineio

import (
	"io"
	"net/http"
	"time"

	"signalbox/signal"
)

// postFrames is how many packets of the largest size a post may have, about.
const postFrames = 4

// post takes the packets that the client posts.
func (p *polling) post(w http.ResponseWriter, r *http.Request) {
	if !p.posting.TryLock() {
		p.broken("two posts at once")
		errRequest.answer(w, http.StatusBadRequest)
		return
	}
	defer p.posting.Unlock()
	if p.silent() { // and the timer is late
		p.end()
		errSession.answer(w, http.StatusBadRequest)
		return
	}
	body, release, ok := p.read(w, r)
	defer release()
	p.heard.Store(int64(time.Since(p.began)))
	if !ok || !p.receive(body) {
		p.tell()
		p.broken("a post is not what the protocol says")
		errRequest.answer(w, http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	io.WriteString(w, "ok") //nolint:errcheck // the client is gone
}

// read reads a post as fast as the client may send. A body that comes too slowly fails, as a frame
// of a WebSocket does: what is held for it must not outlive the session.
func (p *polling) read(w http.ResponseWriter, r *http.Request) (body []byte, release func(), ok bool) {
	most := postFrames * p.server.hub.MaxFrame()
	size := int(min(r.ContentLength, int64(most)+1))
	if size < 0 {
		size = most
	}
	if size > most || p.link.Await(r.Context(), size) != nil {
		return nil, func() {}, false
	}
	p.link.Hold(size)
	release = func() { p.link.Hold(-size) }
	until := p.link.Whole(time.Now())
	http.NewResponseController(w).SetReadDeadline(until) //nolint:errcheck // where there are no deadlines, none ends it
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(size)))
	return body, release, err == nil
}

// receive processes a payload, and reports whether the client has kept to the protocol.
func (p *polling) receive(payload []byte) bool {
	defer func() {
		if v := recover(); v != nil { // of the dialect
			p.link.Session().Stop(signal.CodeInternal)
			panic(v) // net/http reports it
		}
	}()
	for {
		f, rest, err := split(p.version, payload)
		if err != nil {
			return false
		}
		if len(f.Body) > p.server.hub.MaxFrame() {
			p.link.Dismiss(signal.Refuse(signal.CodeTooLarge, ""))
			return false
		}
		if !p.link.Receive(f) {
			return len(f.Body) == 1 && f.Body[0] == typeClose && !f.Binary
		}
		if len(rest) == 0 {
			return true
		}
		payload = rest
	}
}
