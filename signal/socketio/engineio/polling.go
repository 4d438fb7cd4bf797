package engineio

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/signal"
)

// polling carries a session over polls and posts. At most one poll waits at a time.
type polling struct {
	server  *Server
	id      string
	version int
	base64  bool // the client wants binary data so in all answers; else as each poll says
	link    *signal.Link
	began   time.Time
	watch   *time.Timer // ends the session of a silent client

	posting sync.Mutex    // one post at a time
	heard   atomic.Int64  // nanoseconds since it began: when the client has posted last
	trying  atomic.Bool   // a WebSocket
	left    atomic.Bool   // a WebSocket carries the session
	ending  atomic.Bool   // end is under way, or done
	said    chan struct{} // closed when the client knows that the session is over, or can't be told
	saying  sync.Once     // closes said

	mu        sync.Mutex
	waiting   chan struct{} // nil: no poll waits; closed when its request is done
	answering bool          // that poll waits no longer
	over      bool          // no poll may wait any more
	trial     chan struct{} // closed when the trial of a WebSocket is over; nil: none is tried
	hurried   bool          // polls are answered at once
	control   *http.ResponseController

	// owned by the poll that waits
	w        http.ResponseWriter
	asBase64 bool // it wants binary data so
	answered bool
	nextPing time.Time
}

// open begins a session that polls. The first poll brings it its id.
func (s *Server) open(w http.ResponseWriter, r *http.Request, request Request) {
	link, err := s.hub.Connect(s.hub.ClientOf(r))
	if err != nil {
		refuse(w, err)
		return
	}
	now := time.Now()
	p := &polling{
		server: s, id: newID(), version: request.Version, base64: wantsBase64(r), link: link, began: now,
		said: make(chan struct{}), nextPing: now.Add(s.o.PingInterval),
	}
	begun := false
	defer func() {
		if !begun { // the dialect has panicked
			p.server.remove(p)
			link.Close()
		}
	}()
	d := s.newSocket(request, p.id, `["websocket"]`)
	s.add(p)
	err = link.Begin(d, p)
	begun = true
	p.mu.Lock()
	p.watch = time.AfterFunc(s.o.PingInterval+s.o.PingTimeout, p.look)
	p.mu.Unlock()
	p.look()
	if err != nil {
		p.tell()
		refuse(w, err)
		p.end()
		return
	}
	p.poll(w, r)
}

func refuse(w http.ResponseWriter, why error) {
	failure{errRequest.Code, why.Error()}.answer(w, http.StatusServiceUnavailable)
}

// poll waits for something to tell the client, and answers with that.
func (p *polling) poll(w http.ResponseWriter, r *http.Request) {
	p.calm(r.Context().Done())
	waiting := p.wait(w, p.base64 || wantsBase64(r))
	if waiting == nil {
		errSession.answer(w, http.StatusBadRequest)
		return
	}
	defer func() {
		gone := !p.answered
		p.mu.Lock()
		p.waiting, p.control, p.w = nil, nil, nil
		close(waiting)
		p.mu.Unlock()
		if gone {
			p.end()
		}
	}()
	// The HTTP server's timeouts are for requests and answers that end soon.
	p.control.SetReadDeadline(time.Time{}) //nolint:errcheck // where there are no deadlines, none ends it
	p.link.Pump(r.Context().Done())
}

// wait makes a poll the one that waits; nil: it may not, and the session is over, if it was not.
func (p *polling) wait(w http.ResponseWriter, asBase64 bool) chan struct{} {
	p.mu.Lock()
	for p.answering && p.waiting != nil { // the client has its answer, perhaps, and asks again
		waiting := p.waiting
		p.mu.Unlock()
		<-waiting
		p.mu.Lock()
	}
	second, over := p.waiting != nil, p.over || p.left.Load() || p.isSaid()
	if !second && !over && !p.silent() {
		p.waiting, p.w, p.answered, p.answering = make(chan struct{}), w, false, false
		p.control, p.asBase64 = http.NewResponseController(w), asBase64
		defer p.mu.Unlock()
		return p.waiting
	}
	p.mu.Unlock()
	switch {
	case over:
	case second:
		p.broken("two polls at once")
	default:
		p.end()
	}
	return nil
}

func (p *polling) isSaid() bool {
	select {
	case <-p.said:
		return true
	default:
		return false
	}
}

func (p *polling) tell() { p.saying.Do(func() { close(p.said) }) }

func (p *polling) broken(detail string) { p.link.Dismiss(signal.Refuse(signal.CodeBadFrame, detail)) }

// try begins the trial of a WebSocket.
func (p *polling) try() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trial = make(chan struct{})
}

// hurry has polls answered at once, so that the client can change to the WebSocket.
func (p *polling) hurry() {
	p.mu.Lock()
	p.hurried = true
	p.mu.Unlock()
	p.link.Wake()
}

// tried ends the trial, however it went.
func (p *polling) tried() {
	p.mu.Lock()
	if p.trial != nil {
		close(p.trial)
	}
	p.trial, p.hurried = nil, false
	p.mu.Unlock()
	p.link.Wake()
}

