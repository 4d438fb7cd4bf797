//go:build !unix

package turnsvc

import "net"

func noBroadcast(*net.UDPConn) error { return nil }
