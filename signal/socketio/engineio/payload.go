package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"unicode/utf8"

	"signalbox/signal"
)

// A packet is a frame: a text that begins with its type, or a binary message. Version 3 begins that
// with the type, too, as a byte.

// Message is the type of a packet that is a message, its first byte.
const Message = '4'

// The types of packets.
const (
	typeOpen    = '0'
	typeClose   = '1'
	typePing    = '2'
	typePong    = '3'
	typeMessage = Message
	typeUpgrade = '5'
	typeNoop    = '6'
)

const (
	separator    = '\x1e' // of packets in a payload of version 4
	binaryPacket = 'b'    // what base64 begins with
	binaryType   = 4      // of a binary message in version 3
	maxDigits    = 10     // of a length in version 3: more have no sense
)

// errPayload is a payload that is not what the protocol says.
var errPayload = errors.New("the payload is not what the protocol says")

// appendPacket adds a packet to a payload that answers a poll.
func appendPacket(version int, dst []byte, f signal.Frame) []byte {
	if version == 3 {
		return appendPacket3(dst, f)
	}
	if len(dst) > 0 {
		dst = append(dst, separator)
	}
	if f.Binary {
		return base64.StdEncoding.AppendEncode(append(dst, binaryPacket), f.Body)
	}
	return append(dst, f.Body...)
}

// appendBinary3 adds a packet to a payload of version 3 in which binary data is as it is, for
// clients that do not ask for base64. splitBinary3 takes such a payload apart.
func appendBinary3(dst []byte, f signal.Frame) []byte {
	first := byte(0)
	if f.Binary {
		first = 1
	}
	dst = append(dst, first)
	for _, digit := range strconv.Itoa(len(f.Body)) {
		dst = append(dst, byte(digit-'0'))
	}
	return append(append(dst, 255), f.Body...)
}

// appendPacket3 is appendPacket for version 3, with binary data in base64.
func appendPacket3(dst []byte, f signal.Frame) []byte {
	if f.Binary {
		n := 2 + base64.StdEncoding.EncodedLen(len(f.Body)-1)
		dst = append(strconv.AppendInt(dst, int64(n), 10), ':', binaryPacket, typeMessage)
		return base64.StdEncoding.AppendEncode(dst, f.Body[1:])
	}
	dst = append(strconv.AppendInt(dst, int64(units(f.Body)), 10), ':')
	return append(dst, f.Body...)
}

// units is how many UTF-16 code units a text has, which is what JavaScript calls its length.
func units(text []byte) int {
	n := 0
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		n, text = n+unitsOf(r), text[size:]
	}
	return n
}

func unitsOf(r rune) int {
	if r >= 0x10000 {
		return 2
	}
	return 1
}

// split takes the first packet off a payload that a client has posted. The packet may share memory
// with the payload.
func split(version int, payload []byte) (f signal.Frame, rest []byte, err error) {
	if version == 3 {
		if len(payload) > 0 && payload[0] <= 1 {
			return splitBinary3(payload)
		}
		return splitText3(payload)
	}
	packet, rest, more := bytes.Cut(payload, []byte{separator})
	if len(packet) == 0 || more && len(rest) == 0 {
		return f, nil, errPayload
	}
	f, err = unpack(version, packet)
	return f, rest, err
}

// unpack is a packet of a payload as a frame.
func unpack(version int, packet []byte) (f signal.Frame, err error) {
	switch {
	case len(packet) == 0 || !utf8.Valid(packet):
		return f, errPayload
	case packet[0] != binaryPacket:
		return signal.Frame{Body: packet}, nil
	}
	text := packet[1:]
	body := []byte{}
	if version == 3 {
		if len(text) == 0 || text[0] != typeMessage {
			return f, errPayload
		}
		body, text = append(body, binaryType), text[1:]
	}
	if body, err = base64.StdEncoding.AppendDecode(body, text); err != nil {
		return f, errPayload
	}
	return signal.Frame{Body: body, Binary: true}, nil
}

// splitText3 is split for "<length>:<packet>...", the length in UTF-16 code units.
func splitText3(payload []byte) (f signal.Frame, rest []byte, err error) {
	colon := bytes.IndexByte(payload[:min(len(payload), maxDigits+1)], ':')
	length, err := strconv.ParseUint(string(payload[:max(colon, 0)]), 10, 31)
	if err != nil {
		return f, nil, errPayload
	}
	rest = payload[colon+1:]
	end := 0
	for n := int(length); n > 0; {
		r, size := utf8.DecodeRune(rest[end:])
		if n -= unitsOf(r); n < 0 || size == 0 {
			return f, nil, errPayload
		}
		end += size
	}
	f, err = unpack(3, rest[:end])
	return f, rest[end:], err
}

// splitBinary3 is split for what browsers post if there is binary data in it: 0 or 1 for text or
// binary, the length in bytes as digits' values, 255, and the packet.
func splitBinary3(payload []byte) (f signal.Frame, rest []byte, err error) {
	end := bytes.IndexByte(payload[1:min(len(payload), maxDigits+2)], 255)
	length := 0
	for _, digit := range payload[1 : 1+max(end, 0)] {
		if digit > 9 {
			return f, nil, errPayload
		}
		length = 10*length + int(digit)
	}
	if end < 1 || length == 0 || length > len(payload)-end-2 {
		return f, nil, errPayload
	}
	body := payload[end+2:][:length]
	f = signal.Frame{Body: body, Binary: payload[0] == 1}
	if !f.Binary && !utf8.Valid(body) {
		return f, nil, errPayload
	}
	return f, payload[end+2+length:], nil
}

// text is a packet without binary data.
func text(packet string) signal.Frame { return signal.Frame{Body: []byte(packet)} }
