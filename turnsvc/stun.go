package turnsvc

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// binding answers a STUN Binding request (RFC 8489 §12): stateless, without heap allocations, 20 bytes in, at most 52
// out, so that it is of no use for reflection. The request has been decoded, so it is well-formed.
func (s *Server) binding(in *inlet, src netip.AddrPort) {
	m := &in.msg
	for i := range m.attrs[:m.n] {
		if t := m.attrs[i].typ; t < 0x8000 && !bindingKnows(t) {
			s.refuse(in, src, nil, 420)
			return
		}
	}
	out := in.scratch[:headerSize+24+8]
	binary.BigEndian.PutUint16(out[:], methodBinding|classSuccess)
	binary.BigEndian.PutUint32(out[4:], magicCookie)
	copy(out[8:], m.transactionID())
	value := putXORAddress(out[headerSize+4:], src, m.transactionID())
	binary.BigEndian.PutUint16(out[headerSize:], attrXORMappedAddress)
	binary.BigEndian.PutUint16(out[headerSize+2:], uint16(len(value)))
	end := headerSize + 4 + len(value)
	if m.fingerprint {
		binary.BigEndian.PutUint16(out[2:], uint16(end+8-headerSize))
		binary.BigEndian.PutUint16(out[end:], attrFingerprint)
		binary.BigEndian.PutUint16(out[end+2:], 4)
		binary.BigEndian.PutUint32(out[end+4:], crc32.ChecksumIEEE(out[:end])^fingerprintXOR)
		end += 8
	}
	binary.BigEndian.PutUint16(out[2:], uint16(end-headerSize))
	s.counters.bindings.Add(1)
	in.link.send(out[:end], src)
}

// bindingKnows reports whether a comprehension-required attribute may stand in a Binding request. Credentials may: STUN
// itself needs none here, so they are not looked at.
func bindingKnows(typ uint16) bool {
	switch typ {
	case attrUsername, attrRealm, attrNonce, attrIntegritySHA256:
		return true
	}
	return false
}
