package signal

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// webSockets is what all WebSocket connections of a hub share. Buffers are borrowed for as long as there is something
// to read or write: an idle session holds none but the read buffer that net/http made for its request.
type webSockets struct {
	upgrader websocket.Upgrader
	frames   sync.Pool // of *bytes.Buffer: one incoming frame, or one outgoing
	gathers  sync.Pool // for gatherConn
	refusing atomic.Int32
}

func newWebSockets() *webSockets {
	return &webSockets{
		upgrader: websocket.Upgrader{
			HandshakeTimeout: 10 * time.Second,
			ReadBufferSize:   0, // that of net/http, which keeps it in memory anyway
			WriteBufferSize:  4 << 10,
			WriteBufferPool:  &sync.Pool{},
			Subprotocols:     []string{protocol},
			CheckOrigin:      func(*http.Request) bool { return true }, // ServeHTTP has done it
		},
		frames:  sync.Pool{New: func() any { return new(bytes.Buffer) }},
		gathers: sync.Pool{New: func() any { b := make([]byte, 0, gatherSize); return &b }},
	}
}

// ServeHTTP serves one WebSocket connection of signalbox.v1, and returns when it is over.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "this address speaks "+protocol+" over WebSocket", http.StatusUpgradeRequired)
		return
	}
	if !h.OriginAllowed(r) {
		h.stats.foreignOrigins.Add(1)
		http.Error(w, "pages of this origin may not connect here", http.StatusForbidden)
		return
	}
	if !h.enter() {
		http.Error(w, reasonFor(CodeShuttingDown).sentence, http.StatusServiceUnavailable)
		return
	}
	defer h.running.Done()

	from := client{source: h.opts.Source(r), host: r.Host, secure: r.TLS != nil}
	hijacker := &gatherHijacker{ResponseWriter: w, buffers: &h.ws.gathers}
	conn, err := h.ws.upgrader.Upgrade(hijacker, r, nil)
	if err != nil {
		return // the client has its answer, or is gone
	}
	hijacker.conn.gather()
	t := &wsTransport{
		conn:    conn,
		gather:  hijacker.conn,
		session: newSession(h, newPeerID(), from, time.Now()),
		pongs:   make(chan []byte, 1),
		written: make(chan struct{}),
	}
	t.session.transport = t
	t.serve()
}

// wsTransport carries a session over a WebSocket. The goroutine of the HTTP request reads; it owns the one that writes,
// and waits for it. Only the writer writes to the connection, apart from gorilla's close frame for broken framing.
type wsTransport struct {
	conn     *websocket.Conn
	gather   *gatherConn // the connection below conn
	session  *session
	pongs    chan []byte   // capacity 1: the client's latest ping, to be answered (RFC 6455 §5.5.3)
	written  chan struct{} // closed when the writer is done
	stopping atomic.Bool
}

func (t *wsTransport) serve() {
	s, h := t.session, t.session.hub
	bad := h.admit(s)
	defer h.release(s)
	if bad != nil {
		// A browser's page sees no HTTP status, so it is told over the WebSocket, unless that gets too expensive.
		defer h.ws.refusing.Add(-1)
		if h.ws.refusing.Add(1) > int32(h.limits.refusing) {
			h.stats.refuse(bad.code)
			t.abort()
			return
		}
	}
	go t.write()
	code := CodeInternal // if a handler panics: net/http reports that, and the session ends in order
	defer func() {
		s.end(code)
		t.gather.SetWriteDeadline(time.Now().Add(h.limits.linger))
		<-t.written
		t.part()
	}()
	if bad != nil {
		s.dismiss("", bad)
		return
	}
	code = t.read()
}

// read feeds the session until the connection or the session ends; it returns the code to end it with, "" when the
// connection was lost or the session has its code already.
func (t *wsTransport) read() Code {
	s, h := t.session, t.session.hub
	t.conn.SetPingHandler(t.onPing)
	t.conn.SetPongHandler(func(string) error { return t.alive() })
	t.conn.SetCloseHandler(func(int, string) error { return nil }) // the writer answers it
	t.conn.SetReadDeadline(s.opened.Add(h.limits.hello))
	for !t.stopping.Load() {
		kind, r, err := t.conn.NextReader()
		if err != nil {
			return t.readError(err)
		}
		frame := h.ws.frames.Get().(*bytes.Buffer)
		frame.Reset()
		_, err = frame.ReadFrom(io.LimitReader(r, int64(h.opts.MaxFrame)+1))
		goesOn := false
		switch {
		case err != nil:
			return t.readError(err)
		case frame.Len() > h.opts.MaxFrame:
			return CodeTooLarge
		case kind != websocket.TextMessage:
			goesOn = s.refuse("", refuse(CodeBadFrame, "it is binary"))
		default:
			goesOn = s.receive(frame.Bytes())
		}
		h.ws.frames.Put(frame)
		if !goesOn || t.alive() != nil {
			return ""
		}
	}
	return ""
}

// maxDiscard bounds what is read of a client after the end.
const maxDiscard = 1 << 20

