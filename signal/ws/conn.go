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

// conn carries sessions over a WebSocket. Only the link's writer writes to the connection. Of the
// methods that read, one runs at a time: see the package's doc.
type conn struct {
	net.Conn
	server   *Server
	deflates bool // messages may be compressed, in both directions
	link     *signal.Link
	written  chan struct{}          // closed when the writer is done
	pong     atomic.Pointer[string] // the client's latest ping, to be answered (RFC 6455 §5.5.3)
	unponged atomic.Int32           // pings that the client may answer
	stopping atomic.Bool
	broken   atomic.Pointer[brokenError] // what the client did to the protocol
	began    time.Time                   // set by begin
	// heard is when the client was heard last, as of when nothing more was to be read: the time
	// since it began.
	heard  atomic.Int64
	parked atomic.Bool // who makes it false is the reader

	// owned by the reader
	first  [1]byte // what ends a wait
	within bool    // a frame has begun
	timed  bool    // and has its deadline
	held   int     // bytes that the link counts as held for reading
	ticket int32   // the lot's; 0: it is not there

	// owned by the writer
	out      output
	nextPing time.Time
	pinged   uint64 // the last event before the last ping
}

// begin begins the session, and the reading.
func (c *conn) begin(d signal.Dialect) {
	c.began = time.Now()
	c.nextPing = c.began.Add(c.server.pulse.Every)
	c.link.Begin(d, c) //nolint:errcheck // the client is told by the writer
	c.link.PumpOnDemand(func() {
		c.Stop()
		close(c.written)
	})
	c.wait()
}

// wait waits for the client to say something, or sees that it was silent for too long. Most
// connections spend their lives so: parked, or else with a goroutine that only sits there.
func (c *conn) wait() {
	switch n, err := c.kept(); {
	case n > 0:
		go c.work(n)
	case !isTimeout(err), c.patience() <= 0:
		go c.end(c.readError(err))
	case !c.server.lot.park(c):
		go c.sit()
	case c.stopping.Load() && c.fetch(): // stopped before it was parked
		go c.wait()
	}
}

// kept reads what was read from the network already, below, for which nobody would be awaited.
func (c *conn) kept() (n int, err error) {
	if err := c.deadline(time.Unix(1, 0)); err != nil {
		return 0, err
	}
	return c.Read(c.first[:])
}

// fetch makes a parked connection's reading the caller's, if nobody else was faster.
func (c *conn) fetch() bool { return c.parked.CompareAndSwap(true, false) }

// recall ends the waiting of a parked connection, for a reason that wait sees.
func (c *conn) recall() {
	if c.fetch() {
		go c.wait()
	}
}

// patience is how long the client may be silent from now on.
func (c *conn) patience() time.Duration {
	return time.Until(c.link.Patience(c.began.Add(time.Duration(c.heard.Load()))))
}

// sit waits where no connection can be parked. It does nothing else, and its stack stays small.
func (c *conn) sit() {
	err := c.deadline(time.Now().Add(c.patience()))
	if err == nil {
		_, err = io.ReadFull(c.Conn, c.first[:])
	}
	switch {
	case err == nil:
		go c.work(1)
	case isTimeout(err):
		go c.wait()
	default:
		go c.end(c.readError(err))
	}
}

// work reads as long as the client has something to say, and a moment longer. So many bytes were
// read first.
func (c *conn) work(first int) {
	in := c.server.inputs.Get().(*input)
	in.lend(c, c.server.hub.MaxFrame(), c.deflates)
	code, over := signal.CodeInternal, true
	defer func() {
		if p := recover(); p != nil { // of a dialect
			c.link.Panicked(p)
		}
		in.release()
		c.server.inputs.Put(in)
		if over {
			c.end(code)
		} else {
			c.wait()
		}
	}()
	in.unread(c.first[:first])
	code, over = c.read(in)
}

// read passes messages to the session until the connection or the session ends, and returns the
// code to end it with, or until the client has nothing to say. Signs of life alone keep nobody
// awake.
func (c *conn) read(in *input) (code signal.Code, over bool) {
	for talks, begins := false, true; !c.stopping.Load(); begins = false {
		if in.empty() {
			if !talks && !begins {
				return signal.CodeLost, false
			}
			in.calm()
			switch err := in.need(1); {
			case err == nil:
			case isTimeout(err) && !c.stopping.Load():
				return signal.CodeLost, false
			default:
				return c.readError(err), true
			}
		}
		c.within = true
		body, binary, ok, err := in.next()
		c.within, c.timed = false, false
		if err != nil {
			return c.readError(err), true
		}
		if in.empty() {
			c.heard.Store(int64(time.Since(c.began)))
		}
		talks = talks || ok && !bytes.Equal(body, c.server.pulse.Sign)
		if ok && !c.link.Receive(signal.Frame{Body: body, Binary: binary}) {
			return signal.CodeLost, true
		}
	}
	return signal.CodeLost, true
}

