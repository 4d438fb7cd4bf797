package ws

import (
	"bufio"
	"net"
	"net/http"
	"sync"
)

// gatherSize is about what fits one TLS record; more than that is written as it comes.
const gatherSize = 16 << 10

// gatherConn holds writes back until they are flushed. gorilla writes WebSocket frames one by one;
// so a burst leaves in one system call, one TLS record and few packets. Between bursts it holds no
// buffer.
type gatherConn struct {
	net.Conn
	buffers *sync.Pool // of *[]byte with a capacity of gatherSize

	mu        sync.Mutex
	gathering bool
	buffer    *[]byte
}

func (c *gatherConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gathering {
		return c.Conn.Write(p)
	}
	if c.buffer != nil && len(*c.buffer)+len(p) > gatherSize {
		if err := c.flushLocked(); err != nil {
			return 0, err
		}
	}
	if len(p) > gatherSize {
		return c.Conn.Write(p)
	}
	if c.buffer == nil {
		c.buffer = c.buffers.Get().(*[]byte)
	}
	*c.buffer = append(*c.buffer, p...)
	return len(p), nil
}

// gather ends the time in which every write goes straight out.
func (c *gatherConn) gather() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gathering = true
}

func (c *gatherConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flushLocked()
}

func (c *gatherConn) flushLocked() error {
	if c.buffer == nil {
		return nil
	}
	_, err := c.Conn.Write(*c.buffer)
	*c.buffer = (*c.buffer)[:0]
	c.buffers.Put(c.buffer)
	c.buffer = nil
	return err
}

// gatherHijacker hands the connection that a WebSocket takes over to gorilla as a gatherConn.
type gatherHijacker struct {
	http.ResponseWriter
	buffers *sync.Pool
	conn    *gatherConn // set by Hijack
}

func (w *gatherHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.conn = &gatherConn{Conn: conn, buffers: w.buffers}
	return w.conn, rw, nil
}
