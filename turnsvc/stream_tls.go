package turnsvc

import (
	"crypto/tls"
	"net"
	"strings"
)

// TLS on a plain port. Clients are told wrong ports, and firewalls lead TLS to the one that is
// open; its first byte tells it from TURN. It is read within the deadlines of a client that has
// said nothing yet, and the stream has its place in the crowd already: who says nothing, or goes on
// and on with its handshake, makes room for others.

// handshakeByte begins each TLS connection: the type of a record (RFC 8446 §5.1). STUN's methods
// and channels leave it out.
const handshakeByte = 22

// firstByte is a connection of which the first byte has been read. It comes again.
type firstByte struct {
	net.Conn
	pending bool
	value   byte
}

func (c *firstByte) Read(b []byte) (int, error) {
	if c.pending && len(b) > 0 {
		c.pending = false
		b[0] = c.value
		return 1, nil
	}
	return c.Conn.Read(b)
}

// open finds out whether TLS comes over a plain connection, and then does its handshake. It reports
// whether there is something to serve. Nobody but close uses the connection meanwhile.
func (l *streamLink) open(conf *tls.Config) bool {
	if conf == nil || l.name != "tcp" {
		return true
	}
	if l.conn.SetDeadline(l.began.Add(l.streams.firstFrame)) != nil {
		return false
	}
	var first [1]byte
	if n, _ := l.conn.Read(first[:]); n == 0 {
		return false
	}
	again := &firstByte{l.conn, true, first[0]}
	if first[0] != handshakeByte {
		l.carrier = again
		return true
	}
	secure := tls.Server(again, conf)
	if secure.Handshake() != nil {
		l.streams.counters.drop(dropHandshake)
		return false
	}
	l.carrier, l.name = secure, "tls"
	proto := secure.ConnectionState().NegotiatedProtocol
	// RFC 7443; who names another protocol wants something else.
	return proto == "" || strings.HasPrefix(proto, "stun.")
}
