package publicip

import (
	"net/netip"
	"os"

	"signalbox/internal/netaddr"
)

var (
	// dockerBridge is the range from which Docker takes its networks: 172.17.0.0/16 and the next
	// ones.
	dockerBridge = netip.MustParsePrefix("172.16.0.0/12")
	sharedSpace  = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
)

// Scope says why the internet does not route an address, and what to do; empty: it does.
func Scope(ip netip.Addr) string {
	switch {
	case netaddr.Global(ip):
		return ""
	case ip.IsLoopback():
		return "a loopback address: only this machine itself can use the relay"
	case dockerBridge.Contains(ip) && inContainer():
		return "an address of Docker's bridge, which nobody outside of this machine can reach: run the container " +
			"with host networking (docker run --network host), or publish the relay ports, too, and set public_ip " +
			"to this machine's address"
	case ip.IsPrivate():
		return "a private address: fine on this network; for callers from elsewhere set public_ip to the address " +
			"at which they reach this box"
	case sharedSpace.Contains(ip):
		return "a carrier's shared address (CGNAT): callers from elsewhere can't reach it; set public_ip if there " +
			"is a public one"
	}
	return "an address that the internet does not route: set public_ip to the address at which callers reach this box"
}

// inContainer reports whether this process runs in a Docker or Podman container.
func inContainer() bool {
	for _, file := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(file); err == nil {
			return true
		}
	}
	return false
}
