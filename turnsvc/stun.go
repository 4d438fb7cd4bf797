package turnsvc

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// The STUN responder keeps no state and makes no heap allocations. What a stranger can make it send
// is small: 20 bytes in, 32 out, and more only where the operator has asked for NAT behavior
// discovery.

// Attributes of Binding requests and their answers, besides those that TURN uses.
const (
	attrChangeRequest  = 0x0003 // RFC 5780 §7.2
	attrResponsePort   = 0x0027 // RFC 5780 §7.5
	attrResponseOrigin = 0x802B // RFC 5780 §7.3
	attrOtherAddress   = 0x802C // RFC 5780 §7.4
)

// binding answers a STUN Binding request (RFC 8489 §12). It has been decoded, so it is well-formed.
func (s *Server) binding(in *inlet, src netip.AddrPort) {
	m := &in.msg
	if s.unknownInBinding(in, src) {
		return
	}
	from, to, ok := in.corner.route(m, src)
	if !ok {
		s.refuse(in, src, nil, 400)
		return
	}
	out := appendBindingHeader(in.scratch[:0], classSuccess, m.raw)
	out = appendXORMappedAddress(out, src, m.transactionID())
	if in.corner != nil {
		// RFC 5780 §6.1 wants both, and tells the client where else it may ask.
		out = appendAddress(out, attrMappedAddress, src)
		out = appendAddress(out, attrResponseOrigin, from.addr())
		out = appendAddress(out, attrOtherAddress, in.corner.other().addr())
	}
	s.counters.bindings.Add(1)
	in.corner.send(in.link, finish(out, m.fingerprint), from, to)
}

// unknownInBinding answers 420 where a comprehension-required attribute is not understood (RFC 8489
// §6.3.1). PADDING is never: it would have us answer with an MTU's worth of bytes (RFC 5780 §7.6).
func (s *Server) unknownInBinding(in *inlet, src netip.AddrPort) bool {
	m := &in.msg
	var unknown [8]byte
	list := unknown[:0]
	for i := range m.attrs[:m.n] {
		if t := m.attrs[i].typ; t < 0x8000 && !bindingKnows(t, in.corner != nil) && len(list) < cap(list) {
			list = binary.BigEndian.AppendUint16(list, t)
		}
	}
	if len(list) == 0 {
		return false
	}
	if !s.strangers.allow(src.Addr(), s.clock.wall()) {
		s.counters.drop(dropRateLimited)
		return true
	}
	s.counters.refused(420)
	out := appendBindingHeader(in.scratch[:0], classError, m.raw)
	out = append(out, 0, attrErrorCode, 0, 4, 0, 0, 4, 20)
	out = append(out, 0, attrUnknownAttributes, 0, byte(len(list)))
	out = append(out, list...)
	for len(out)%4 != 0 {
		out = append(out, 0)
	}
	in.link.send(finish(out, m.fingerprint), src)
	return true
}

// bindingKnows reports whether a comprehension-required attribute may stand in a Binding request.
// Credentials may: STUN itself needs none here, so they are not looked at.
func bindingKnows(typ uint16, discovery bool) bool {
	switch typ {
	case attrUsername, attrRealm, attrNonce, attrIntegritySHA256:
		return true
	case attrChangeRequest, attrResponsePort:
		return discovery
	}
	return false
}

// appendBindingHeader appends the header of the answer to request. The length is set by finish.
func appendBindingHeader(out []byte, class uint16, request []byte) []byte {
	out = binary.BigEndian.AppendUint16(out, methodBinding|class)
	out = append(out, 0, 0)
	return append(out, request[4:headerSize]...)
}

// finish sets the length, after adding FINGERPRINT if asked to.
func finish(out []byte, fingerprint bool) []byte {
	if fingerprint {
		binary.BigEndian.PutUint16(out[2:], uint16(len(out)+8-headerSize))
		sum := crc32.ChecksumIEEE(out) ^ fingerprintXOR
		out = append(out, attrFingerprint>>8, attrFingerprint&0xFF, 0, 4)
		out = binary.BigEndian.AppendUint32(out, sum)
	}
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)-headerSize))
	return out
}

func appendXORMappedAddress(out []byte, addr netip.AddrPort, transactionID []byte) []byte {
	var value [20]byte
	v := putXORAddress(value[:], addr, transactionID)
	out = append(out, 0, attrXORMappedAddress, 0, byte(len(v)))
	return append(out, v...)
}

// appendAddress appends an attribute in the format of MAPPED-ADDRESS (RFC 8489 §14.1).
func appendAddress(out []byte, typ uint16, addr netip.AddrPort) []byte {
	out = binary.BigEndian.AppendUint16(out, typ)
	if ip := addr.Addr(); ip.Is4() {
		a := ip.As4()
		out = append(out, 0, 8, 0, familyIPv4, byte(addr.Port()>>8), byte(addr.Port()))
		return append(out, a[:]...)
	}
	a := addr.Addr().As16()
	out = append(out, 0, 20, 0, familyIPv6, byte(addr.Port()>>8), byte(addr.Port()))
	return append(out, a[:]...)
}
