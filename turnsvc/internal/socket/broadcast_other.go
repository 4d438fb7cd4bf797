//go:build !unix

package socket

import "net"

func noBroadcast(*net.UDPConn) error { return nil }
