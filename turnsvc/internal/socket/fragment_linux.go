package socket

import (
	"errors"
	"net/netip"
	"syscall"
)

// CanKeepWhole reports whether DONT-FRAGMENT is honored on this system (RFC 8656 §7.2 step 4).
const CanKeepWhole = true

// keepWhole sets whether packets of a socket that is bound to ip leave with DF set; datagrams
// larger than the path then fail. Linux's default is to set DF on all that fit the path, as far as
// it knows that: where ICMP gets lost, what is larger vanishes.
func keepWhole(socket controller, ip netip.Addr, whole bool) error {
	level, option, value := syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER, syscall.IP_PMTUDISC_DONT
	if whole {
		value = syscall.IP_PMTUDISC_DO
	}
	if ip.Is6() {
		level, option = syscall.IPPROTO_IPV6, syscall.IPV6_MTU_DISCOVER // its values are the same
	}
	var set error
	err := socket.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), level, option, value) })
	return errors.Join(err, set)
}
