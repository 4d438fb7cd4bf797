package turnclient

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/pion/stun/v3"
)

const (
	maxFrame   = 65535 // bytes, header and all
	headerSize = 20    // of a STUN message, RFC 8489 §5
)

func (c *Client) send(b []byte, until time.Time) error {
	if err := c.conn.SetWriteDeadline(until); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}

// read returns the next frame, which is valid until the next read.
func (c *Client) read(ctx context.Context, until time.Time) ([]byte, error) {
	if err := c.conn.SetReadDeadline(until); err != nil {
		return nil, err
	}
	if ctx.Err() != nil { // ctx ended first, and this deadline has just replaced the one of its end
		return nil, ctx.Err()
	}
	if c.buf == nil {
		c.buf = make([]byte, maxFrame+1)
	}
	if c.stream != nil {
		return readFrame(c.stream, c.buf)
	}
	n, err := c.conn.Read(c.buf)
	return c.buf[:n], err
}

// readFrame reads one STUN message of a stream into buf. There is no other frame: who binds a
// channel takes the connection (Handover).
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	if _, err := io.ReadFull(r, buf[:4]); err != nil {
		return nil, err
	}
	size := headerSize + int(binary.BigEndian.Uint16(buf[2:4]))
	if buf[0]>>6 != 0 || size%4 != 0 || size > len(buf) {
		return nil, ErrNotSTUN
	}
	if _, err := io.ReadFull(r, buf[4:size]); err != nil {
		return nil, err
	}
	return buf[:size], nil
}

// ErrNotSTUN says that what came over a stream is no STUN message.
var ErrNotSTUN = errors.New("the program that answers there does not speak STUN")

// parse reads a STUN message from a copy of the frame; nil: the frame is not one.
func parse(frame []byte) *stun.Message {
	if len(frame) < headerSize || !stun.IsMessage(frame) ||
		headerSize+int(binary.BigEndian.Uint16(frame[2:4])) != len(frame) {
		return nil
	}
	m := &stun.Message{Raw: append([]byte(nil), frame...)}
	if m.Decode() != nil {
		return nil
	}
	return m
}

// addressIn reads an XOR-...-ADDRESS (RFC 8489 §14.2).
func addressIn(m *stun.Message, attr stun.AttrType) (netip.AddrPort, error) {
	value, err := m.Get(attr)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("the answer has no %s", attr)
	}
	if len(value) != 8 && len(value) != 20 || value[1] != 1 && len(value) == 8 || value[1] != 2 && len(value) == 20 {
		return netip.AddrPort{}, fmt.Errorf("the answer's %s is malformed", attr)
	}
	mask := m.Raw[4:headerSize] // the magic cookie and the transaction ID
	port := binary.BigEndian.Uint16(value[2:4]) ^ binary.BigEndian.Uint16(mask)
	raw := append([]byte(nil), value[4:]...)
	for i := range raw {
		raw[i] ^= mask[i]
	}
	ip, _ := netip.AddrFromSlice(raw) // of a length that fits
	return netip.AddrPortFrom(ip.Unmap(), port), nil
}
