package turnsvc

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
)

// The lane carries application data between clients and peers: no pion, no lock that two clients
// share, no heap allocation. Every packet passes the deadlines of its permission, of its channel
// and of its allocation.

// packet is application data in a buffer: buf[off:off+n], with headroom bytes in front of it and
// the padding behind it free to be overwritten.
type packet struct {
	buf    []byte
	off, n int
}

func (p packet) data() []byte { return p.buf[p.off : p.off+p.n] }

// channelData carries a client's ChannelData message (RFC 8656 §12.6). The packet is the whole
// frame.
func (s *Server) channelData(a *allocation, p packet, now int64) {
	frame := p.data()
	number := binary.BigEndian.Uint16(frame)
	size := int(binary.BigEndian.Uint16(frame[2:]))
	if size > len(frame)-4 {
		s.counters.drop(dropMalformed)
		return
	}
	if a == nil || !a.live(now) {
		s.counters.drop(dropNoAllocation)
		return
	}
	peer, g, ok := a.channelByNumber(number, now)
	if !ok {
		s.counters.drop(dropNoChannel)
		return
	}
	a.toPeer(packet{p.buf, p.off + 4, size}, peer, g, false, now)
}

// sendIndication carries a client's Send indication (RFC 8656 §11.2), which is never answered.
func (s *Server) sendIndication(a *allocation, p packet, now int64) {
	if a == nil || !a.live(now) {
		s.counters.drop(dropNoAllocation)
		return
	}
	peer, data, whole, ok := parseSend(p)
	if !ok {
		s.counters.drop(dropMalformed)
		return
	}
	g, ok := a.permissionFor(peer.Addr(), now)
	if !ok {
		s.counters.drop(dropNoPermission)
		return
	}
	a.toPeer(data, peer, g, whole, now)
}

// parseSend finds XOR-PEER-ADDRESS and DATA in a Send indication, and whether DONT-FRAGMENT asks to
// keep the datagram whole. It is message.decode for the packet path.
func parseSend(p packet) (peer netip.AddrPort, data packet, whole, ok bool) {
	frame := p.data()
	if len(frame) < headerSize || binary.BigEndian.Uint32(frame[4:]) != magicCookie ||
		headerSize+int(binary.BigEndian.Uint16(frame[2:])) != len(frame) || len(frame)%4 != 0 {
		return peer, data, whole, false
	}
	for off := headerSize; off+4 <= len(frame); {
		typ := binary.BigEndian.Uint16(frame[off:])
		size := int(binary.BigEndian.Uint16(frame[off+2:]))
		if off+4+size > len(frame) {
			return peer, data, whole, false
		}
		switch {
		case typ == attrXORPeerAddress && !peer.IsValid():
			if peer, ok = xorAddress(frame[off+4:off+4+size], frame[8:headerSize]); !ok {
				return peer, data, whole, false
			}
		case typ == attrData && data.buf == nil:
			data = packet{p.buf, p.off + off + 4, size}
		case typ == attrXORPeerAddress, typ == attrData:
			// Only the first counts (RFC 8489 §14).
		case typ == attrDontFragment && canKeepWhole:
			whole = true
		case typ == attrFingerprint:
			if size != 4 || off+8 != len(frame) ||
				binary.BigEndian.Uint32(frame[off+4:]) != crc32.ChecksumIEEE(frame[:off])^fingerprintXOR {
				return peer, data, whole, false
			}
		case typ < 0x8000:
			return peer, data, whole, false // comprehension-required and not understood: discarded, RFC 8489 §6.3.2
		}
		off += 4 + (size+3)&^3
	}
	return peer, data, whole, peer.IsValid() && data.buf != nil
}

// maxPayload is what a UDP datagram carries to ip: 65535 bytes less the headers of UDP and, in
// IPv4, IP.
func maxPayload(ip netip.Addr) int {
	if ip.Is4() {
		return 65535 - 8 - 20
	}
	return 65535 - 8
}

