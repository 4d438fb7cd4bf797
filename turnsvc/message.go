package turnsvc

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // MESSAGE-INTEGRITY is HMAC-SHA1, RFC 8489 §14.5
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// STUN and TURN numbers: RFC 8489 §18, RFC 8656 §18.
const (
	headerSize  = 20
	magicCookie = 0x2112A442

	methodBinding          = 0x001
	methodAllocate         = 0x003
	methodRefresh          = 0x004
	methodSend             = 0x006
	methodData             = 0x007
	methodCreatePermission = 0x008
	methodChannelBind      = 0x009

	classRequest    = 0x000
	classIndication = 0x010
	classSuccess    = 0x100
	classError      = 0x110

	attrMappedAddress      = 0x0001
	attrUsername           = 0x0006
	attrMessageIntegrity   = 0x0008
	attrErrorCode          = 0x0009
	attrUnknownAttributes  = 0x000A
	attrChannelNumber      = 0x000C
	attrLifetime           = 0x000D
	attrXORPeerAddress     = 0x0012
	attrData               = 0x0013
	attrRealm              = 0x0014
	attrNonce              = 0x0015
	attrXORRelayedAddress  = 0x0016
	attrRequestedFamily    = 0x0017
	attrEvenPort           = 0x0018
	attrRequestedTransport = 0x0019
	attrDontFragment       = 0x001A
	attrXORMappedAddress   = 0x0020
	attrReservationToken   = 0x0022
	attrIntegritySHA256    = 0x001C
	attrFingerprint        = 0x8028

	fingerprintXOR = 0x5354554E // RFC 8489 §14.7

	integritySize = 4 + sha1.Size

	familyIPv4 = 0x01
	familyIPv6 = 0x02

	protocolUDP = 17
)

// maxAttributes bounds the work for one request. The longest honest one is a CreatePermission for
// many peers.
const maxAttributes = 64

type attribute struct {
	typ   uint16
	value []byte // in the frame; valid as long as that is
}

// message is one decoded STUN message. It refers to the frame it was decoded from and copies
// nothing.
type message struct {
	raw    []byte
	method uint16
	class  uint16
	// attrs are those that count: all up to MESSAGE-INTEGRITY, none after it (RFC 8489 §14.5).
	attrs [maxAttributes]attribute
	n     int
	// integrity is the offset of the MESSAGE-INTEGRITY attribute's header in raw, 0 if there is
	// none.
	integrity int
	// badIntegrity: the attribute is there, but its length is not that of an HMAC-SHA1.
	badIntegrity bool
	// fingerprint: the message ended in a FINGERPRINT, so its answer does, too.
	fingerprint bool
}

func (m *message) transactionID() []byte { return m.raw[8:headerSize] }

// decode reads frame, which must be one whole message. It returns false for whatever is not
// well-formed STUN with a right FINGERPRINT (if there is one): such a frame gets no answer.
func (m *message) decode(frame []byte) bool {
	if len(frame) < headerSize || frame[0]&0xC0 != 0 ||
		binary.BigEndian.Uint32(frame[4:]) != magicCookie {
		return false
	}
	length := int(binary.BigEndian.Uint16(frame[2:]))
	if length%4 != 0 || headerSize+length != len(frame) {
		return false
	}
	typ := binary.BigEndian.Uint16(frame)
	m.raw = frame
	m.class = typ & 0x110
	m.method = typ&0x000F | typ&0x00E0>>1 | typ&0x3E00>>2
	m.n, m.integrity, m.badIntegrity, m.fingerprint = 0, 0, false, false

	for off := headerSize; off < len(frame); {
		if len(frame)-off < 4 {
			return false
		}
		typ := binary.BigEndian.Uint16(frame[off:])
		size := int(binary.BigEndian.Uint16(frame[off+2:]))
		end := off + 4 + size
		if end > len(frame) {
			return false
		}
		value := frame[off+4 : end : end]
		next := off + 4 + (size+3)&^3 // the length is a multiple of 4 in all, so padding never passes the end
		switch {
		case typ == attrFingerprint:
			// It must be the last attribute, and cover all before it.
			if size != 4 || next != len(frame) {
				return false
			}
			if binary.BigEndian.Uint32(value) != crc32.ChecksumIEEE(frame[:off])^fingerprintXOR {
				return false
			}
			m.fingerprint = true
		case m.integrity != 0 || m.badIntegrity:
			// Nobody vouches for what follows MESSAGE-INTEGRITY.
		case typ == attrMessageIntegrity:
			if size == sha1.Size {
				m.integrity = off
			} else {
				m.badIntegrity = true
			}
		default:
			if m.n == maxAttributes {
				return false
			}
			m.attrs[m.n] = attribute{typ, value}
			m.n++
		}
		off = next
	}
	return true
}

// get returns the value of the first attribute of that type: later ones don't count (RFC 8489 §14).
func (m *message) get(typ uint16) ([]byte, bool) {
	for i := range m.attrs[:m.n] {
		if m.attrs[i].typ == typ {
			return m.attrs[i].value, true
		}
	}
	return nil, false
}

