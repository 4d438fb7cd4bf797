// Package netaddr parses addresses, and knows which of them the internet routes and which are this
// machine's. It is the only place with such tables.
package netaddr

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ParseListen parses "host:port", where host is empty or an IP address. An empty host becomes the
// IPv6 unspecified address, which means every address of this machine.
func ParseListen(s string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		port := "3478"
		if _, err := strconv.ParseUint(s, 10, 16); err == nil {
			port = s // which the user means
		}
		return netip.AddrPort{}, fmt.Errorf(`%q is not an address to listen on: write ":%[2]s", `+
			`"192.0.2.1:%[2]s" or "[2001:db8::1]:%[2]s"`, s, port)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q: %q is not a port, 0 to 65535", s, port)
	}
	ip := netip.IPv6Unspecified()
	if host != "" {
		ip, err = netip.ParseAddr(host)
		if ip = ip.Unmap(); err != nil {
			return netip.AddrPort{}, fmt.Errorf("%q: %q is not an IP address; leave it empty for every "+
				"address of this machine", s, host)
		}
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

// ParsePrefix parses an address or a network. An address is a network of one.
func ParsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf(`%q is neither an address nor a network: write "10.1.2.3" or `+
				`"10.0.0.0/8"`, s)
		}
		p = netip.PrefixFrom(ip, ip.BitLen())
	}
	if p.Addr().Is4In6() { // as everybody else's addresses are, or it would match none
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf(`%q is more than the IPv4 addresses within IPv6: write "0.0.0.0/0"`, s)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has host bits set: write %q", s, p.Masked())
	}
	return p, nil
}

// Ports are the ports First to Last of a network's addresses.
type Ports struct {
	Network     netip.Prefix
	First, Last uint16
}

// ParsePorts parses an address or a network with a port or a range of ports, "192.0.2.1:10000",
// "192.0.2.0/24:20000-40000" or "[2001:db8::1]:10000". ok is false if s names no port at all: then
// ParsePrefix may take it.
func ParsePorts(s string) (p Ports, ok bool, err error) {
	network, ports, ok := cutPorts(s)
	if !ok {
		return Ports{}, false, nil
	}
	if p.Network, err = ParsePrefix(network); err != nil {
		return Ports{}, true, err
	}
	first, last, isRange := strings.Cut(ports, "-")
	if !isRange {
		last = first
	}
	low, errLow := strconv.ParseUint(first, 10, 16)
	high, errHigh := strconv.ParseUint(last, 10, 16)
	if errLow != nil || errHigh != nil || low == 0 || low > high {
		return Ports{}, true, fmt.Errorf(`%q: %q is neither a port nor a range of ports: write "10000" or `+
			`"20000-40000"`, s, ports)
	}
	p.First, p.Last = uint16(low), uint16(high)
	return p, true, nil
}

// cutPorts takes s apart at the colon before its ports. An IPv6 address with ports has brackets.
func cutPorts(s string) (network, ports string, ok bool) {
	if in, bracketed := strings.CutPrefix(s, "["); bracketed {
		return strings.Cut(in, "]:")
	}
	if strings.Count(s, ":") != 1 {
		return "", "", false
	}
	return strings.Cut(s, ":")
}

// Holds reports whether at is one of them.
func (p Ports) Holds(at netip.AddrPort) bool {
	return p.First <= at.Port() && at.Port() <= p.Last && p.Network.Contains(at.Addr())
}

// Of returns the IP address in "host:port", without its zone, and as IPv4 if it is an IPv4-mapped
// one. It is the zero Addr if there is none, as with a Unix socket.
func Of(hostPort string) netip.Addr {
	at, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// ValidHost reports whether s is a host name or an address that can stand in a URI.
func ValidHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return !strings.Contains(s, "%")
	}
	if s == "" || len(s) > 253 {
		return false
	}
	// A name that ends in a number is a mistyped address, and browsers take it for one (URL
	// standard, "ends in a number").
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	if _, err := strconv.ParseUint(labels[len(labels)-1], 10, 64); err == nil {
		return false
	}
	if slices.ContainsFunc(labels, func(label string) bool { return strings.Trim(label, "-_") == "" }) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
}

// LocalDomains are what names in local networks end with: loopback, multicast DNS (RFC 6762),
// routers, RFC 8375, and what ICANN has set aside. Nobody can have such a name on the internet.
func LocalDomains() []string { return []string{"localhost", "local", "lan", "home.arpa", "internal"} }

// IsLocalName reports whether a host name can't be one of the internet: it has one label, or ends
// in one of LocalDomains.
func IsLocalName(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if _, err := netip.ParseAddr(name); err == nil || !ValidHost(name) {
		return false
	}
	return !strings.Contains(name, ".") || slices.ContainsFunc(LocalDomains(), func(domain string) bool {
		return strings.HasSuffix(name, "."+domain)
	})
}

// IsLoopback reports whether host is a loopback address. Names are not looked up.
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// HTTPSOrigin returns the start of a host's https URLs: an IPv6 address in brackets, and without
// the default port.
func HTTPSOrigin(host, port string) string { return Origin("https", host, port) }

// Origin is HTTPSOrigin for either scheme.
func Origin(scheme, host, port string) string {
	standard := ":80"
	if scheme == "https" {
		standard = ":443"
	}
	return scheme + "://" + strings.TrimSuffix(net.JoinHostPort(host, port), standard)
}

// Port is the port of a TCP address, in digits.
func Port(addr net.Addr) string { return strconv.Itoa(addr.(*net.TCPAddr).Port) }

// Reaches reports whether a listener is bound to ip, or to every address of this machine.
func Reaches(l net.Listener, ip netip.Addr) bool {
	return Covers(l.Addr().(*net.TCPAddr).AddrPort(), ip)
}

// Covers reports whether what is bound to an address is at ip, or at every address of this machine.
func Covers(bound netip.AddrPort, ip netip.Addr) bool {
	at := bound.Addr().Unmap()
	return at.IsUnspecified() || at == ip
}

// Contains reports whether one of the networks contains ip.
func Contains(networks []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(ip) })
}
