package turnsvc

import (
	"crypto/hmac"
	"encoding/binary"
	"net/netip"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// request is an authenticated request. It holds copies: its frame is gone when the books handle it.
type request struct {
	link   link
	client netip.AddrPort
	raw    []byte
	msg    wire.Message // of raw
	user   string
	issued string // whom the credential was issued to; see identity
	// principal is the user that the credential was issued to; see keyring.principal.
	principal string
	key       []byte
	class     cred.Class
	under     *settings // that the key was found in; nil if vouched
	// vouched: its key is the key of the client's allocation. Such a request makes no new
	// allocation, since nobody has checked when its credential expires.
	vouched bool
	// For the log, if the books refuse it: why, if that is more than the code says, and whom it
	// asked for.
	why  string
	told string // what who watches is told instead; "": the same
	peer netip.AddrPort
}

// maxUsername is the limit of RFC 8489 §14.3, in bytes.
const maxUsername = 508

// requestKnows reports whether a TURN request may have the comprehension-required attribute.
func requestKnows(typ uint16) bool {
	switch typ {
	case wire.AttrUsername, wire.AttrRealm, wire.AttrNonce, wire.AttrIntegritySHA256, wire.AttrLifetime,
		wire.AttrRequestedTransport, wire.AttrRequestedFamily, wire.AttrEvenPort, wire.AttrReservationToken,
		wire.AttrXORPeerAddress, wire.AttrChannelNumber, wire.AttrData:
		return true
	case wire.AttrDontFragment:
		return socket.CanKeepWhole // RFC 8656 §7.2 step 4
	}
	return false
}

// unknownRequired reports whether m has a comprehension-required attribute that no TURN request of
// ours knows.
func unknownRequired(m *wire.Message) bool {
	for at := range m.Attributes {
		if !wire.Optional(at.Type) && !requestKnows(at.Type) {
			return true
		}
	}
	return false
}

// taken is the code for a request of another user on an allocation's 5-tuple.
func taken(method uint16) int {
	if method == wire.MethodAllocate {
		return 437 // RFC 8656 §7.2 step 2
	}
	return 441 // RFC 8656 §5
}

// sameKey compares keys in constant time.
func sameKey(a, b []byte) bool { return hmac.Equal(a, b) }

// reasons are the phrases of RFC 8489 §14.8 and RFC 8656 §19.
var reasons = map[int]string{
	400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 420: "Unknown Attribute", 437: "Allocation Mismatch",
	438: "Stale Nonce", 440: "Address Family not Supported", 441: "Wrong Credentials",
	442: "Unsupported Transport Protocol", 443: "Peer Address Family Mismatch", 486: "Allocation Quota Reached",
	508: "Insufficient Capacity",
}

// errorAnswer builds the error answer to m in dst. It signs the answer if there is a key. A
// stranger, who has none, gets no reason phrase either, so that the answer is not much longer than
// the request.
func errorAnswer(dst []byte, m *wire.Message, key []byte, code int) []byte {
	b := wire.Begin(dst, m.Method, wire.ClassError, m.TransactionID())
	reason := ""
	if key != nil {
		reason = reasons[code]
	}
	b.ErrorCode(code, reason)
	if code == 420 {
		var list []byte
		for at := range m.Attributes {
			if !wire.Optional(at.Type) && !requestKnows(at.Type) && len(list) < 2*8 {
				list = binary.BigEndian.AppendUint16(list, at.Type)
			}
		}
		b.Attr(wire.AttrUnknownAttributes, list)
	}
	if key != nil {
		b.Sign(key)
	}
	return b.End(m.Fingerprint)
}
