package edge

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/pires/go-proxyproto"

	"signalbox/internal/source"
)

// conn is a connection from which the edge has read some bytes to find out its protocol. One
// goroutine reads it.
type conn struct {
	net.Conn
	first  []byte    // what was read: it comes again
	remote net.Addr  // of the client, if a proxy has told it; else nil
	leave  func()    // nil, or called once when it is closed
	once   sync.Once // for leave
}

func (c *conn) Read(b []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(b, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// NetConn returns the connection that was read from, as of a *tls.Conn.
func (c *conn) NetConn() net.Conn { return c.Conn }

func (c *conn) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

func (c *conn) Close() error {
	if c.leave != nil {
		c.once.Do(c.leave)
	}
	return c.Conn.Close()
}

// CloseWrite says that nothing more is sent, as of a *net.TCPConn or a *tls.Conn.
func (c *conn) CloseWrite() error { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// tlsState is the state of the TLS connection underneath, or nil.
func (c *conn) tlsState() *tls.ConnectionState {
	if secure, ok := c.Conn.(*tls.Conn); ok {
		state := secure.ConnectionState()
		return &state
	}
	return nil
}

// peek waits for the first byte, until ctx is done. Without one it closes the connection and
// returns nil.
func peek(ctx context.Context, raw net.Conn) *conn {
	first := make([]byte, 1)
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	n, _ := raw.Read(first) // without a byte there is nothing to serve, whatever the error
	if !stop() || n == 0 {
		raw.Close()
		return nil
	}
	return &conn{Conn: raw, first: first}
}

// isTURN tells by its first byte whether a connection carries STUN: its first two bits are zero
// (RFC 8489 §5), where HTTP has a letter. TLS, which begins with 22 (RFC 8446 §5.1), is not for the
// relay: it comes from whoever takes a plain web port for the other one, and what HTTP answers
// tells most clients so.
func (c *conn) isTURN() bool { return c.first[0]&0xC0 == 0 && c.first[0] != 22 }

// maxProxyHeader is larger than any PROXY header without extensions that we would read; we read
// none.
const maxProxyHeader = 4 << 10

// readProxyHeader reads the header that a proxy puts before its client's data (PROXY protocol,
// versions 1 and 2). Without the header the connection is refused: a client that may leave it out
// could write one of its own.
func readProxyHeader(ctx context.Context, raw net.Conn) (*conn, error) {
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	in := bufio.NewReaderSize(raw, maxProxyHeader)
	header, err := proxyproto.Read(in)
	if !stop() {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw}
	if n := in.Buffered(); n > 0 {
		c.first, _ = in.Peek(n)
	}
	if header.Command.IsLocal() || header.TransportProtocol.IsUnspec() {
		// A client that the proxy can't name (PROXY UNKNOWN), or a health check of its own (LOCAL):
		// the two look alike. To take either for the proxy would be to believe what it says of
		// others.
		c.remote = &net.TCPAddr{IP: net.IPv4zero}
		return c, nil
	}
	source, _, ok := header.TCPAddrs()
	if !ok {
		return nil, errors.New("it names no TCP address")
	}
	c.remote = source
	return c, nil
}

// Few hands on at most that many connections at one time, and closes the others at once.
func Few(most int, next func(net.Conn)) func(net.Conn) {
	crowd := source.NewCrowd(most, 0)
	return func(raw net.Conn) {
		leave, ok := crowd.Enter(netip.Addr{})
		if !ok {
			raw.Close()
			return
		}
		next(&conn{Conn: raw, leave: leave})
	}
}
