package wire

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
)

const (
	// Headroom is kept free before a packet in every buffer, so that its framing is written in
	// place: a Data indication for an IPv6 peer needs 20 + 24 + 4 bytes.
	Headroom = 64
	// MaxDatagram is the largest UDP payload, and the largest frame that a client may send.
	MaxDatagram = 65535
	// ChannelHeader is the size of what stands in front of ChannelData's data.
	ChannelHeader = 4
	// Tailroom is kept free behind a packet, for the padding of the last attribute.
	Tailroom = 4
)

// Buffer holds one packet of any size, with room around it.
type Buffer [Headroom + MaxDatagram + Tailroom]byte

// Room is where a packet is read into.
func (b *Buffer) Room() []byte { return b[Headroom : Headroom+MaxDatagram] }

// Packet is the packet of n bytes that was read into Room.
func (b *Buffer) Packet(n int) Packet { return Packet{b[:], Headroom, n} }

// Packet is a frame or application data in a buffer: Buf[Off:Off+N]. The Headroom bytes before it
// and the Tailroom after it may be overwritten.
type Packet struct {
	Buf    []byte
	Off, N int
}

// Data is the packet itself.
func (p Packet) Data() []byte { return p.Buf[p.Off : p.Off+p.N] }

// ChannelData reads the header of a ChannelData message (RFC 8656 §12.4). ok is false if its length
// exceeds the frame. The frame has four bytes at least.
func ChannelData(p Packet) (number uint16, data Packet, ok bool) {
	frame := p.Data()
	size := int(binary.BigEndian.Uint16(frame[2:]))
	if size > len(frame)-ChannelHeader {
		return 0, Packet{}, false
	}
	return binary.BigEndian.Uint16(frame), Packet{p.Buf, p.Off + ChannelHeader, size}, true
}

// ParseSend finds XOR-PEER-ADDRESS and DATA in a Send indication, and whether DONT-FRAGMENT asks to
// keep the datagram whole. It is Message.Decode for the packet path.
func ParseSend(p Packet) (peer netip.AddrPort, data Packet, whole, ok bool) {
	frame := p.Data()
	if len(frame) < HeaderSize || binary.BigEndian.Uint32(frame[4:]) != MagicCookie ||
		HeaderSize+int(binary.BigEndian.Uint16(frame[2:])) != len(frame) || len(frame)%4 != 0 {
		return peer, data, whole, false
	}
	for off := HeaderSize; off+4 <= len(frame); {
		typ := binary.BigEndian.Uint16(frame[off:])
		size := int(binary.BigEndian.Uint16(frame[off+2:]))
		if off+4+size > len(frame) {
			return peer, data, whole, false
		}
		switch {
		case typ == AttrXORPeerAddress && !peer.IsValid():
			if peer, ok = XORAddress(frame[off+4:off+4+size], frame[8:HeaderSize]); !ok {
				return peer, data, whole, false
			}
		case typ == AttrData && data.Buf == nil:
			data = Packet{p.Buf, p.Off + off + 4, size}
		case typ == AttrXORPeerAddress, typ == AttrData:
			// Only the first counts (RFC 8489 §14).
		case typ == AttrDontFragment:
			whole = true
		case typ == AttrFingerprint:
			if size != 4 || off+8 != len(frame) ||
				binary.BigEndian.Uint32(frame[off+4:]) != crc32.ChecksumIEEE(frame[:off])^fingerprintXOR {
				return peer, data, whole, false
			}
		case !Optional(typ):
			// Comprehension-required and not understood: discarded, RFC 8489 §6.3.2.
			return peer, data, whole, false
		}
		off += 4 + (size+3)&^3
	}
	return peer, data, whole, peer.IsValid() && data.Buf != nil
}

// FrameChannelData puts ChannelData's header in front of the data (RFC 8656 §12.4). Streams want it
// padded.
func FrameChannelData(p Packet, number uint16, pad bool) []byte {
	start := p.Off - ChannelHeader
	binary.BigEndian.PutUint16(p.Buf[start:], number)
	binary.BigEndian.PutUint16(p.Buf[start+2:], uint16(p.N))
	end := p.Off + p.N
	if pad {
		end = zeroPad(p.Buf, start, end)
	}
	return p.Buf[start:end]
}

// peerSize is that of an XOR-PEER-ADDRESS attribute.
func peerSize(peer netip.Addr) int {
	if peer.Is6() {
		return 4 + 20
	}
	return 4 + 8
}

// MaxIndicated is how much data of a peer fits a Data indication, with its padding: more than its
// length field can't say.
func MaxIndicated(peer netip.Addr) int { return 0xFFFF&^3 - peerSize(peer) - 4 }

// FrameDataIndication puts a Data indication around the data (RFC 8656 §11.4): header,
// XOR-PEER-ADDRESS, DATA. The data is no longer than MaxIndicated says.
func FrameDataIndication(p Packet, peer netip.AddrPort) []byte {
	peerSize := peerSize(peer.Addr())
	start := p.Off - 4 - peerSize - HeaderSize
	end := zeroPad(p.Buf, start, p.Off+p.N)
	b := p.Buf[start:end]
	binary.BigEndian.PutUint16(b, MethodData|ClassIndication)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-HeaderSize))
	binary.BigEndian.PutUint32(b[4:], MagicCookie)
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	binary.BigEndian.PutUint32(b[16:], rand.Uint32())
	binary.BigEndian.PutUint16(b[20:], AttrXORPeerAddress)
	binary.BigEndian.PutUint16(b[22:], uint16(peerSize-4))
	putXORAddress(b[24:], peer, b[8:HeaderSize])
	binary.BigEndian.PutUint16(b[HeaderSize+peerSize:], AttrData)
	binary.BigEndian.PutUint16(b[HeaderSize+peerSize+2:], uint16(p.N))
	return b
}

// zeroPad pads buf[start:end] with zeros to a multiple of four bytes and returns the new end.
func zeroPad(buf []byte, start, end int) int {
	for (end-start)%4 != 0 {
		buf[end] = 0
		end++
	}
	return end
}

// MaxPayload is what a UDP datagram carries to ip: 65535 bytes less the headers of UDP and, in
// IPv4, IP.
func MaxPayload(ip netip.Addr) int {
	if ip.Is4() {
		return 65535 - 8 - 20
	}
	return 65535 - 8
}

// StrangerFrame is the longest frame that FrameSize takes from a stranger, in bytes.
const StrangerFrame = 4 << 10

// FrameSize cuts frames out of a stream (RFC 8656 §12.5, RFC 8489 §6.2.2). It returns the size of
// the frame that b begins with, without and with its padding; 0 and 0 if b is too short to tell. ok
// is false for bytes that can't be TURN: the reader can't find another frame's start then.
// ChannelData counts only from a client with an allocation: before that it is another protocol's
// greeting.
func FrameSize(b []byte, known bool) (size, padded int, ok bool) {
	if len(b) < 4 {
		return 0, 0, len(b) == 0 || b[0] <= LastChannel>>8
	}
	typ, length := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case typ < FirstChannel:
		if length%4 != 0 || !known && HeaderSize+length > StrangerFrame || len(b) >= 8 &&
			binary.BigEndian.Uint32(b[4:]) != MagicCookie {
			return 0, 0, false
		}
		return HeaderSize + length, HeaderSize + length, true
	case typ <= LastChannel && known:
		return ChannelHeader + length, ChannelHeader + (length+3)&^3, true
	}
	return 0, 0, false
}