// moment is how long a poll waits for the end of a trial: about as long as with the original.
const moment = 100 * time.Millisecond

// calm has a poll that comes in a trial wait a moment: the client may have changed to the WebSocket
// already, and its word for that come in beside the poll.
func (p *polling) calm(done <-chan struct{}) {
	p.mu.Lock()
	trial := p.trial
	p.mu.Unlock()
	if trial == nil {
		return
	}
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case <-trial:
	case <-timer.C:
	case <-done:
	}
}

// wantsBase64 reports whether a request says that its client wants binary data so.
func wantsBase64(r *http.Request) bool { return r.URL.Query().Get("b64") != "" }

// Write answers the poll that waits, if there is something to tell.
func (p *polling) Write(b *signal.Batch) (again time.Duration, err error) {
	var packets []signal.Frame
	for f := range b.Frames {
		if b.Code != signal.CodeReplaced { // of which the client knows: by its WebSocket
			packets = append(packets, f.Frame)
		}
	}
	p.mu.Lock()
	hurried := p.hurried
	p.mu.Unlock()
	switch {
	case b.Over && (b.Code == signal.CodeBye || b.Code == signal.CodeReplaced):
		packets = append(packets, text(string(typeNoop)))
	case b.Over:
		packets = append(packets, text(string(typeClose)))
	case p.version > 3 && !b.Now.Before(p.nextPing):
		packets = append(packets, text(string(typePing)))
		p.nextPing = b.Now.Add(p.server.o.PingInterval)
	case hurried && len(packets) == 0:
		packets = append(packets, text(string(typeNoop)))
	}
	if len(packets) == 0 {
		if p.version > 3 {
			return p.nextPing.Sub(b.Now), nil
		}
		return p.server.o.PingInterval, nil
	}
	p.mu.Lock()
	p.answering = true
	p.mu.Unlock()
	if err := p.send(packets, b.Deadline); err != nil {
		return 0, err
	}
	p.answered = true
	if b.Over {
		p.tell()
	}
	return 0, signal.ErrEnough
}

func (p *polling) send(packets []signal.Frame, deadline time.Time) error {
	var payload []byte
	isBinary := func(f signal.Frame) bool { return f.Binary }
	kind := "text/plain; charset=UTF-8"
	if p.version == 3 && !p.asBase64 && slices.ContainsFunc(packets, isBinary) {
		kind = "application/octet-stream"
		for _, f := range packets {
			payload = appendBinary3(payload, f)
		}
	} else {
		for _, f := range packets {
			payload = appendPacket(p.version, payload, f)
		}
	}
	if err := p.control.SetWriteDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	header := p.w.Header()
	header.Set("Content-Type", kind)
	header.Set("Content-Length", strconv.Itoa(len(payload)))
	if _, err := p.w.Write(payload); err != nil {
		return err
	}
	return p.control.Flush()
}

// Stop ends the connection.
func (p *polling) Stop() {
	if p.ending.CompareAndSwap(false, true) {
		go p.finish()
	}
}

// Abort makes the write that is under way fail.
func (p *polling) Abort() {
	p.tell()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.control != nil {
		p.control.SetWriteDeadline(time.Unix(1, 0)) //nolint:errcheck // then it is over already
	}
}

// silent reports whether the client has been silent for too long.
func (p *polling) silent() bool { return !time.Now().Before(p.until()) }

func (p *polling) until() time.Time {
	return p.link.Patience(p.began.Add(time.Duration(p.heard.Load())))
}

// look ends the session of a silent client, or looks again later.
func (p *polling) look() {
	if p.ending.Load() {
		return
	}
	switch wait := time.Until(p.until()); {
	case wait > 0:
		p.mu.Lock()
		p.watch.Reset(wait)
		p.mu.Unlock()
	case p.link.Greeted():
		p.end()
	default:
		p.tell()
		p.link.Dismiss(signal.Refuse(signal.CodeHelloFirst, ""))
	}
}

// end ends the connection as lost, unless that is under way.
func (p *polling) end() {
	if p.ending.CompareAndSwap(false, true) {
		p.tell()
		p.finish()
	}
}

// finish ends the session, unless a WebSocket carries it now, gives the last poll a moment, and
// closes the link.
func (p *polling) finish() {
	defer p.link.Close()
	p.leave()
	if !p.left.Load() {
		timer := time.NewTimer(p.link.Linger())
		defer timer.Stop()
		select {
		case <-p.said:
		case <-timer.C:
		}
	}
	p.server.remove(p)
	p.mu.Lock()
	p.over = true
	if p.watch != nil {
		p.watch.Stop()
	}
	waiting := p.waiting
	p.mu.Unlock()
	if waiting != nil {
		<-waiting
	}
}

func (p *polling) leave() {
	defer func() {
		if v := recover(); v != nil { // of whoever is told of the end
			p.link.Panicked(v)
		}
	}()
	p.link.Finish(signal.CodeLost)
}