// end ends the connection, and the session if that can't wait.
func (c *conn) end(code signal.Code) {
	defer c.link.Close()
	c.server.lot.leave(c)
	c.finish(code)
	c.SetWriteDeadline(time.Now().Add(c.link.Linger()))
	<-c.written
	c.part()
}

func (c *conn) finish(code signal.Code) {
	defer func() {
		if p := recover(); p != nil { // of whoever is told of the end
			c.link.Panicked(p)
		}
	}()
	c.link.Finish(code)
}

// maxDiscard bounds what is read of a client after the end.
const maxDiscard = 1 << 20

var errStopping = errors.New("session stopped")

// deadline sets until when the next read may take. It fails if the connection was stopped: its
// deadline must not be moved then.
func (c *conn) deadline(t time.Time) error {
	c.SetReadDeadline(t)
	if c.stopping.Load() {
		return errStopping
	}
	return nil
}

// receive reads, for an input. A frame that has begun must end in time, whatever comes meanwhile.
func (c *conn) receive(b []byte) (n int, err error) {
	switch {
	case !c.within:
		err = c.deadline(c.link.Rest(time.Now()))
	case !c.timed:
		c.timed = true
		err = c.deadline(c.link.Whole(time.Now()))
	}
	if err != nil {
		return 0, err
	}
	n, err = c.Read(b)
	if n > 0 { // an error comes again
		c.pay(n)
		return n, nil
	}
	return 0, err
}

// pay holds a client up that makes too much work. The session's end cuts that short.
func (c *conn) pay(n int) {
	pause := c.link.Throttle(n)
	if pause <= 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.written:
	}
}

func (c *conn) hold(bytes int) {
	if bytes != c.held {
		c.link.Hold(bytes - c.held)
		c.held = bytes
	}
}

// announce counts a message before it is read.
func (c *conn) announce() error {
	if !c.link.Announce() {
		return errStopping
	}
	return nil
}

func (c *conn) control(kind int, payload []byte) error {
	switch kind {
	case websocket.PingMessage:
		if !c.link.Ping() {
			return errStopping
		}
		ping := string(payload)
		c.pong.Store(&ping) // the one before may go unanswered
		c.link.Wake()
		return nil
	case websocket.PongMessage:
		return c.onPong(payload)
	}
	return closed(payload) // the writer answers it
}

// onPong learns that the client has all that was written before the ping. A pong that nobody has
// asked for is as good as a ping, and counts like one.
func (c *conn) onPong(payload []byte) error {
	if c.unponged.Load() == 0 {
		if !c.link.Ping() {
			return errStopping
		}
		return nil
	}
	c.unponged.Add(-1)
	if seq, err := strconv.ParseUint(string(payload), 10, 64); err == nil {
		c.link.Confirm(seq)
	}
	return nil
}

// readError is the code for which the session ends when nothing more can be read.
func (c *conn) readError(err error) signal.Code {
	var broken brokenError
	switch {
	case errors.Is(err, errTooLarge):
		return signal.CodeTooLarge
	case websocket.IsCloseError(err, websocket.CloseGoingAway):
		c.link.Leaving()
	case websocket.IsCloseError(err, websocket.CloseNormalClosure):
		c.link.Bye()
	case errors.As(err, &broken):
		c.broken.Store(&broken) // the writer says so
	case isTimeout(err) && !c.link.Greeted() && !c.stopping.Load():
		return signal.CodeHelloFirst
	}
	return signal.CodeLost
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// Stop wakes the reader, which ends the connection.
func (c *conn) Stop() {
	c.stopping.Store(true)
	c.SetReadDeadline(time.Unix(1, 0))
	c.recall()
}

// Abort closes the TCP connection itself: TLS would wait for the client to take its goodbye.
func (c *conn) Abort() {
	below := c.Conn
	if secure, ok := below.(*tls.Conn); ok {
		below = secure.NetConn()
	}
	below.Close()
	c.recall() // of a closed connection nothing is heard
}

// part closes the connection. If the client still may have something under way, an immediate close
// would reset the connection, and the reset would overtake our last words: so our direction is
// closed first, and the client gets a moment to close its own.
func (c *conn) part() {
	defer c.Conn.Close()
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if c.link.Code() == signal.CodeLost || !ok || half.CloseWrite() != nil {
		return
	}
	c.SetReadDeadline(time.Now().Add(c.link.Linger()))
	io.CopyN(io.Discard, c.Conn, maxDiscard)
}
