package turnsvc

import (
	"encoding/binary"
	"net/netip"

	"signalbox/turnsvc/internal/wire"
)

// Clients of RFC 3489, the first STUN, know no magic cookie: in its place they have part of a
// 16-byte transaction id, which the answer returns unchanged. They get an answer that they
// understand, as RFC 5389 §12.2 asks: MAPPED-ADDRESS, nothing XORed, no FINGERPRINT.

// classicBinding answers a Binding request of RFC 3489 (§8.1). It refuses RESPONSE-ADDRESS, which
// would have us answer to whomever the sender likes. Where there is but one address it refuses
// a CHANGE-REQUEST for another: without an answer the client would blame its NAT.
func (r *responder) classicBinding(in *inlet, src netip.AddrPort, frame []byte) {
	from := in.corner
	var unknown [8]byte
	list := unknown[:0]
	for rest := frame[wire.HeaderSize:]; len(rest) > 0; {
		var at wire.Attribute
		var ok bool
		if at, rest, ok = wire.NextClassic(rest); !ok {
			r.counters.drop(dropMalformed)
			return
		}
		switch {
		case at.Type == wire.AttrChangeRequest && in.corner != nil && len(at.Value) == 4:
			from = in.corner.change(at.Value[3])
		case at.Type == wire.AttrChangeRequest && changesNothing(at.Value):
		case at.Type == wire.AttrUsername, at.Type == wire.AttrMessageIntegrity, wire.Optional(at.Type):
		case len(list) < cap(list):
			list = binary.BigEndian.AppendUint16(list, at.Type)
		}
	}
	if len(list) > 0 {
		r.refuseClassic(in, src, frame, list)
		return
	}
	b := wire.BeginClassic(in.scratch[:], wire.ClassSuccess, frame)
	b.Addr(wire.AttrMappedAddress, src)
	if in.corner != nil {
		b.Addr(wire.AttrSourceAddress, from.at)
		b.Addr(wire.AttrChangedAddress, in.corner.other().at)
	}
	r.counters.bindings.Add(1)
	in.corner.send(in.link, b.End(false), from, src)
}

// refuseClassic answers 420 with the attributes that are not understood.
func (r *responder) refuseClassic(in *inlet, src netip.AddrPort, frame, list []byte) {
	if !r.mayAnswer(in, src, stranger) {
		return
	}
	r.counters.refused(420)
	if len(list)%4 != 0 {
		// RFC 3489 §11.2.10: one is repeated, to fill up four bytes.
		list = append(list, list[:2]...)
	}
	b := wire.BeginClassic(in.scratch[:], wire.ClassError, frame)
	b.ErrorCode(420, "")
	b.Attr(wire.AttrUnknownAttributes, list)
	in.link.answer(b.End(false), src)
}
