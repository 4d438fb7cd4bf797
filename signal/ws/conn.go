package ws

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
)

// conn carries sessions over a WebSocket. The goroutine of the HTTP request reads; it owns the
// writing goroutine, and waits for it. Only the writer writes to the connection, apart from
// gorilla's close frame for broken framing.
type conn struct {
	server   *Server
	ws       *websocket.Conn
	gather   *gatherConn // the connection below ws
	link     *signal.Link
	written  chan struct{}          // closed when the writer is done
	pong     atomic.Pointer[string] // the client's latest ping, to be answered (RFC 6455 §5.5.3)
	stopping atomic.Bool

	// owned by the writer
	nextPing time.Time
	pinged   uint64 // the last event before the last ping
}

func (c *conn) serve(d signal.Dialect) {
	l := c.link
	c.nextPing = time.Now().Add(c.server.hub.Heartbeat())
	l.Begin(d, c) //nolint:errcheck // the client is told by the writer
	go c.pump()
	code := signal.CodeInternal // if something panics: net/http reports that, and the session ends in order
	defer func() {
		l.Finish(code)
		c.gather.SetWriteDeadline(time.Now().Add(l.Linger()))
		<-c.written
		c.part()
	}()
	code = c.read()
}

func (c *conn) pump() {
	defer close(c.written)
	c.link.Pump(nil)
	c.Stop()
}

// read passes frames to the session until the connection or the session ends, and returns the code
// to end it with.
func (c *conn) read() signal.Code {
	l, limit := c.link, c.server.hub.MaxFrame()
	c.ws.SetPingHandler(c.onPing)
	c.ws.SetPongHandler(c.onPong)
	c.ws.SetCloseHandler(func(int, string) error { return nil }) // the writer answers it
	c.alive()
	for !c.stopping.Load() {
		kind, r, err := c.ws.NextReader()
		if err != nil {
			return c.readError(err)
		}
		frame := c.server.frames.Get().(*bytes.Buffer)
		frame.Reset()
		_, err = frame.ReadFrom(io.LimitReader(r, int64(limit)+1))
		switch {
		case err != nil:
			return c.readError(err)
		case frame.Len() > limit:
			return signal.CodeTooLarge
		}
		goesOn := l.Receive(signal.Frame{Body: frame.Bytes(), Binary: kind != websocket.TextMessage})
		c.server.frames.Put(frame)
		if !goesOn || c.alive() != nil {
			return signal.CodeLost
		}
	}
	return signal.CodeLost
}

// maxDiscard bounds what is read of a client after the end.
const maxDiscard = 1 << 20

var errStopping = errors.New("session stopped")

// alive notes a sign of life. It fails if the connection was stopped: its deadline must not be
// moved then.
func (c *conn) alive() error {
	c.ws.SetReadDeadline(c.link.Patience(time.Now()))
	if c.stopping.Load() {
		return errStopping
	}
	return nil
}

func (c *conn) onPing(payload string) error {
	if !c.link.Ping() {
		return errStopping
	}
	c.pong.Store(&payload) // the one before may go unanswered
	c.link.Wake()
	return c.alive()
}

// onPong learns that the client has all that was written before the ping.
func (c *conn) onPong(payload string) error {
	if seq, err := strconv.ParseUint(payload, 10, 64); err == nil {
		c.link.Confirm(seq)
	}
	return c.alive()
}

// readError is the code for which the session ends when nothing more can be read.
func (c *conn) readError(err error) signal.Code {
	if websocket.IsCloseError(err, websocket.CloseGoingAway) {
		c.link.Leaving()
	}
	var timeout net.Error
	if !c.link.Greeted() && !c.stopping.Load() && errors.As(err, &timeout) && timeout.Timeout() {
		return signal.CodeHelloFirst
	}
	return signal.CodeLost
}

// Stop wakes the reader, which ends the connection.
func (c *conn) Stop() {
	c.stopping.Store(true)
	c.gather.SetReadDeadline(time.Unix(1, 0))
}

// Abort closes the TCP connection itself: TLS would wait for the client to take its goodbye.
func (c *conn) Abort() {
	below := c.gather.Conn
	if secure, ok := below.(*tls.Conn); ok {
		below = secure.NetConn()
	}
	below.Close()
}

// Write sends a batch, and the pongs and pings that are due.
func (c *conn) Write(b *signal.Batch) (again time.Duration, err error) {
	c.ws.SetWriteDeadline(b.Deadline)
	err = c.writeFrames(b)
	if err == nil {
		err = c.writeControl(b)
	}
	return c.nextPing.Sub(b.Now), errors.Join(err, c.gather.flush())
}

// writeControl sends control frames. Like writeFrames it is a separate function, so that the
// writer's stack stays small.
func (c *conn) writeControl(b *signal.Batch) error {
	control := func(kind int, payload []byte) error { return c.ws.WriteControl(kind, payload, b.Deadline) }
	if pong := c.pong.Swap(nil); pong != nil {
		if err := control(websocket.PongMessage, []byte(*pong)); err != nil {
			return err
		}
	}
	if b.Over {
		return control(websocket.CloseMessage, websocket.FormatCloseMessage(b.Code.WebSocket()))
	}
	// A ping says up to where the client has all once its pong comes back.
	if b.Now.Before(c.nextPing) && (!b.Urgent || b.Written <= c.pinged) {
		return nil
	}
	c.pinged, c.nextPing = b.Written, b.Now.Add(c.server.hub.Heartbeat())
	return control(websocket.PingMessage, strconv.AppendUint(nil, b.Written, 10))
}

// worthDeflating is the size in bytes from which compressing a frame (permessage-deflate, RFC 7692)
// pays: a description shrinks to a quarter, a candidate to four fifths, each in 10 µs, which is as
// much as everything else about it costs. A frame to many receivers would be compressed for each of
// them.
const worthDeflating = 1 << 10

// writeFrames hands frames to gorilla, which hands them to gather.
func (c *conn) writeFrames(b *signal.Batch) error {
	for f := range b.Frames {
		c.ws.EnableWriteCompression(len(f.Body) >= worthDeflating && !f.Many)
		kind := websocket.TextMessage
		if f.Binary {
			kind = websocket.BinaryMessage
		}
		if err := c.ws.WriteMessage(kind, f.Body); err != nil {
			return err
		}
	}
	return nil
}

// part closes the connection. If the client still may have something under way, an immediate close
// would reset the connection, and the reset would overtake our last words: so our direction is
// closed first, and the client gets a moment to close its own.
func (c *conn) part() {
	defer c.ws.Close()
	half, ok := c.gather.Conn.(interface{ CloseWrite() error })
	if c.link.Code() == signal.CodeLost || !ok || half.CloseWrite() != nil {
		return
	}
	c.gather.SetReadDeadline(time.Now().Add(c.link.Linger()))
	io.CopyN(io.Discard, c.gather.Conn, maxDiscard)
}
