//go:build !linux

package turnsvc

import (
	"net"
	"net/netip"
	"testing"
)

func keepsWhole(*testing.T, *net.UDPConn, netip.Addr) bool { return false }
