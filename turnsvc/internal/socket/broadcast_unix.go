//go:build unix && !(linux && (amd64 || arm64 || riscv64 || loong64))

package socket

import (
	"net"
	"syscall"
)

// noBroadcast takes back the permission to send to broadcast addresses, which package net gives
// every UDP socket: the peer policy does not know the broadcast addresses of the networks around.
func noBroadcast(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	if err := raw.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_BROADCAST, 0)
	}); err != nil {
		return err
	}
	return set
}
