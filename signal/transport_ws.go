package signal

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// webSockets is what all WebSocket connections of a hub share. Buffers are borrowed for as long as
// there is something to read or write: an idle session holds none but the read buffer that net/http
// made for its request.
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
			// For clients that ask for it; what is compressed is decided frame by frame.
			EnableCompression: true,
			CheckOrigin:       func(*http.Request) bool { return true }, // ServeHTTP has done it
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

	hijacker := &gatherHijacker{ResponseWriter: w, buffers: &h.ws.gathers}
	conn, err := h.ws.upgrader.Upgrade(hijacker, r, nil)
	if err != nil {
		return // the client has its answer, or is gone
	}
	hijacker.conn.gather()
	t := &wsTransport{
		conn:    conn,
		gather:  hijacker.conn,
		pongs:   make(chan []byte, 1),
		written: make(chan struct{}),
	}
	t.link = newLink(h, client{source: h.opts.Source(r), host: r.Host}, t, t.stop)
	t.serve()
}

// wsTransport carries sessions over a WebSocket. The goroutine of the HTTP request reads; it owns
// the one that writes, and waits for it. Only the writer writes to the connection, apart from
// gorilla's close frame for broken framing.
type wsTransport struct {
	conn     *websocket.Conn
	gather   *gatherConn // the connection below conn
	link     *link
	pongs    chan []byte   // capacity 1: the client's latest ping, to be answered (RFC 6455 §5.5.3)
	written  chan struct{} // closed when the writer is done
	stopping atomic.Bool
}

func (t *wsTransport) serve() {
	l, h := t.link, t.link.hub
	bad := h.admit(l)
	defer h.release(l)
	if bad != nil {
		// A browser's page sees no HTTP status, so it is told over the WebSocket, unless that gets
		// too expensive.
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
		l.finish(code)
		t.gather.SetWriteDeadline(time.Now().Add(h.limits.linger))
		<-t.written
		t.part()
	}()
	if bad != nil {
		l.dismiss(bad)
		return
	}
	code = t.read()
}