// signedBy reports whether MESSAGE-INTEGRITY is there and right for key, in constant time.
func (m *message) signedBy(key []byte) bool {
	if m.integrity == 0 {
		return false
	}
	var sum [sha1.Size]byte
	messageIntegrity(sum[:0], m.raw[:m.integrity], key)
	return hmac.Equal(sum[:], m.raw[m.integrity+4:m.integrity+integritySize])
}

// messageIntegrity appends to dst the HMAC-SHA1 of msg with its length field set as if
// MESSAGE-INTEGRITY were its last attribute (RFC 8489 §14.5).
func messageIntegrity(dst, msg, key []byte) []byte {
	mac := hmac.New(sha1.New, key)
	var length [2]byte
	binary.BigEndian.PutUint16(length[:], uint16(len(msg)-headerSize+integritySize))
	mac.Write(msg[:2])
	mac.Write(length[:])
	mac.Write(msg[4:])
	return mac.Sum(dst)
}

// familyOf is the address family code of RFC 8489 §14.1.
func familyOf(ip netip.Addr) byte {
	if ip.Is4() {
		return familyIPv4
	}
	return familyIPv6
}

// xorAddress decodes an XOR-...-ADDRESS value (RFC 8489 §14.2). ok is false for a wrong family or
// size.
func xorAddress(value, transactionID []byte) (addr netip.AddrPort, ok bool) {
	var size int
	switch {
	case len(value) == 8 && value[1] == familyIPv4:
		size = 4
	case len(value) == 20 && value[1] == familyIPv6:
		size = 16
	default:
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(value[2:]) ^ magicCookie>>16
	var ip [16]byte
	copy(ip[:], value[4:4+size])
	xorWithCookie(ip[:size], transactionID)
	a, _ := netip.AddrFromSlice(ip[:size])
	return netip.AddrPortFrom(a, port), true
}

func xorWithCookie(ip, transactionID []byte) {
	var mask [16]byte
	binary.BigEndian.PutUint32(mask[:], magicCookie)
	copy(mask[4:], transactionID)
	for i := range ip {
		ip[i] ^= mask[i]
	}
}

// builder appends a STUN message to a buffer.
type builder struct{ b []byte }

func begin(dst []byte, method, class uint16, transactionID []byte) builder {
	typ := method&0x000F | method<<1&0x00E0 | method<<2&0x3E00 | class
	dst = binary.BigEndian.AppendUint16(dst[:0], typ)
	dst = append(dst, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, magicCookie)
	return builder{append(dst, transactionID...)}
}

// attr appends an attribute, padded with zeros (coturn's CVE-2020-4067 leaked memory there).
func (m *builder) attr(typ uint16, value []byte) {
	m.b = binary.BigEndian.AppendUint16(m.b, typ)
	m.b = binary.BigEndian.AppendUint16(m.b, uint16(len(value)))
	m.b = append(m.b, value...)
	for len(m.b)%4 != 0 {
		m.b = append(m.b, 0)
	}
}

func (m *builder) uint32(typ uint16, v uint32) {
	m.attr(typ, binary.BigEndian.AppendUint32(nil, v))
}

func (m *builder) xorAddr(typ uint16, addr netip.AddrPort) {
	var value [20]byte
	m.attr(typ, putXORAddress(value[:], addr, m.b[8:headerSize]))
}

// putXORAddress writes the value of an XOR-...-ADDRESS attribute to dst and returns it: 8 or 20
// bytes.
func putXORAddress(dst []byte, addr netip.AddrPort, transactionID []byte) []byte {
	binary.BigEndian.PutUint16(dst[2:], addr.Port()^magicCookie>>16)
	dst[0] = 0
	if ip := addr.Addr(); ip.Is4() {
		dst[1] = familyIPv4
		a := ip.As4()
		copy(dst[4:], a[:])
		dst = dst[:8]
	} else {
		dst[1] = familyIPv6
		a := ip.As16()
		copy(dst[4:], a[:])
		dst = dst[:20]
	}
	xorWithCookie(dst[4:], transactionID)
	return dst
}

func (m *builder) errorCode(code int, reason string) {
	m.attr(attrErrorCode, append([]byte{0, 0, byte(code / 100), byte(code % 100)}, reason...))
}

func (m *builder) setLength(n int) {
	binary.BigEndian.PutUint16(m.b[2:], uint16(n-headerSize))
}

func (m *builder) sign(key []byte) {
	var sum [sha1.Size]byte
	m.attr(attrMessageIntegrity, messageIntegrity(sum[:0], m.b, key))
}

// end sets the length, after adding FINGERPRINT if asked to, and returns the message.
func (m *builder) end(fingerprint bool) []byte {
	if fingerprint {
		m.setLength(len(m.b) + 8)
		m.uint32(attrFingerprint, crc32.ChecksumIEEE(m.b)^fingerprintXOR)
	}
	m.setLength(len(m.b))
	return m.b
}