// toPeer sends application data of a's client to a peer that g was granted for. whole: the datagram
// must not be fragmented.
func (a *allocation) toPeer(p packet, peer netip.AddrPort, g grant, whole bool, now int64) {
	if p.n > maxPayload(peer.Addr()) {
		a.counters.drop(dropTooLong) // a stream's frame can be longer than what it is for
		return
	}
	if !a.up.take(p.n, now) {
		a.counters.drop(dropBandwidth)
		return
	}
	a.fromClient.add(p.n)
	if g.relays {
		// The peer is a relayed transport address of this box: hand over in process. It saves two
		// ways through the kernel, and works where the public address can't be reached from inside
		// (1:1 NAT).
		if b := a.pool.lookup(peer); b != nil {
			if !a.mayTalk(b) {
				a.counters.drop(dropPeerDenied)
				return
			}
			if b.fromPeer(p, a.relayed, now) && (b.scope.member == nil || b.scope.member != a.scope.member) {
				a.used.Store(now) // talking to oneself is no call
			}
			return
		}
	}
	if !g.wire {
		a.counters.drop(dropPeerDenied)
		return
	}
	if a.relay.send(p.data(), peer, whole) != nil {
		a.counters.drop(dropWriteFailed)
		return
	}
	a.used.Store(now)
}

// fromPeer sends a peer's datagram on to a's client, as ChannelData where a channel is bound, else
// as a Data indication. It reports whether it did.
func (a *allocation) fromPeer(p packet, peer netip.AddrPort, now int64) bool {
	if !a.live(now) {
		a.counters.drop(dropNoAllocation)
		return false
	}
	permitted, number := a.admits(peer, now)
	if !permitted {
		a.counters.drop(dropPeerUnknown)
		return false
	}
	var frame []byte
	if number != 0 {
		frame = frameChannelData(p, number, a.link.stream())
	} else if frame = frameDataIndication(p, peer); frame == nil {
		a.counters.drop(dropTooLong)
		return false
	}
	if !a.down.take(p.n, now) {
		a.counters.drop(dropBandwidth)
		return false
	}
	a.toClient.add(p.n)
	a.link.send(frame, a.client)
	return true
}

// frameChannelData puts the four bytes of header in front of the data (RFC 8656 §12.4), and on
// streams pads it.
func frameChannelData(p packet, number uint16, pad bool) []byte {
	start := p.off - 4
	binary.BigEndian.PutUint16(p.buf[start:], number)
	binary.BigEndian.PutUint16(p.buf[start+2:], uint16(p.n))
	end := p.off + p.n
	if pad {
		end = zeroPad(p.buf, start, end)
	}
	return p.buf[start:end]
}

// frameDataIndication puts a Data indication around the data (RFC 8656 §11.4): header,
// XOR-PEER-ADDRESS, DATA. It returns nil if that would be longer than its length field can say.
func frameDataIndication(p packet, peer netip.AddrPort) []byte {
	peerSize := 4 + 8
	if peer.Addr().Is6() {
		peerSize = 4 + 20
	}
	start := p.off - 4 - peerSize - headerSize
	end := zeroPad(p.buf, start, p.off+p.n)
	b := p.buf[start:end]
	if len(b)-headerSize > 0xFFFF {
		return nil
	}
	binary.BigEndian.PutUint16(b, methodData|classIndication)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-headerSize))
	binary.BigEndian.PutUint32(b[4:], magicCookie)
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	binary.BigEndian.PutUint32(b[16:], rand.Uint32())
	binary.BigEndian.PutUint16(b[20:], attrXORPeerAddress)
	binary.BigEndian.PutUint16(b[22:], uint16(peerSize-4))
	putXORAddress(b[24:], peer, b[8:headerSize])
	binary.BigEndian.PutUint16(b[headerSize+peerSize:], attrData)
	binary.BigEndian.PutUint16(b[headerSize+peerSize+2:], uint16(p.n))
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
