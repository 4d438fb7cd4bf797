package bench

import (
	"encoding/binary"
	"net/netip"

	"github.com/pion/stun/v3"
)

// stamp is what a payload begins with: the run that it belongs to, which way it goes, and when it
// was sent, in nanoseconds of the run's clock.
type stamp struct {
	run  uint32
	way  uint32 // index of the direction
	sent int64
}

const stampSize = 16

func (s stamp) put(payload []byte) {
	binary.BigEndian.PutUint32(payload, s.run)
	binary.BigEndian.PutUint32(payload[4:], s.way)
	binary.BigEndian.PutUint64(payload[8:], uint64(s.sent))
}

// stampOf reads the stamp of a payload that has at least its size.
func stampOf(payload []byte) stamp {
	return stamp{binary.BigEndian.Uint32(payload), binary.BigEndian.Uint32(payload[4:]),
		int64(binary.BigEndian.Uint64(payload[8:]))}
}

// framing is what is around a payload. All frames of a flow have the same.
type framing struct {
	head    []byte // before the payload
	padding int    // after it
}

func (t *framing) size(payload int) int { return len(t.head) + payload + t.padding }

// channelData is a ChannelData message (RFC 8656 §12.4). Streams want it padded.
func channelData(number uint16, size int, stream bool) framing {
	head := binary.BigEndian.AppendUint16(nil, number)
	t := framing{head: binary.BigEndian.AppendUint16(head, uint16(size))}
	if stream {
		t.padding = -size & 3
	}
	return t
}

// sendIndication is a Send indication (RFC 8656 §11). All of a flow have one transaction id, which
// nothing answers.
func sendIndication(peer netip.AddrPort, size int) framing {
	m := &stun.Message{Type: stun.NewType(stun.MethodSend, stun.ClassIndication),
		TransactionID: stun.NewTransactionID()}
	m.WriteHeader()
	a := stun.XORMappedAddress{IP: peer.Addr().AsSlice(), Port: int(peer.Port())}
	_ = a.AddToAs(m, stun.AttrXORPeerAddress) // only an address of a wrong length fails
	m.Add(stun.AttrData, make([]byte, size))
	padding := -size & 3
	return framing{m.Raw[:len(m.Raw)-size-padding], padding}
}

const (
	stunHeader     = 20
	channelHeader  = 4
	dataIndication = 0x0017
)

// payloadOf returns what a peer sent, of a frame that the server sent to a client; nil: the frame
// carries nothing.
func payloadOf(frame []byte) []byte {
	if len(frame) < channelHeader {
		return nil
	}
	size := int(binary.BigEndian.Uint16(frame[2:]))
	if frame[0]>>6 == 1 {
		if channelHeader+size > len(frame) {
			return nil
		}
		return frame[channelHeader : channelHeader+size]
	}
	if binary.BigEndian.Uint16(frame) != dataIndication || stunHeader+size > len(frame) {
		return nil
	}
	for rest := frame[stunHeader : stunHeader+size]; len(rest) >= 4; {
		typ, n := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		if 4+n > len(rest) {
			return nil
		}
		if stun.AttrType(typ) == stun.AttrData {
			return rest[4 : 4+n]
		}
		rest = rest[min(4+(n+3)&^3, len(rest)):]
	}
	return nil
}

// frameSize returns the size of the frame that a stream goes on with, with its padding; 0: not
// enough has come to tell.
func frameSize(stream []byte) int {
	if len(stream) < channelHeader {
		return 0
	}
	size := int(binary.BigEndian.Uint16(stream[2:]))
	if stream[0]>>6 == 1 {
		return channelHeader + (size+3)&^3
	}
	return stunHeader + size
}
