package wire

import (
	"crypto/sha1" //nolint:gosec // MESSAGE-INTEGRITY is HMAC-SHA1, RFC 8489 §14.5
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// Builder writes one STUN message. It makes no heap allocation as long as the message fits the
// buffer that it started with.
type Builder struct {
	Buf []byte // the message so far; its length field is set by End
}

// Begin begins a message in dst, whose content it overwrites. The transaction id has 12 bytes.
func Begin(dst []byte, method, class uint16, transactionID []byte) Builder {
	typ := method&0x000F | method<<1&0x00E0 | method<<2&0x3E00 | class
	dst = binary.BigEndian.AppendUint16(dst[:0], typ)
	dst = append(dst, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, MagicCookie)
	return Builder{append(dst, transactionID...)}
}

// BeginClassic begins the answer to a Binding request of RFC 3489. Its transaction id has 16 bytes
// and includes the place of the later magic cookie.
func BeginClassic(dst []byte, class uint16, request []byte) Builder {
	dst = binary.BigEndian.AppendUint16(dst[:0], MethodBinding|class)
	dst = append(dst, 0, 0)
	return Builder{append(dst, request[4:HeaderSize]...)}
}

// Attr adds an attribute, padded with zeros (coturn's CVE-2020-4067 leaked memory there).
func (m *Builder) Attr(typ uint16, value []byte) {
	m.header(typ, len(value))
	m.Buf = append(m.Buf, value...)
	m.pad()
}

func (m *Builder) header(typ uint16, size int) {
	m.Buf = binary.BigEndian.AppendUint16(m.Buf, typ)
	m.Buf = binary.BigEndian.AppendUint16(m.Buf, uint16(size))
}

func (m *Builder) pad() {
	for len(m.Buf)%4 != 0 {
		m.Buf = append(m.Buf, 0)
	}
}

// Uint32 adds an attribute of four bytes.
func (m *Builder) Uint32(typ uint16, v uint32) {
	m.header(typ, 4)
	m.Buf = binary.BigEndian.AppendUint32(m.Buf, v)
}

// XORAddr adds an attribute in the format of XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
func (m *Builder) XORAddr(typ uint16, addr netip.AddrPort) {
	var value [20]byte
	m.Attr(typ, putXORAddress(value[:], addr, m.Buf[8:HeaderSize]))
}

// Addr adds an attribute in the format of MAPPED-ADDRESS (RFC 8489 §14.1).
func (m *Builder) Addr(typ uint16, addr netip.AddrPort) {
	var value [20]byte
	m.Attr(typ, putAddress(value[:], addr))
}

// ErrorCode adds ERROR-CODE. The reason may be empty.
func (m *Builder) ErrorCode(code int, reason string) {
	m.header(AttrErrorCode, 4+len(reason))
	m.Buf = append(m.Buf, 0, 0, byte(code/100), byte(code%100))
	m.Buf = append(m.Buf, reason...)
	m.pad()
}

// Sign adds MESSAGE-INTEGRITY.
func (m *Builder) Sign(key []byte) {
	var sum [sha1.Size]byte
	m.Attr(AttrMessageIntegrity, messageIntegrity(sum[:0], m.Buf, key))
}

// End sets the length, after adding FINGERPRINT if asked to, and returns the message.
func (m *Builder) End(fingerprint bool) []byte {
	if fingerprint {
		m.setLength(len(m.Buf) + 8)
		m.Uint32(AttrFingerprint, crc32.ChecksumIEEE(m.Buf)^fingerprintXOR)
	}
	m.setLength(len(m.Buf))
	return m.Buf
}

func (m *Builder) setLength(n int) {
	binary.BigEndian.PutUint16(m.Buf[2:], uint16(n-HeaderSize))
}
