package turnsvc

import (
	"encoding/binary"
	"net/netip"
)

// Clients of RFC 3489, the first STUN, know no magic cookie: where it stands they have part of a
// 16-byte transaction id, which the answer returns as it is. Such requests get the answer that they
// understand, as RFC 5389 §12.2 asks: MAPPED-ADDRESS, nothing XORed, no FINGERPRINT.

// Attributes of RFC 3489 §11.2 that later versions dropped.
const (
	attrSourceAddress  = 0x0004
	attrChangedAddress = 0x0005
)

// isClassicBinding reports whether frame is a Binding request without a magic cookie, of the right
// length.
func isClassicBinding(frame []byte) bool {
	return len(frame) >= headerSize && binary.BigEndian.Uint16(frame) == methodBinding &&
		binary.BigEndian.Uint32(frame[4:]) != magicCookie &&
		headerSize+int(binary.BigEndian.Uint16(frame[2:])) == len(frame)
}

// classicBinding answers a Binding request of RFC 3489 (§8.1). RESPONSE-ADDRESS is not served: it
// would have us answer to whom the sender likes. Nor is CHANGE-REQUEST where there is but one
// address: silence, instead of the error, would let the client blame its NAT.
func (s *Server) classicBinding(in *inlet, src netip.AddrPort, frame []byte) {
	from := in.corner
	var unknown [8]byte
	list := unknown[:0]
	for rest := frame[headerSize:]; len(rest) > 0; {
		if len(rest) < 4 {
			s.counters.drop(dropMalformed)
			return
		}
		typ, size := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		if size%4 != 0 || 4+size > len(rest) { // RFC 3489 §11.2 knows no padding
			s.counters.drop(dropMalformed)
			return
		}
		switch {
		case typ == attrChangeRequest && in.corner != nil && size == 4:
			from = in.corner.change(rest[7])
		case typ == attrUsername, typ == attrMessageIntegrity, typ > 0x7FFF:
		case len(list) < cap(list):
			list = binary.BigEndian.AppendUint16(list, typ)
		}
		rest = rest[4+size:]
	}
	if len(list) > 0 {
		s.refuseClassic(in, src, frame, list)
		return
	}
	out := appendBindingHeader(in.scratch[:0], classSuccess, frame)
	out = appendAddress(out, attrMappedAddress, src)
	if in.corner != nil {
		out = appendAddress(out, attrSourceAddress, from.addr())
		out = appendAddress(out, attrChangedAddress, in.corner.other().addr())
	}
	s.counters.bindings.Add(1)
	in.corner.send(in.link, finish(out, false), from, src)
}

// refuseClassic answers 420 with the attributes that are not understood.
func (s *Server) refuseClassic(in *inlet, src netip.AddrPort, frame, list []byte) {
	if !s.strangers.allow(src.Addr(), s.clock.wall()) {
		s.counters.drop(dropRateLimited)
		return
	}
	s.counters.refused(420)
	if len(list)%4 != 0 {
		list = append(list, list[:2]...) // RFC 3489 §11.2.10: one is repeated, to fill up four bytes
	}
	out := appendBindingHeader(in.scratch[:0], classError, frame)
	out = append(out, 0, attrErrorCode, 0, 4, 0, 0, 4, 20)
	out = append(out, 0, attrUnknownAttributes, 0, byte(len(list)))
	out = append(out, list...)
	in.link.send(finish(out, false), src)
}
