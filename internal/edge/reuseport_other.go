//go:build !linux

package edge

import "syscall"

// Elsewhere SO_REUSEPORT does not spread datagrams among sockets.
const canReusePort = false

func reusePort(syscall.RawConn, bool) error { return nil }
