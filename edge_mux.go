package signalbox

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"time"

	"signalbox/turnsvc"
)

// One TLS port serves https, wss and TURN. ALPN decides where a client sends it; TURN clients in browsers send none, so then the first
// byte after the handshake does: a TURN stream begins with a STUN request, whose first two bits are zero, HTTP with a letter.

// helloTimeout bounds the handshake and the wait for the first byte.
const helloTimeout = 10 * time.Second

// ALPN names of TURN (RFC 7443).
var turnProtocols = []string{"stun.turn", "stun.nat-discovery"}

// serveTLS shakes hands on one connection and hands it on. It runs in the connection's own goroutine, never in Accept.
func serveTLS(ctx context.Context, conn net.Conn, conf *tls.Config, turn *turnsvc.Server, toHTTP func(net.Conn)) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	tlsConn := tls.Server(conn, conf)
	if tlsConn.HandshakeContext(ctx) != nil {
		conn.Close()
		return
	}
	switch proto := tlsConn.ConnectionState().NegotiatedProtocol; {
	case slices.Contains(turnProtocols, proto):
		turn.ServeConn(tlsConn, "tls")
		return
	case proto != "":
		toHTTP(tlsConn) // as it is: net/http speaks h2 only on a *tls.Conn
		return
	}
	var first [1]byte
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	n, _ := tlsConn.Read(first[:]) // without a byte there is nothing to serve, whatever the error
	if !stop() || n == 0 {
		conn.Close()
		return
	}
	peeked := &peekedConn{Conn: tlsConn, first: first[:]}
	if first[0]&0xC0 == 0 {
		turn.ServeConn(peeked, "tls")
	} else {
		toHTTP(peeked)
	}
}

// peekedConn gives back the bytes that were read to tell the protocol. One goroutine reads it.
type peekedConn struct {
	net.Conn
	first []byte
}

func (c *peekedConn) Read(b []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(b, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// NetConn is the connection underneath, as of a *tls.Conn.
func (c *peekedConn) NetConn() net.Conn { return c.Conn.(*tls.Conn).NetConn() }

// CloseWrite says that nothing more is sent, as of a *tls.Conn.
func (c *peekedConn) CloseWrite() error { return c.Conn.(*tls.Conn).CloseWrite() }

// connQueue is a net.Listener for connections that were accepted elsewhere.
type connQueue struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newConnQueue(addr net.Addr) *connQueue {
	return &connQueue{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// push hands a connection to Accept, or closes it once the queue is closed.
func (q *connQueue) push(conn net.Conn) {
	select {
	case q.conns <- conn:
	case <-q.closed:
		conn.Close()
	}
}

func (q *connQueue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

func (q *connQueue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

func (q *connQueue) Addr() net.Addr { return q.addr }
