package wire

import (
	"encoding/binary"
	"net/netip"
)

// Datagram is what one UDP datagram has brought.
type Datagram struct {
	Packet
	From netip.AddrPort
}

// Run is datagrams, or their application data, that one flow carries: of equal size, but for the
// last, which may be shorter. What holds for the first holds for all, and one system call sends
// them (udp(7), UDP_SEGMENT).
type Run []Datagram

// Bounds of a run.
const (
	MaxRun = 64 // datagrams: no Linux takes fewer
	// maxRunBytes bounds them all: with a header each, they must fit the length of one datagram.
	maxRunBytes = 60 << 10
	// maxRunSize fits 1500 bytes with a channel's header, UDP and IPv6. What does not fit the path
	// is fragmented, each by itself.
	maxRunSize = 1500 - 40 - 8 - ChannelHeader
	// minRunSize is what the first has at least: what waits in a send buffer counts as one, so that
	// many of a few bytes would wait where few could before.
	minRunSize = 256
)

// Bytes is the size of them all.
func (r Run) Bytes() (n int) {
	for i := range r {
		n += r[i].N
	}
	return n
}

// Padding is what it takes to pad each of them to four bytes, in all.
func (r Run) Padding() (n int) {
	for i := range r {
		n += -r[i].N & 3
	}
	return n
}

// NextRun returns the run that a list begins with, which has one datagram at least. The list does
// not have none.
func NextRun(list []Datagram) Run {
	first := &list[0]
	n, total := 1, first.N
	if first.N < minRunSize || first.N > maxRunSize {
		return list[:1]
	}
	for ; n < min(len(list), MaxRun); n++ {
		next := &list[n]
		if total += next.N; total > maxRunBytes || next.N > first.N || next.N == 0 || next.From != first.From {
			break
		}
		if next.N < first.N {
			n++
			break
		}
	}
	return list[:n]
}

// ChannelRun is the part of a run, from its first datagram on, that is ChannelData messages for one
// channel, without padding: of one datagram at least, whatever that is.
func ChannelRun(r Run) Run {
	first := r[0].Data()
	if len(first) <= ChannelHeader || !IsChannel(binary.BigEndian.Uint16(first)) {
		return r[:1]
	}
	for n := range r {
		frame := r[n].Data()
		if len(frame) <= ChannelHeader || [2]byte(frame) != [2]byte(first) ||
			int(binary.BigEndian.Uint16(frame[2:])) != len(frame)-ChannelHeader {
			return r[:max(n, 1)]
		}
	}
	return r
}

// IsChannel reports whether a frame that begins so is ChannelData (RFC 8656 §12).
func IsChannel(typ uint16) bool { return typ >= FirstChannel && typ <= LastChannel }

// Behind is what follows a packet in its buffer. Framing may overwrite it: PutBehind puts it back,
// where another packet comes next.
func (p Packet) Behind() [Tailroom]byte { return [Tailroom]byte(p.Buf[p.Off+p.N:]) }

// PutBehind undoes what framing has done behind a packet.
func (p Packet) PutBehind(b [Tailroom]byte) { copy(p.Buf[p.Off+p.N:], b[:]) }
