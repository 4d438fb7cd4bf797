//go:build !linux

package turnsvc

import (
	"net"
	"net/netip"
)

// canKeepWhole: DONT-FRAGMENT is an unknown attribute here, as RFC 8656 §7.2 has it for systems
// that can't set DF.
const canKeepWhole = false

func keepWhole(*net.UDPConn, netip.Addr, bool) error { return nil }
