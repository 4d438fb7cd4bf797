//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package nonblock

import "net"

// of returns the connection as it is.
func of(tcp *net.TCPConn) net.Conn { return tcp }
