package socket

import "net"

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

// BoundSend bounds what the kernel holds of what was written to a TCP connection, in bytes: in all,
// with its own bookkeeping, and, where the system can, of what has not been sent yet,
// approximately. Other connections it leaves as they are.
func BoundSend(conn net.Conn, all, unsent int) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	_ = tcp.SetWriteBuffer(sendRoom(all)) // a connection that is over has no need of it
	boundUnsent(tcp, unsent)
}
