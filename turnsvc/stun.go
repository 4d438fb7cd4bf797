package turnsvc

import (
	"encoding/binary"
	"net/netip"

	"signalbox/turnsvc/internal/wire"
)

// responder answers STUN Binding requests. It keeps no state of clients and makes no heap
// allocations. Strangers can make it send little: 32 bytes for 20, and more only if the operator
// has turned on NAT behavior discovery.
type responder struct {
	*doorman
	corners  *corners   // set by EnableDiscovery, before anything is served
	bindings *allowance // requests in datagrams, whose source may be spoofed
}

// due counts a Binding request, and reports whether it is looked at. One on a stream always is:
// whoever reads no answers there can't go on to ask.
func (r *responder) due(in *inlet, src netip.AddrPort) bool {
	if handshaken(in.link) || r.bindings.allowLine(src, r.clock.wall()) {
		return true
	}
	r.counters.drop(dropBindings)
	return false
}

// binding answers a STUN Binding request (RFC 8489 §12). It has been decoded, so it is well-formed.
func (r *responder) binding(in *inlet, src netip.AddrPort) {
	m := &in.msg
	if r.unknownInBinding(in, src) {
		return
	}
	from, to, ok := in.corner.route(m, src)
	if !ok {
		r.refuse(in, src, 400)
		return
	}
	b := wire.Begin(in.scratch[:], wire.MethodBinding, wire.ClassSuccess, m.TransactionID())
	b.XORAddr(wire.AttrXORMappedAddress, src)
	if in.corner != nil {
		// RFC 5780 §6.1 wants both, and tells the client where else it may ask.
		b.Addr(wire.AttrMappedAddress, src)
		b.Addr(wire.AttrResponseOrigin, from.at)
		b.Addr(wire.AttrOtherAddress, in.corner.other().at)
	}
	r.counters.bindings.Add(1)
	in.corner.send(in.link, b.End(m.Fingerprint), from, to)
}

// unknownInBinding answers 420 if a comprehension-required attribute is not understood, and reports
// whether one is not (RFC 8489 §6.3.1). PADDING never is: it would have us answer with an MTU's
// worth of bytes (RFC 5780 §7.6).
func (r *responder) unknownInBinding(in *inlet, src netip.AddrPort) bool {
	m := &in.msg
	var unknown [8]byte
	list := unknown[:0]
	for at := range m.Attributes {
		if !wire.Optional(at.Type) && !bindingKnows(at, in.corner != nil) && len(list) < cap(list) {
			list = binary.BigEndian.AppendUint16(list, at.Type)
		}
	}
	if len(list) == 0 {
		return false
	}
	if !r.mayAnswer(in, src, stranger) {
		return true
	}
	r.counters.refused(420)
	b := wire.Begin(in.scratch[:], wire.MethodBinding, wire.ClassError, m.TransactionID())
	b.ErrorCode(420, "")
	b.Attr(wire.AttrUnknownAttributes, list)
	in.link.answer(b.End(m.Fingerprint), src)
	return true
}

// bindingKnows reports whether a Binding request may have a comprehension-required attribute. It
// may have credentials and what ICE adds to its checks: STUN itself needs none of them here, so the
// responder ignores them. Without discovery, what asks for the usual answer in so many words is
// known, and what asks for another is not.
func bindingKnows(at wire.Attribute, discovery bool) bool {
	switch at.Type {
	case wire.AttrUsername, wire.AttrRealm, wire.AttrNonce, wire.AttrIntegritySHA256, wire.AttrPriority,
		wire.AttrUseCandidate:
		return true
	case wire.AttrChangeRequest:
		return discovery || changesNothing(at.Value)
	case wire.AttrResponsePort:
		return discovery || samePort(at.Value)
	}
	return false
}

// changesNothing reports whether a CHANGE-REQUEST has no flag set.
func changesNothing(v []byte) bool { return len(v) == 4 && v[3]&(changeIP|changePort) == 0 }

// samePort reports whether a RESPONSE-PORT is 0, the port that the request came from. Many clients
// count its padding in.
func samePort(v []byte) bool { return (len(v) == 2 || len(v) == 4) && v[0] == 0 && v[1] == 0 }
