package testkit

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
)

// Frames is a client's end of a WebSocket that allocates nothing, to measure what a server does. It
// takes one frame for a message, of 64 KiB at most.
type Frames struct {
	Conn net.Conn
	buf  [64 << 10]byte
}

// ClientFrame is a message as a client's frame of a kind (RFC 6455 §5.2). Its mask of zeros leaves
// it as it is.
func ClientFrame(kind byte, message []byte) []byte {
	frame := []byte{0x80 | kind}
	if n := len(message); n < 126 {
		frame = append(frame, 0x80|byte(n))
	} else {
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	}
	return append(append(frame, 0, 0, 0, 0), message...)
}

// Pass returns a func that sends a client's frame and takes the message that comes of it here. The
// func allocates nothing.
func (f *Frames) Pass(t testing.TB, from net.Conn, frame []byte) func() {
	return func() {
		if _, err := from.Write(frame); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Next(); err != nil {
			t.Fatal(err)
		}
	}
}

// Next returns the next message, which is valid until it is called again. It answers pings.
func (f *Frames) Next() ([]byte, error) {
	const ping, pong = 9, 10
	for {
		head := f.buf[:2]
		if _, err := io.ReadFull(f.Conn, head); err != nil {
			return nil, err
		}
		kind, size := head[0]&0x0f, int(head[1])
		if size == 126 {
			if _, err := io.ReadFull(f.Conn, head); err != nil {
				return nil, err
			}
			size = int(binary.BigEndian.Uint16(head))
		}
		const room = 6 // for the head of a client's frame
		body := f.buf[room : room+size]
		if _, err := io.ReadFull(f.Conn, body); err != nil || kind < ping {
			return body, err
		}
		if kind == ping {
			copy(f.buf[:], []byte{0x80 | pong, 0x80 | byte(size), 0, 0, 0, 0})
			if _, err := f.Conn.Write(f.buf[:room+size]); err != nil {
				return nil, err
			}
		}
	}
}
