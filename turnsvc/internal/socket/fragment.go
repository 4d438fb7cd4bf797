package socket

import (
	"net/netip"
	"syscall"
)

// mayFragment has routers cut what is sent to clients over a socket of that address, where the path
// takes only less: many paths lose the ICMP that would say so. If it can't be had, such paths lose
// what is large, as they do for others' servers.
func mayFragment(conn syscall.Conn, ip netip.Addr) {
	if raw, err := conn.SyscallConn(); err == nil {
		_ = keepWhole(raw, ip, false)
	}
}
