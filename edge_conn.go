package signalbox

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/pires/go-proxyproto"
)

// edgeConn is a connection of which something was read to tell what it is. One goroutine reads it.
type edgeConn struct {
	net.Conn
	first  []byte    // what was read: it comes again
	remote net.Addr  // of the client, if a proxy has told it; else nil
	leave  func()    // nil, or called once when it is closed
	once   sync.Once // for leave
}

func (c *edgeConn) Read(b []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(b, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

func (c *edgeConn) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

func (c *edgeConn) Close() error {
	if c.leave != nil {
		c.once.Do(c.leave)
	}
	return c.Conn.Close()
}

// CloseWrite says that nothing more is sent, as of a *net.TCPConn or a *tls.Conn.
func (c *edgeConn) CloseWrite() error { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// tlsState is the state of the TLS connection underneath, or nil.
func (c *edgeConn) tlsState() *tls.ConnectionState {
	if secure, ok := c.Conn.(*tls.Conn); ok {
		state := secure.ConnectionState()
		return &state
	}
	return nil
}

// peek waits for the first byte, until ctx is done. Without one it closes the connection and
// returns nil.
func peek(ctx context.Context, conn net.Conn) *edgeConn {
	first := make([]byte, 1)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	n, _ := conn.Read(first) // without a byte there is nothing to serve, whatever the error
	if !stop() || n == 0 {
		conn.Close()
		return nil
	}
	return &edgeConn{Conn: conn, first: first}
}

// isTURN tells by its first byte whether a connection carries STUN: its first two bits are zero
// (RFC 8489 §5), where HTTP has a letter.
func (c *edgeConn) isTURN() bool { return c.first[0]&0xC0 == 0 }

// maxProxyHeader is more than any PROXY header takes whose extensions we would look at. We look at
// none.
const maxProxyHeader = 4 << 10

// readProxyHeader reads the header that a proxy puts in front of what its client says (PROXY
// protocol, versions 1 and 2). It is there, or the connection is of no use: whoever may leave it
// out could write one of its own.
func readProxyHeader(ctx context.Context, conn net.Conn) (*edgeConn, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	in := bufio.NewReaderSize(conn, maxProxyHeader)
	header, err := proxyproto.Read(in)
	if !stop() {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	c := &edgeConn{Conn: conn}
	if n := in.Buffered(); n > 0 {
		c.first, _ = in.Peek(n)
	}
	if header.Command.IsLocal() {
		return c, nil // the proxy itself
	}
	if header.TransportProtocol.IsUnspec() {
		// Somebody whom the proxy can't name. To take them for the proxy would be to believe what
		// they say of others.
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

// crowd counts connections of the web ports.
type crowd struct {
	all, perSource int // limits; 0: none

	mu      sync.Mutex
	n       int
	sources map[netip.Prefix]int
	refused uint64
}

// newCrowd leaves room for what the hub and TURN let in, and for what a page needs besides its
// session.
func newCrowd(c *Config) *crowd {
	return &crowd{
		all:       limitOf(2*c.Signal.Sessions, c.TURN.Limits.Connections),
		perSource: limitOf(4*c.Signal.SessionsPerSource, c.TURN.Limits.ConnectionsPerSource),
		sources:   map[netip.Prefix]int{},
	}
}

// limitOf adds two limits, of which 0 is none.
func limitOf(a, b int) int {
	if a == 0 || b == 0 {
		return 0
	}
	return a + b
}

// WebConnections counts the connections of the web ports, but for those of trusted proxies and of
// this machine itself.
type WebConnections struct {
	Open    int    `json:"open"`
	Refused uint64 `json:"refused"` // since the start: too many of one source, or in all
}

func (c *crowd) snapshot() WebConnections {
	c.mu.Lock()
	defer c.mu.Unlock()
	return WebConnections{c.n, c.refused}
}

// enter counts one from ip in, unless there are too many. One without a source counts for itself.
func (c *crowd) enter(ip netip.Addr) (leave func(), ok bool) {
	source := sourcePrefix(ip)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all > 0 && c.n >= c.all || c.perSource > 0 && ip.IsValid() && c.sources[source] >= c.perSource {
		c.refused++
		return nil, false
	}
	c.n++
	c.sources[source]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.n--
		if c.sources[source]--; c.sources[source] == 0 {
			delete(c.sources, source)
		}
	}, true
}

// addrOf is the IP address at the other end; the zero Addr if it has none.
func addrOf(conn net.Conn) netip.Addr {
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}
