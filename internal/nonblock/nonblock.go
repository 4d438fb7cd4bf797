// Package nonblock reads and writes TCP without telling Go's scheduler of the system calls: they
// can't wait. Those that it is told of wake its monitor when all was idle, which then looks every
// 20 µs whether the call has come back. Where messages come singly, that costs as much as what is
// done with them. BENCHMARKS.md has figures. It also joins writes, where TLS makes many of one
// (Gatherer).
package nonblock

import "net"

// Conn returns the connection with reads and writes that cost less, if it is a *net.TCPConn and the
// system is one where that is done; else as it is. Its method NetConn returns the *net.TCPConn, for
// those that look for it as below a *tls.Conn.
func Conn(c net.Conn) net.Conn {
	if tcp, ok := c.(*net.TCPConn); ok {
		return of(tcp)
	}
	return c
}

// Listener returns a listener whose connections are as Conn returns them.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Conn(c), nil
}