var errStopping = errors.New("session stopped")

// alive notes a sign of life: only a hello extends the time for the hello. It fails when the session was stopped,
// whose deadline must not be moved.
func (t *wsTransport) alive() error {
	if t.session.greeted {
		t.conn.SetReadDeadline(time.Now().Add(t.session.hub.opts.deadAfter()))
	}
	if t.stopping.Load() {
		return errStopping
	}
	return nil
}

func (t *wsTransport) onPing(payload string) error {
	if !t.session.keepsPace() && t.session.exhausted() {
		t.session.dismiss("", refuse(CodeRateLimited, "too many pings"))
		return errStopping
	}
	select {
	case <-t.pongs: // the one before may go unanswered
	default:
	}
	t.pongs <- []byte(payload) // this goroutine is the only one that fills it
	return t.alive()
}

// readError is the code for which the session ends when nothing more can be read.
func (t *wsTransport) readError(err error) Code {
	if !t.session.greeted && !t.stopping.Load() && isTimeout(err) {
		return CodeHelloFirst
	}
	return ""
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// stop wakes the reader, which ends the session.
func (t *wsTransport) stop() {
	t.stopping.Store(true)
	t.gather.SetReadDeadline(time.Unix(1, 0))
}

// abort closes the TCP connection itself: TLS would wait for the client to take its goodbye.
func (t *wsTransport) abort() {
	conn := t.gather.Conn
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	conn.Close()
}

// write sends what is in the outbox, pings, pongs and fresh ICE servers until the session is over or the connection fails.
func (t *wsTransport) write() {
	defer close(t.written)
	s, h := t.session, t.session.hub
	heartbeat := h.opts.Heartbeat
	nextPing := time.Now().Add(heartbeat)
	timer := time.NewTimer(heartbeat)
	defer timer.Stop()
	var batch []outFrame
	for {
		var pongs [][]byte
		select {
		case <-s.out.ready:
		case <-timer.C:
		case payload := <-t.pongs:
			pongs = append(pongs, payload)
		}
		now := time.Now()
		s.renewICE(now)
		var over bool
		batch, over = s.out.take(batch)

		deadline := now.Add(h.limits.write)
		if over {
			deadline = now.Add(h.limits.linger)
		}
		t.conn.SetWriteDeadline(deadline)
		err := t.writeFrames(batch)
		for _, payload := range pongs {
			err = errors.Join(err, t.conn.WriteControl(websocket.PongMessage, payload, deadline))
		}
		if !over && !now.Before(nextPing) {
			err = errors.Join(err, t.conn.WriteControl(websocket.PingMessage, nil, deadline))
			nextPing = now.Add(heartbeat)
		}
		if over {
			err = errors.Join(err, t.conn.WriteControl(websocket.CloseMessage, t.closing(), deadline))
		}
		err = errors.Join(err, t.gather.flush())
		if over {
			return
		}
		if err != nil {
			if isTimeout(err) { // its client can't be told any more: a frame was cut
				s.stop(CodeSlow)
			}
			t.stop()
			return
		}
		batch = recycle(batch)
		timer.Reset(s.untilICE(now, nextPing.Sub(now)))
	}
}

// writeFrames hands frames to gorilla, which hands them to gather.
func (t *wsTransport) writeFrames(batch []outFrame) error {
	if len(batch) == 0 {
		return nil
	}
	s, h := t.session, t.session.hub
	frame := h.ws.frames.Get().(*bytes.Buffer)
	defer h.ws.frames.Put(frame)
	for _, f := range batch {
		frame.Reset()
		frame.Write(s.codec.appendFrame(frame.AvailableBuffer(), f.body, f.seq))
		if err := t.conn.WriteMessage(websocket.TextMessage, frame.Bytes()); err != nil {
			return err
		}
		h.stats.framesOut.Add(1)
		h.stats.bytesOut.Add(uint64(frame.Len()))
	}
	return nil
}

// recycle empties a batch for the outbox to fill again; after a burst it starts small, for an idle session to be small.
func recycle(batch []outFrame) []outFrame {
	if cap(batch) > 64 {
		return nil
	}
	clear(batch)
	return batch[:0]
}

// closing is the payload of our close frame.
func (t *wsTransport) closing() []byte {
	code, _ := t.session.out.end()
	if code == "" {
		return websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	}
	r := reasonFor(code)
	return websocket.FormatCloseMessage(r.close, r.sentence)
}

// part closes the connection. If the client still may have something under way, an immediate close would reset the
// connection, and the reset would overtake our last words: so our direction is closed first, and the client gets a moment
// to close its own.
func (t *wsTransport) part() {
	defer t.conn.Close()
	code, _ := t.session.out.end()
	half, ok := t.gather.Conn.(interface{ CloseWrite() error })
	if code == "" || !ok || half.CloseWrite() != nil {
		return
	}
	t.gather.SetReadDeadline(time.Now().Add(t.session.hub.limits.linger))
	io.CopyN(io.Discard, t.gather.Conn, maxDiscard)
}