// read feeds the session until the connection or the session ends; it returns the code to end it
// with, "" when the connection was lost or the session has its code already.
func (t *wsTransport) read() Code {
	l, h := t.link, t.link.hub
	t.conn.SetPingHandler(t.onPing)
	t.conn.SetPongHandler(t.onPong)
	t.conn.SetCloseHandler(func(int, string) error { return nil }) // the writer answers it
	t.conn.SetReadDeadline(l.patience(l.opened))
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
			goesOn = l.refuse(refuse(CodeBadFrame, "it is binary"))
		default:
			goesOn = l.receive(frame.Bytes())
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

// alive notes a sign of life. It fails when the connection was stopped, whose deadline must not be
// moved.
func (t *wsTransport) alive() error {
	t.conn.SetReadDeadline(t.link.patience(time.Now()))
	if t.stopping.Load() {
		return errStopping
	}
	return nil
}

func (t *wsTransport) onPing(payload string) error {
	if s := t.link.session.Load(); !s.keepsPace() && s.exhausted() {
		t.link.dismiss(refuse(CodeRateLimited, "too many pings"))
		return errStopping
	}
	select {
	case <-t.pongs: // the one before may go unanswered
	default:
	}
	t.pongs <- []byte(payload) // this goroutine is the only one that fills it
	return t.alive()
}

// onPong learns that the client has all that was written before the ping. A payload of the client's
// own making harms nobody else.
func (t *wsTransport) onPong(payload string) error {
	if seq, err := strconv.ParseUint(payload, 10, 64); err == nil {
		t.link.do(func(s *session) bool { return s.confirm(seq) })
	}
	return t.alive()
}

// readError is the code for which the session ends when nothing more can be read.
func (t *wsTransport) readError(err error) Code {
	t.link.goingAway = websocket.IsCloseError(err, websocket.CloseGoingAway)
	if !t.link.greeted() && !t.stopping.Load() && isTimeout(err) {
		return CodeHelloFirst
	}
	return ""
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// stop wakes the reader, which ends the connection.
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

// write sends what is in the outbox, pings, pongs and fresh ICE servers until the connection is
// over or fails.
func (t *wsTransport) write() {
	defer close(t.written)
	l, h := t.link, t.link.hub
	heartbeat := h.opts.Heartbeat
	nextPing := time.Now().Add(heartbeat)
	timer := time.NewTimer(heartbeat)
	defer timer.Stop()
	var batch []outFrame
	var pinged uint64 // the last frame before the last ping
	for {
		var pongs [][]byte
		select {
		case <-l.feed.ready:
		case <-timer.C:
		case payload := <-t.pongs:
			pongs = append(pongs, payload)
		}
		now := time.Now()
		s := l.session.Load()
		s.renewICE(now)
		var over bool
		batch, over = l.feed.take(batch)

		deadline := now.Add(h.limits.write)
		if over {
			deadline = now.Add(h.limits.linger)
		}
		t.conn.SetWriteDeadline(deadline)
		err := t.writeFrames(s.codec, batch)
		for _, payload := range pongs {
			err = errors.Join(err, t.conn.WriteControl(websocket.PongMessage, payload, deadline))
		}
		// A ping says up to where the client has all once its pong comes back.
		written, urgent := s.out.progress()
		if !over && (!now.Before(nextPing) || urgent && written > pinged) {
			pinged = written
			err = errors.Join(err, t.conn.WriteControl(websocket.PingMessage, strconv.AppendUint(nil, written, 10),
				deadline))
			nextPing = now.Add(heartbeat)
		}
		if over {
			err = errors.Join(err, t.conn.WriteControl(websocket.CloseMessage, closing(l.feed.code), deadline))
		}
		err = errors.Join(err, t.gather.flush())
		if over {
			return
		}
		if err != nil {
			if isTimeout(err) { // its client can't be told any more: a frame was cut
				s.tooSlow(l.feed)
			}
			t.stop()
			return
		}
		batch = recycle(batch)
		timer.Reset(s.untilICE(now, nextPing.Sub(now)))
	}
}

// worthDeflating is the size from which on compressing a frame (permessage-deflate, RFC 7692) pays:
// a description shrinks to a quarter, a candidate to four fifths, in the same 10 µs, which is as
// much as all else about it costs. What goes to many would be compressed for each of them.
const worthDeflating = 1 << 10

// writeFrames hands frames to gorilla, which hands them to gather.
func (t *wsTransport) writeFrames(codec codec, batch []outFrame) error {
	if len(batch) == 0 {
		return nil
	}
	h := t.link.hub
	frame := h.ws.frames.Get().(*bytes.Buffer)
	defer h.ws.frames.Put(frame)
	for _, f := range batch {
		frame.Reset()
		frame.Write(codec.appendFrame(frame.AvailableBuffer(), f.body, f.seq))
		t.conn.EnableWriteCompression(frame.Len() >= worthDeflating && !f.many)
		if err := t.conn.WriteMessage(websocket.TextMessage, frame.Bytes()); err != nil {
			return err
		}
		h.stats.framesOut.Add(1)
		h.stats.bytesOut.Add(uint64(frame.Len()))
	}
	return nil
}

// recycle empties a batch for the outbox to fill again; after a burst it starts small, for an idle
// session to be small.
func recycle(batch []outFrame) []outFrame {
	if cap(batch) > 64 {
		return nil
	}
	clear(batch)
	return batch[:0]
}

// closing is the payload of our close frame.
func closing(code Code) []byte {
	if code == "" || code == codeBye {
		return websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	}
	r := reasonFor(code)
	return websocket.FormatCloseMessage(r.close, r.sentence)
}

// part closes the connection. If the client still may have something under way, an immediate close
// would reset the connection, and the reset would overtake our last words: so our direction is
// closed first, and the client gets a moment to close its own.
func (t *wsTransport) part() {
	defer t.conn.Close()
	code := t.link.feed.code
	half, ok := t.gather.Conn.(interface{ CloseWrite() error })
	if code == "" || !ok || half.CloseWrite() != nil {
		return
	}
	t.gather.SetReadDeadline(time.Now().Add(t.link.hub.limits.linger))
	io.CopyN(io.Discard, t.gather.Conn, maxDiscard)
}
