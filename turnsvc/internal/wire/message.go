// Package wire is the codec of STUN and TURN (RFC 8489, RFC 8656): it decodes and builds messages,
// and frames application data in place. It keeps no state, trusts no input, and allocates nothing
// on the way of a packet.
package wire

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // MESSAGE-INTEGRITY is HMAC-SHA1, RFC 8489 §14.5
	"encoding/binary"
	"hash/crc32"
)

// Sizes, methods, classes and address families of STUN and TURN: RFC 8489 §5 and §18, RFC 8656 §18.
// The type of a message is its method and its class, ORed.
const (
	HeaderSize  = 20
	MagicCookie = 0x2112A442

	MethodBinding          = 0x001
	MethodAllocate         = 0x003
	MethodRefresh          = 0x004
	MethodSend             = 0x006
	MethodData             = 0x007
	MethodCreatePermission = 0x008
	MethodChannelBind      = 0x009

	ClassRequest    = 0x000
	ClassIndication = 0x010
	ClassSuccess    = 0x100
	ClassError      = 0x110

	FamilyIPv4 = 0x01
	FamilyIPv6 = 0x02

	ProtocolUDP = 17 // of REQUESTED-TRANSPORT

	// Channel numbers. RFC 8656 §12 ends the range at 0x4FFF; RFC 5766 clients, coturn's among
	// them, still bind up to 0x7FFF.
	FirstChannel = 0x4000
	LastChannel  = 0x7FFF

	fingerprintXOR = 0x5354554E // RFC 8489 §14.7
	integritySize  = 4 + sha1.Size
)

// Attribute types.
const (
	AttrMappedAddress      = 0x0001
	AttrUsername           = 0x0006
	AttrMessageIntegrity   = 0x0008
	AttrErrorCode          = 0x0009
	AttrUnknownAttributes  = 0x000A
	AttrChannelNumber      = 0x000C
	AttrLifetime           = 0x000D
	AttrXORPeerAddress     = 0x0012
	AttrData               = 0x0013
	AttrRealm              = 0x0014
	AttrNonce              = 0x0015
	AttrXORRelayedAddress  = 0x0016
	AttrRequestedFamily    = 0x0017
	AttrEvenPort           = 0x0018
	AttrRequestedTransport = 0x0019
	AttrDontFragment       = 0x001A
	AttrIntegritySHA256    = 0x001C
	AttrXORMappedAddress   = 0x0020
	AttrReservationToken   = 0x0022
	AttrPriority           = 0x0024 // RFC 8445 §16.1, as the next one
	AttrUseCandidate       = 0x0025
	AttrFingerprint        = 0x8028

	// NAT behavior discovery: RFC 5780 §7.
	AttrChangeRequest  = 0x0003
	AttrResponsePort   = 0x0027
	AttrResponseOrigin = 0x802B
	AttrOtherAddress   = 0x802C
)

// Optional reports whether a receiver may ignore an attribute that it does not understand
// (comprehension-optional, RFC 8489 §14).
func Optional(typ uint16) bool { return typ >= 0x8000 }

// MaxAttributes bounds the work for one request. The longest honest one is a CreatePermission for
// many peers.
const MaxAttributes = 64

// Attribute is one attribute of a message.
type Attribute struct {
	Type  uint16
	Value []byte // in the frame; valid as long as that is
}

// place is where an attribute of a type is in the frame: its value, behind the header.
type place struct{ typ, at, size uint16 }

// Message is one decoded STUN message. It refers to its frame and copies nothing.
type Message struct {
	Raw    []byte
	Method uint16
	Class  uint16

	attrs [MaxAttributes]place
	n     int
	// Integrity is the offset in Raw of the MESSAGE-INTEGRITY attribute's header, 0 if there is
	// none.
	Integrity int
	// BadIntegrity: the attribute is there, but its length is not that of an HMAC-SHA1.
	BadIntegrity bool
	// Fingerprint: the message ended in a FINGERPRINT, so its answer does, too.
	Fingerprint bool
}

