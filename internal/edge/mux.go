package edge

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"time"

	"signalbox/internal/cert"
	"signalbox/internal/netaddr"
)

// One TLS port serves https, wss and TURN. A client chooses by ALPN. TURN clients in browsers send
// no ALPN; for them the first byte after the handshake decides. The plain port serves http, ws and
// TURN in the same way.

// OpenTimeout bounds the time until a connection's protocol is known: a proxy's header, the
// handshake and the first byte.
const OpenTimeout = 10 * time.Second

// TURNProtocols returns the ALPN names of TURN (RFC 7443).
func TURNProtocols() []string { return []string{"stun.turn", "stun.nat-discovery"} }

// Protocols returns the ALPN names of the TLS port in order of preference. TURN comes first: a
// client that offers it wants it, though coturn's clients offer http/1.1, too.
func Protocols() []string { return append(TURNProtocols(), "h2", "http/1.1") }

// mux tells the connections of the web ports apart.
type mux struct {
	o    *Options
	turn TURN
	to   Handlers
}

// serveTLS serves one connection of the TLS port. It runs in the connection's own goroutine, never
// in Accept.
func (m *mux) serveTLS(ctx context.Context, raw net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, OpenTimeout)
	defer cancel()
	conn := m.receive(ctx, raw)
	if conn == nil {
		return
	}
	secure := m.handshake(ctx, conn)
	if secure == nil {
		return
	}
	switch proto := secure.ConnectionState().NegotiatedProtocol; {
	case slices.Contains(TURNProtocols(), proto):
		m.turn.ServeConn(secure, "tls")
	case proto == cert.ALPNChallenge:
		secure.Close()
	case proto != "":
		m.to.HTTPS(secure) // as it is: net/http speaks h2 only on a *tls.Conn
	default:
		m.sort(ctx, secure, "tls", m.to.HTTPS)
	}
}

// handshake returns the TLS connection over conn. If it fails, it closes conn and returns nil.
func (m *mux) handshake(ctx context.Context, conn net.Conn) *tls.Conn {
	secure := tls.Server(conn, m.o.TLS)
	if secure.HandshakeContext(ctx) != nil {
		conn.Close()
		return nil
	}
	return secure
}

// serveTURN serves one connection of a TCP port of TURN. Nothing is read of it before the relay has
// counted it: there, those that say nothing make room for others.
func (m *mux) serveTURN(ctx context.Context, raw net.Conn, overTLS bool) {
	if !overTLS {
		m.turn.ServeConn(raw, "tcp")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, OpenTimeout)
	defer cancel()
	counted := m.count(&conn{Conn: raw})
	if counted == nil {
		return
	}
	secure := m.handshake(ctx, counted)
	if secure == nil {
		return
	}
	if proto := secure.ConnectionState().NegotiatedProtocol; proto != "" && !slices.Contains(TURNProtocols(), proto) {
		secure.Close() // it wants a web page, or is an ACME directory that has seen what it asked for
		return
	}
	m.turn.ServeConn(secure, "tls")
}

// servePlain is serveTLS for the port without TLS.
func (m *mux) servePlain(ctx context.Context, raw net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, OpenTimeout)
	defer cancel()
	if conn := m.receive(ctx, raw); conn != nil {
		m.sort(ctx, conn, "tcp", m.to.HTTP)
	}
}

// serveCollider is servePlain for the port of Collider, which has nothing else.
func (m *mux) serveCollider(ctx context.Context, raw net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, OpenTimeout)
	defer cancel()
	if conn := m.receive(ctx, raw); conn != nil {
		m.to.Collider(conn)
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

// receive finds out the client's address and counts the connection for it. If a proxy does not name
// its client, or as count does, receive closes the connection and returns nil.
func (m *mux) receive(ctx context.Context, raw net.Conn) net.Conn {
	c := &conn{Conn: raw}
	if m.o.ProxyHeader && m.o.Proxies.Trust(netaddr.Of(raw.RemoteAddr().String())) {
		var err error
		if c, err = readProxyHeader(ctx, raw); err != nil {
			raw.Close()
			return nil
		}
	}
	return m.count(c)
}

// count counts a connection for its client. If the client has too many, count closes it and returns
// nil. Connections of proxies and of this machine don't count: all clients share the former, and
// the latter are the operator's.
func (m *mux) count(c *conn) net.Conn {
	from := netaddr.Of(c.RemoteAddr().String())
	if from.IsLoopback() || m.o.Proxies.Trust(from) {
		return c
	}
	leave, ok := m.o.Connections.Enter(from)
	if !ok {
		c.Close()
		return nil
	}
	c.leave = leave
	return c
}
