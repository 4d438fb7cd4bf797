package netaddr

import (
	"encoding/binary"
	"net/netip"
)

// The tables. IANA's registries of special-purpose addresses (RFC 6890) are in them whole, as of
// 2026; a test has their rows.

// never are addresses that lead to the host itself, to its link, or to a cloud's metadata service.
var never = prefixes(
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32",   // Azure
	"100.100.100.200/32", // Alibaba
	"192.0.0.192/32",     // Oracle
	"::/128", "::1/128", "fe80::/10", "fec0::/10", "ff00::/8",
	"fd00:ec2::/32",          // Amazon: metadata, DNS, time, credentials of pods
	"fd20:ce::254/128",       // Google
	"fd00:c1::a9fe:a9fe/128", // Oracle
	"fd00:a9fe:a9fe::/48",    // Linode
	"fd00:42::42/128",        // Scaleway
)

// private are networks that are their owner's: the internet does not route them, but hosts have
// such addresses. Those of NAT64 (RFC 6052, RFC 8215) stand for IPv4 ones, which count for
// themselves.
var private = prefixes(
	"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16",
	"fc00::/7", "64:ff9b::/96", "64:ff9b:1::/48",
)

// special are the other addresses that are no host's on the internet: documentation, benchmarks,
// discard, protocols and tunnels, such as 6to4 and Teredo, whose far end would be anybody. Of IPv6
// that is all but 2000::/3, and what is special in that.
var special = prefixes(
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"::/3", "4000::/2", "8000::/1", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// Never reports whether ip leads to the host itself (loopback, unspecified), to its link
// (link-local, multicast), or to a cloud's metadata service: addresses that no configuration opens
// to the peers of a relay.
func Never(ip netip.Addr) bool { return contains(never, ip) }

// Global reports whether the internet routes ip, as far as its registries say.
func Global(ip netip.Addr) bool {
	return ip.IsValid() && !contains(never, ip) && !contains(special, ip) && !contains(private, ip)
}

// Usable reports whether a host may have ip, on the internet or in a private network.
func Usable(ip netip.Addr) bool {
	return Global(ip) || contains(private, ip) && !contains(never, ip)
}

// contains is Contains without a closure: the way of a packet asks it.
func contains(list []netip.Prefix, ip netip.Addr) bool {
	for _, p := range list {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// Embedded returns the IPv4 addresses that a gateway in the network may translate an IPv6 address
// to. Only the gateway knows which one.
func Embedded(ip netip.Addr) []netip.Addr {
	if !ip.Is6() {
		return nil
	}
	b := ip.As16()
	at := func(b0, b1, b2, b3 byte) netip.Addr { return netip.AddrFrom4([4]byte{b0, b1, b2, b3}) }
	last := at(b[12], b[13], b[14], b[15])
	prefix := binary.BigEndian.Uint32(b[:])
	switch {
	case ip.Is4In6(), prefix == 0 && [12]byte(b[:12]) == [12]byte{}:
		return []netip.Addr{last} // mapped, compatible
	case prefix == 0 && [8]byte(b[4:12]) == [8]byte{4: 0xFF, 5: 0xFF}:
		return []netip.Addr{last} // translated (RFC 2765)
	case prefix == 0x0064FF9B:
		// NAT64. In the local-use prefix the address may be where RFC 6052 §2.2 puts it, after 96,
		// 64, 56 or 48 bits; a zero is padding.
		out := []netip.Addr{last}
		for _, a := range [...]netip.Addr{
			at(b[9], b[10], b[11], b[12]), at(b[7], b[9], b[10], b[11]), at(b[6], b[7], b[9], b[10]),
		} {
			if a.As4()[0] != 0 {
				out = append(out, a)
			}
		}
		return out
	case prefix>>16 == 0x2002:
		return []netip.Addr{at(b[2], b[3], b[4], b[5])} // 6to4
	case prefix == 0x20010000:
		return []netip.Addr{at(b[4], b[5], b[6], b[7]), at(^b[12], ^b[13], ^b[14], ^b[15])} // Teredo: server, client
	case b[8]&^3 == 0 && b[9] == 0 && b[10] == 0x5E && b[11] == 0xFE:
		return []netip.Addr{last} // ISATAP
	}
	return nil
}
