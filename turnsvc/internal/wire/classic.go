package wire

import "encoding/binary"

// Attributes of RFC 3489 §11.2 that later versions dropped.
const (
	AttrSourceAddress  = 0x0004
	AttrChangedAddress = 0x0005
)

// IsClassicBinding reports whether frame is a Binding request of RFC 3489, the first STUN: without
// a magic cookie, and of the right length. The frame has four bytes at least.
func IsClassicBinding(frame []byte) bool {
	return len(frame) >= HeaderSize && binary.BigEndian.Uint16(frame) == MethodBinding &&
		binary.BigEndian.Uint32(frame[4:]) != MagicCookie &&
		HeaderSize+int(binary.BigEndian.Uint16(frame[2:])) == len(frame)
}

// NextClassic reads one attribute of a request of RFC 3489 from rest, which is not empty. ok is
// false for a malformed one; RFC 3489 §11.2 knows no padding.
func NextClassic(rest []byte) (a Attribute, after []byte, ok bool) {
	if len(rest) < 4 {
		return Attribute{}, nil, false
	}
	size := int(binary.BigEndian.Uint16(rest[2:]))
	if size%4 != 0 || 4+size > len(rest) {
		return Attribute{}, nil, false
	}
	return Attribute{binary.BigEndian.Uint16(rest), rest[4 : 4+size]}, rest[4+size:], true
}
