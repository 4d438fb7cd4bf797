//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package socket

import "net"

// NewStream returns the connection as it is.
func NewStream(conn *net.TCPConn) net.Conn { return conn }
