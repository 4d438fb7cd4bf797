package socket

import (
	"net"
	"time"
)

// Sending is the sending side of a stream's connection: how much the kernel may hold of it. The
// zero Sending, and one of what isn't TCP, does nothing.
type Sending struct {
	conn *net.TCPConn // nil: it isn't TCP
	room              // to be waited for
}

// Bottom returns the connection at the bottom of others that stand on it, as TLS does, and that
// have a method NetConn, as *tls.Conn has.
func Bottom(conn net.Conn) net.Conn {
	for {
		above, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = above.NetConn()
	}
}

// NewSending returns that of a connection that Bottom has returned. unsent is how many bytes are to
// be not yet on their way before Wait returns.
func NewSending(bottom net.Conn, unsent int) Sending {
	s := Sending{}
	if conn, ok := bottom.(*net.TCPConn); ok {
		s.conn = conn
		s.room = newRoom(conn, unsent)
	}
	return s
}

// Bound sets how many bytes the kernel may hold, with its bookkeeping. One goroutine calls it, the
// one that writes.
func (s *Sending) Bound(all int) {
	if s.conn != nil {
		_ = s.conn.SetWriteBuffer(askFor(all)) // a connection that is over needs none
	}
}

// BoundUnread sets how many bytes the kernel may hold, with its bookkeeping, of what has come over
// a connection that Bottom has returned and is not yet read. It does nothing if that isn't TCP.
func BoundUnread(bottom net.Conn, all int) {
	if conn, ok := bottom.(*net.TCPConn); ok {
		_ = conn.SetReadBuffer(askFor(all)) // a connection that is over needs none
	}
}

// Path is how the path of a connection is.
type Path struct {
	// RTT is the time there and back: smoothed, as it is now, with all that waits on the path.
	// MinRTT is the shortest in the last minutes; Linux's default is five.
	RTT, MinRTT time.Duration
	Acked       uint64 // bytes, since the connection began
	Stalled     bool   // nothing was acknowledged for so long that all counts as lost
}
