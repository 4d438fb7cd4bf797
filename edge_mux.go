package signalbox

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"signalbox/turnsvc"
)

// One TLS port serves https, wss and TURN. ALPN decides where a client sends it; TURN clients in
// browsers send none, so then the first byte after the handshake does. The plain port serves http,
// ws and TURN in the same way.

// openTimeout bounds all that comes before a connection is known: a proxy's header, the handshake
// and the first byte.
const openTimeout = 10 * time.Second

// ALPN names of TURN (RFC 7443), and of ACME's challenge (RFC 8737), which is over with the
// handshake.
var turnProtocols = []string{"stun.turn", "stun.nat-discovery"}

const acmeProtocol = "acme-tls/1"

// mux tells the connections of the web ports apart.
type mux struct {
	turn *turnsvc.Server
	tls  *tls.Config
	// trusts tells whether an address is a proxy's; proxied: such a proxy's connections begin with
	// a PROXY header.
	trusts  func(netip.Addr) bool
	proxied bool
	conns   *crowd
}

// serveTLS serves one connection of the TLS port; toHTTP takes those that speak HTTP. It runs in
// the connection's own goroutine, never in Accept.
func (m *mux) serveTLS(ctx context.Context, raw net.Conn, toHTTP func(net.Conn)) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	conn := m.receive(ctx, raw)
	if conn == nil {
		return
	}
	secure := tls.Server(conn, m.tls)
	if secure.HandshakeContext(ctx) != nil {
		conn.Close()
		return
	}
	switch proto := secure.ConnectionState().NegotiatedProtocol; {
	case slices.Contains(turnProtocols, proto):
		m.turn.ServeConn(secure, "tls")
	case proto == acmeProtocol:
		secure.Close()
	case proto != "":
		toHTTP(secure) // as it is: net/http speaks h2 only on a *tls.Conn
	default:
		m.sort(ctx, secure, "tls", toHTTP)
	}
}

// servePlain is serveTLS for the port without TLS.
func (m *mux) servePlain(ctx context.Context, raw net.Conn, toHTTP func(net.Conn)) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if conn := m.receive(ctx, raw); conn != nil {
		m.sort(ctx, conn, "tcp", toHTTP)
	}
}

// sort serves a connection by its first byte.
func (m *mux) sort(ctx context.Context, conn net.Conn, transport string, toHTTP func(net.Conn)) {
	peeked := peek(ctx, conn)
	switch {
	case peeked == nil:
	case peeked.isTURN():
		m.turn.ServeConn(peeked, transport)
	default:
		toHTTP(peeked)
	}
}

// receive finds out who is there, and counts the connection for them. It returns nil, and has
// closed the connection, if they have too many or if a proxy doesn't say. A proxy's own connections
// don't count, nor do this machine's: all the world comes through one, and the other is the
// operator's.
func (m *mux) receive(ctx context.Context, raw net.Conn) net.Conn {
	conn := &edgeConn{Conn: raw}
	from := addrOf(raw)
	if m.proxied && m.trusts(from) {
		var err error
		if conn, err = readProxyHeader(ctx, raw); err != nil {
			raw.Close()
			return nil
		}
		from = addrOf(conn)
	}
	if from.IsLoopback() || m.trusts(from) {
		return conn
	}
	leave, ok := m.conns.enter(from)
	if !ok {
		raw.Close()
		return nil
	}
	conn.leave = leave
	return conn
}

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
