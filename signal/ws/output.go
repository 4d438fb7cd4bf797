package ws

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"net"
	"sync"

	"github.com/gorilla/websocket"
)

// buffers are what outputs of a server borrow while they write.
type buffers struct {
	gathers   sync.Pool // of *[]byte with a capacity of gatherSize
	deflaters sync.Pool // of *deflater
}

func newBuffers() *buffers {
	return &buffers{
		gathers: sync.Pool{New: func() any { b := make([]byte, 0, gatherSize); return &b }},
		deflaters: sync.Pool{New: func() any {
			d := new(deflater)
			d.w, _ = flate.NewWriter(&d.out, flate.BestSpeed) // fails for an unknown level only
			return d
		}},
	}
}

// deflater compresses a message. flate's writer takes half a megabyte.
type deflater struct {
	w   *flate.Writer
	out bytes.Buffer
}

// gatherSize is about what fits one TLS record; more than that is written as it comes.
const gatherSize = 16 << 10

// output holds frames back until they are flushed: so a burst leaves in one system call, one TLS
// record and few packets. Between bursts it holds no buffer. Only the link's writer uses it.
type output struct {
	conn    net.Conn
	buffers *buffers
	buffer  *[]byte // nil: it is empty
}

// frame writes a whole message, or a control frame (RFC 6455 §5.2).
func (o *output) frame(kind int, payload []byte) error { return o.put(finalBit|byte(kind), payload) }

// compressed is frame for a message that is worth it (RFC 7692 §7.2.1).
func (o *output) compressed(kind int, payload []byte) error {
	d := o.buffers.deflaters.Get().(*deflater)
	defer o.buffers.deflaters.Put(d)
	d.out.Reset()
	d.w.Reset(&d.out)
	d.w.Write(payload) // to memory
	d.w.Flush()
	return o.put(finalBit|deflated|byte(kind), bytes.TrimSuffix(d.out.Bytes(), []byte(flushed)))
}

// flushed is what ends a flush, which the sender of a message leaves out.
const flushed = "\x00\x00\xff\xff"

func (o *output) put(first byte, payload []byte) error {
	var space [10]byte
	head := append(space[:0], first)
	switch n := len(payload); {
	case n < 126:
		head = append(head, byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 127), uint64(n))
	}
	if o.buffer != nil && len(*o.buffer)+len(head)+len(payload) > gatherSize {
		if err := o.flush(); err != nil {
			return err
		}
	}
	if o.buffer == nil {
		o.buffer = o.buffers.gathers.Get().(*[]byte)
	}
	*o.buffer = append(*o.buffer, head...)
	if len(head)+len(payload) <= gatherSize {
		*o.buffer = append(*o.buffer, payload...)
		return nil
	}
	if err := o.flush(); err != nil {
		return err
	}
	_, err := o.conn.Write(payload)
	return err
}

func (o *output) flush() error {
	if o.buffer == nil {
		return nil
	}
	_, err := o.conn.Write(*o.buffer)
	*o.buffer = (*o.buffer)[:0]
	o.buffers.gathers.Put(o.buffer)
	o.buffer = nil
	return err
}

// close says goodbye.
func (o *output) close(code int, reason string) error {
	return o.frame(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason))
}
