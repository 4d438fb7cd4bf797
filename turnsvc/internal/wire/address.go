package wire

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// FamilyOf is the address family code of RFC 8489 §14.1.
func FamilyOf(ip netip.Addr) byte {
	if ip.Is4() {
		return FamilyIPv4
	}
	return FamilyIPv6
}

// XORAddress decodes the value of an XOR-...-ADDRESS attribute (RFC 8489 §14.2). ok is false for a
// wrong family or size.
func XORAddress(value, transactionID []byte) (addr netip.AddrPort, ok bool) {
	var size int
	switch {
	case len(value) == 8 && value[1] == FamilyIPv4:
		size = 4
	case len(value) == 20 && value[1] == FamilyIPv6:
		size = 16
	default:
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(value[2:]) ^ MagicCookie>>16
	var ip [16]byte
	copy(ip[:], value[4:4+size])
	xorWithCookie(ip[:size], transactionID)
	a, _ := netip.AddrFromSlice(ip[:size])
	return netip.AddrPortFrom(a, port), true
}

// putXORAddress writes the value of an XOR-...-ADDRESS attribute to dst and returns it: 8 or 20
// bytes.
func putXORAddress(dst []byte, addr netip.AddrPort, transactionID []byte) []byte {
	dst = putAddress(dst, addr)
	binary.BigEndian.PutUint16(dst[2:], addr.Port()^MagicCookie>>16)
	xorWithCookie(dst[4:], transactionID)
	return dst
}

// putAddress writes the value of a MAPPED-ADDRESS attribute (RFC 8489 §14.1) to dst and returns it:
// 8 or 20 bytes.
func putAddress(dst []byte, addr netip.AddrPort) []byte {
	dst[0] = 0
	binary.BigEndian.PutUint16(dst[2:], addr.Port())
	if ip := addr.Addr(); ip.Is4() {
		dst[1] = FamilyIPv4
		a := ip.As4()
		copy(dst[4:], a[:])
		return dst[:8]
	}
	dst[1] = FamilyIPv6
	a := addr.Addr().As16()
	copy(dst[4:], a[:])
	return dst[:20]
}

func xorWithCookie(ip, transactionID []byte) {
	var mask [16]byte
	binary.BigEndian.PutUint32(mask[:], MagicCookie)
	copy(mask[4:], transactionID)
	for i := range ip {
		ip[i] ^= mask[i]
	}
}

// Unmap returns a with an IPv4 address as one, also if it was written as IPv6.
func Unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// AddrPort returns a in the form in which this server knows addresses: unmapped. For a connection
// without an IP address it is the zero AddrPort, which belongs to nobody.
func AddrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.TCPAddr:
		return Unmap(a.AddrPort())
	case *net.UDPAddr:
		return Unmap(a.AddrPort())
	}
	at, _ := netip.ParseAddrPort(a.String())
	return Unmap(at)
}
