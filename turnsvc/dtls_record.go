package turnsvc

import "encoding/binary"

// RFC 7983 §7: the range of the first byte of a DTLS record.
const firstDTLS, lastDTLS = 20, 63

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

// dtlsKind is what a datagram is, as far as one can see from outside.
type dtlsKind uint8

const (
	dtlsOther     dtlsKind = iota // not DTLS, or broken
	dtlsHello                     // a first ClientHello
	dtlsHandshake                 // a handshake goes on
	dtlsPlain                     // alerts or data before encryption
	dtlsData                      // encrypted application data or alerts
)

// classifyDTLS looks at every record of a datagram: the worst one decides.
func classifyDTLS(datagram []byte) dtlsKind {
	if isClientHello(datagram) {
		return dtlsHello
	}
	kind := dtlsOther
	for rest := datagram; len(rest) > 0; {
		if len(rest) < recordHeader || rest[1] != 0xFE {
			return dtlsOther
		}
		size := int(binary.BigEndian.Uint16(rest[11:]))
		if size == 0 || recordHeader+size > len(rest) {
			return dtlsOther
		}
		switch epoch := binary.BigEndian.Uint16(rest[3:]); rest[0] {
		case contentHandshake, contentCipherSpec:
			if epoch > 1 {
				return dtlsOther
			}
			if kind != dtlsPlain {
				kind = dtlsHandshake
			}
		case contentAlert, contentApplication:
			switch {
			case epoch == 0:
				kind = dtlsPlain
			case epoch > 1:
				return dtlsOther
			case kind == dtlsOther:
				kind = dtlsData
			}
		default:
			return dtlsOther
		}
		rest = rest[recordHeader+size:]
	}
	return kind
}

// isClientHello reports whether a datagram is one whole ClientHello that begins a handshake. One in
// fragments would have to be kept, and none needs any.
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
