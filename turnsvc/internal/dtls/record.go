package dtls

import "encoding/binary"

// Claims reports whether a datagram that begins with that byte is a DTLS record (RFC 7983 §7).
func Claims(first byte) bool { return first >= firstByte && first <= lastByte }

const firstByte, lastByte = 20, 63

// Records and handshake messages of DTLS 1.2: RFC 6347 §4.1, §4.2.2.
const (
	recordHeader    = 13
	handshakeHeader = 12

	contentAlert       = 21
	contentHandshake   = 22
	contentApplication = 23
	contentCipherSpec  = 20

	messageClientHello = 1
	messageServerHello = 2
)

// kind is the kind of a datagram, as far as one can see without decrypting it.
type kind uint8

const (
	other     kind = iota // not DTLS, or broken
	hello                 // a first ClientHello
	handshake             // a handshake goes on
	plain                 // alerts or data before encryption
	data                  // encrypted application data or alerts
)

// classify looks at every record of a datagram: the worst one decides.
func classify(datagram []byte) kind {
	if isClientHello(datagram) {
		return hello
	}
	of := other
	for rest := datagram; len(rest) > 0; {
		if len(rest) < recordHeader || rest[1] != 0xFE {
			return other
		}
		size := int(binary.BigEndian.Uint16(rest[11:]))
		if size == 0 || recordHeader+size > len(rest) {
			return other
		}
		switch epoch := binary.BigEndian.Uint16(rest[3:]); rest[0] {
		case contentHandshake, contentCipherSpec:
			if epoch > 1 {
				return other
			}
			if of != plain {
				of = handshake
			}
		case contentAlert, contentApplication:
			switch {
			case epoch == 0:
				of = plain
			case epoch > 1:
				return other
			case of == other:
				of = data
			}
		default:
			return other
		}
		rest = rest[recordHeader+size:]
	}
	return of
}

// isClientHello reports whether a datagram is one whole ClientHello that begins a handshake. A
// fragmented one would have to be kept, and no client needs fragments.
func isClientHello(b []byte) bool {
	const random, sessionID = 2 + 32, 1
	if len(b) < recordHeader+handshakeHeader+random+sessionID || len(b) > handshakeDatagram ||
		b[0] != contentHandshake || b[1] != 0xFE {
		return false
	}
	body := len(b) - recordHeader - handshakeHeader
	m := b[recordHeader:]
	return binary.BigEndian.Uint16(b[3:]) == 0 && int(binary.BigEndian.Uint16(b[11:])) == handshakeHeader+body &&
		m[0] == messageClientHello && uint24(m[1:]) == body && // its length
		binary.BigEndian.Uint16(m[4:]) == 0 && // the first message
		uint24(m[6:]) == 0 && uint24(m[9:]) == body // the only fragment
}

func isServerHello(b []byte) bool {
	return len(b) > recordHeader && b[0] == contentHandshake && b[recordHeader] == messageServerHello
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
