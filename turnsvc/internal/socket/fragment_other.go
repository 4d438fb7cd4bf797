//go:build !linux

package socket

import "net/netip"

// CanKeepWhole reports whether DONT-FRAGMENT is honored on this system. Where DF can't be set it
// is an unknown attribute (RFC 8656 §7.2 step 4).
const CanKeepWhole = false

func keepWhole(controller, netip.Addr, bool) error { return nil }