// TransactionID is the 12 bytes that tell a client which request an answer is for.
func (m *Message) TransactionID() []byte { return m.Raw[8:HeaderSize] }

// Decode reads frame, which must be one whole message. It returns false if the frame is not
// well-formed STUN or has a wrong FINGERPRINT: such a frame gets no answer.
func (m *Message) Decode(frame []byte) bool {
	if len(frame) < HeaderSize || frame[0]&0xC0 != 0 ||
		binary.BigEndian.Uint32(frame[4:]) != MagicCookie {
		return false
	}
	length := int(binary.BigEndian.Uint16(frame[2:]))
	if length%4 != 0 || HeaderSize+length != len(frame) {
		return false
	}
	typ := binary.BigEndian.Uint16(frame)
	m.Raw = frame
	m.Class = typ & 0x110
	m.Method = typ&0x000F | typ&0x00E0>>1 | typ&0x3E00>>2
	m.n, m.Integrity, m.BadIntegrity, m.Fingerprint = 0, 0, false, false

	for off := HeaderSize; off < len(frame); {
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
		// The length is a multiple of 4 in all, so padding never passes the end.
		next := off + 4 + (size+3)&^3
		switch {
		case typ == AttrFingerprint:
			// It must be the last attribute, and cover all before it.
			if size != 4 || next != len(frame) {
				return false
			}
			if binary.BigEndian.Uint32(value) != crc32.ChecksumIEEE(frame[:off])^fingerprintXOR {
				return false
			}
			m.Fingerprint = true
		case m.Integrity != 0 || m.BadIntegrity:
			// Nobody vouches for what follows MESSAGE-INTEGRITY.
		case typ == AttrMessageIntegrity:
			if size == sha1.Size {
				m.Integrity = off
			} else {
				m.BadIntegrity = true
			}
		default:
			if m.n == MaxAttributes {
				return false
			}
			m.attrs[m.n] = place{typ, uint16(off + 4 - HeaderSize), uint16(size)}
			m.n++
		}
		off = next
	}
	return true
}

// Attributes yields the attributes that count: all up to MESSAGE-INTEGRITY, none after it (RFC 8489
// §14.5).
func (m *Message) Attributes(yield func(Attribute) bool) {
	for _, p := range m.attrs[:m.n] {
		if !yield(Attribute{p.typ, m.value(p)}) {
			return
		}
	}
}

func (m *Message) value(p place) []byte {
	at := HeaderSize + int(p.at)
	end := at + int(p.size)
	return m.Raw[at:end:end]
}

// Get returns the value of the first attribute of that type: later ones don't count (RFC 8489 §14).
func (m *Message) Get(typ uint16) ([]byte, bool) {
	for _, p := range m.attrs[:m.n] {
		if p.typ == typ {
			return m.value(p), true
		}
	}
	return nil, false
}

// SignedBy reports whether MESSAGE-INTEGRITY is there and right for key, in constant time.
func (m *Message) SignedBy(key []byte) bool {
	if m.Integrity == 0 {
		return false
	}
	var sum [sha1.Size]byte
	messageIntegrity(sum[:0], m.Raw[:m.Integrity], key)
	return hmac.Equal(sum[:], m.Raw[m.Integrity+4:m.Integrity+integritySize])
}

// messageIntegrity appends to dst the HMAC-SHA1 of msg with its length field set as if
// MESSAGE-INTEGRITY were its last attribute (RFC 8489 §14.5).
func messageIntegrity(dst, msg, key []byte) []byte {
	mac := macs.Get().(*mac)
	defer macs.Put(mac)
	binary.BigEndian.PutUint16(mac.length[:], uint16(len(msg)-HeaderSize+integritySize))
	mac.begin(key)
	mac.inner.Write(msg[:2])
	mac.inner.Write(mac.length[:])
	mac.inner.Write(msg[4:])
	return mac.end(dst)
}
