package ws

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// source is where an input gets its bytes from.
type source interface {
	// receive reads some bytes, perhaps after a pause. They must come in the time for a frame, or
	// else, between frames, in a moment.
	receive(b []byte) (n int, err error)
	// pay counts what cost as much as so many bytes.
	pay(n int)
	// hold counts the memory that the input takes by now.
	hold(bytes int)
	// announce decides whether a message that has begun is read.
	announce() error
	// control processes a control frame. The payload is valid until it returns.
	control(kind int, payload []byte) error
}

// input takes what a client sends apart (RFC 6455 §5). It is borrowed while something is read, so
// that an idle connection holds no buffer.
type input struct {
	from     source
	limit    int  // of a message, in bytes
	deflates bool // messages may be compressed (RFC 7692)

	buf        []byte // own, or burst while that is not nil
	own        [4 << 10]byte
	burst      *[burstSize]byte
	start, end int  // what of buf is there and not used
	filled     bool // the last read has filled buf: there may be more

	message   []byte // if it doesn't come in one frame that fits buf, its frames so far
	inflated  []byte
	inflaters *sync.Pool // of flate's readers
	bursts    *sync.Pool // of *[burstSize]byte
}

// burstSize is how much is read at a time of a client that says more than an input's own buffer
// holds: about what fits one TLS record.
const burstSize = 16 << 10

// newInputs is what a server's connections borrow inputs from.
func newInputs() *sync.Pool {
	inflaters := &sync.Pool{New: func() any { return flate.NewReader(nil) }}
	bursts := &sync.Pool{New: func() any { return new([burstSize]byte) }}
	return &sync.Pool{New: func() any { return &input{inflaters: inflaters, bursts: bursts} }}
}

// worthKeeping is the largest buffer for a message that an input keeps.
const worthKeeping = 8 << 10

// The opcode of a frame that goes on with a message, and the bits of a frame's first byte.
const (
	continuation = 0

	finalBit = 0x80
	deflated = 0x40 // RSV1, in the first frame of a message
	reserved = 0x30
)

// brokenError says how a client breaks the protocol, and with which close code that is answered
// (RFC 6455 §7.4.1).
type brokenError struct {
	close int
	how   string
}

func (e brokenError) Error() string { return e.how }

func broken(how string) error { return brokenError{websocket.CloseProtocolError, how} }

var errTooLarge = errors.New("too large")

// emptied returns a buffer to be filled again, unless it is large.
func emptied(b []byte) []byte {
	if cap(b) > worthKeeping {
		return nil
	}
	return b[:0]
}

// release makes an input ready for another connection.
func (in *input) release() {
	in.filled = false
	in.calm()
	in.from.hold(0)
	in.from, in.start, in.end = nil, 0, 0
}

// lend gives the input to a connection, until release.
func (in *input) lend(to source, limit int, deflates bool) {
	in.from, in.limit, in.deflates = to, limit, deflates
	in.buf = in.own[:]
	in.count()
}

// count tells how much memory the input takes.
func (in *input) count() { in.from.hold(len(in.buf) + cap(in.message) + cap(in.inflated)) }

// unread has bytes come again that were read before.
func (in *input) unread(b []byte) { in.end += copy(in.buf[in.end:], b) }

// empty reports whether all that was received is used.
func (in *input) empty() bool { return in.start == in.end }

// widen makes room for a burst, of which buf is full.
func (in *input) widen() {
	if in.filled = false; in.burst != nil {
		return
	}
	in.burst = in.bursts.Get().(*[burstSize]byte)
	in.end = copy(in.burst[:], in.buf[in.start:in.end])
	in.start, in.buf = 0, in.burst[:]
	in.count()
}

// calm gives back what a burst or a large message took, when all that has come is used: the client
// may be quiet for a while.
func (in *input) calm() {
	if in.burst != nil && !in.filled {
		in.bursts.Put(in.burst)
		in.burst, in.buf, in.start, in.end = nil, in.own[:], 0, 0
	}
	in.message, in.inflated = emptied(in.message), emptied(in.inflated)
	in.count()
}

// header is the start of a frame.
type header struct {
	kind     int
	final    bool
	deflated bool
	size     int
	mask     [4]byte
}

func (h *header) isControl() bool { return h.kind >= websocket.CloseMessage }

// next returns the client's next message. It is valid until next is called again. ok is false if
// there was a control frame instead, and no message has begun.
func (in *input) next() (body []byte, binary, ok bool, err error) {
	in.message, in.inflated = in.message[:0], emptied(in.inflated)
	var first header
	for begun := false; ; {
		h, err := in.header()
		if err != nil {
			return nil, false, false, err
		}
		if h.isControl() {
			if err := in.control(&h); err != nil || !begun {
				return nil, false, false, err
			}
			continue
		}
		switch {
		case begun != (h.kind == continuation):
			return nil, false, false, broken("a message begins or goes on out of turn")
		case !begun:
			if err := in.from.announce(); err != nil {
				return nil, false, false, err
			}
			begun, first = true, h
		}
		body, err = in.body(&first, &h)
		if err == nil && h.final {
			if first.deflated {
				body, err = in.inflate(body)
			}
			if err == nil && first.kind == websocket.TextMessage && !utf8.Valid(body) {
				err = brokenError{websocket.CloseInvalidFramePayloadData, "a text is not UTF-8"}
			}
			return body, first.kind == websocket.BinaryMessage, true, err
		}
		if err != nil {
			return nil, false, false, err
		}
	}
}

// header reads the start of a frame.
func (in *input) header() (h header, err error) {
	if err := in.need(2); err != nil {
		return h, err
	}
	b := in.buf[in.start:]
	h.kind, h.final, h.deflated = int(b[0]&0x0f), b[0]&finalBit != 0, b[0]&deflated != 0
	h.size = int(b[1] & 0x7f)
	switch {
	case h.kind > websocket.BinaryMessage && h.kind < websocket.CloseMessage, h.kind > websocket.PongMessage:
		return h, broken("bad opcode")
	case b[0]&reserved != 0, h.deflated && (!in.deflates || h.kind == continuation || h.isControl()):
		return h, broken("a reserved bit is set")
	case b[1]&0x80 == 0:
		return h, broken("a frame is not masked")
	case h.isControl() && (!h.final || h.size > 125):
		return h, broken("a control frame is cut or long")
	}
	length := 2 // of the header, up to the mask
	switch h.size {
	case 126:
		length = 4
	case 127:
		length = 10
	}
	if err := in.need(length + 4); err != nil {
		return h, err
	}
	b = in.buf[in.start:]
	switch length {
	case 4:
		h.size = int(binary.BigEndian.Uint16(b[2:]))
	case 10:
		size := binary.BigEndian.Uint64(b[2:])
		if size > 1<<31-1 {
			return h, errTooLarge
		}
		h.size = int(size)
	}
	copy(h.mask[:], b[length:])
	in.start += length + 4
	return h, nil
}

// control reads a control frame, and has it processed.
func (in *input) control(h *header) error {
	payload, err := in.take(h)
	if err != nil {
		return err
	}
	return in.from.control(h.kind, payload)
}

// take reads the rest of a frame that fits the buffer.
func (in *input) take(h *header) ([]byte, error) {
	if err := in.need(h.size); err != nil {
		return nil, err
	}
	payload := in.buf[in.start : in.start+h.size]
	in.start += h.size
	unmask(payload, h.mask)
	return payload, nil
}

// smallest is what a frame that is a piece of a message costs, in bytes, whatever its size.
const smallest = 64

// body reads the rest of a frame, and returns the message so far.
func (in *input) body(first, h *header) ([]byte, error) {
	limit := in.limit
	if first.deflated {
		limit *= 2 // what doesn't compress grows; the result is limited, too
	}
	switch {
	case len(in.message)+h.size > limit:
		return nil, errTooLarge
	case h.final && len(in.message) == 0 && h.size <= len(in.buf):
		return in.take(h)
	}
	in.from.pay(max(0, smallest-h.size))
	begin := len(in.message)
	for rest := h.size; rest > 0; {
		if in.empty() && rest < len(in.buf) {
			if err := in.need(1); err != nil {
				return nil, err
			}
		}
		if n := min(rest, in.end-in.start); n > 0 {
			in.message = append(in.message, in.buf[in.start:in.start+n]...)
			in.start += n
			rest -= n
			continue
		}
		// The buffer grows with what has come, not with what was announced.
		in.message = slices.Grow(in.message, min(rest, max(len(in.buf), len(in.message))))
		in.count()
		end := len(in.message)
		n, err := in.from.receive(in.message[end:min(cap(in.message), end+rest)])
		if err != nil {
			return nil, err
		}
		in.message = in.message[:end+n]
		rest -= n
	}
	unmask(in.message[begin:], h.mask)
	return in.message, nil
}

// need has n bytes in the buffer, at most as many as fit.
func (in *input) need(n int) error {
	if in.end-in.start >= n {
		return nil
	}
	if in.start+n > len(in.buf) || in.empty() {
		in.end = copy(in.buf, in.buf[in.start:in.end])
		in.start = 0
	}
	for in.end-in.start < n {
		if in.filled {
			in.widen()
		}
		m, err := in.from.receive(in.buf[in.end:])
		if err != nil {
			return err
		}
		in.end += m
		in.filled = in.end == len(in.buf)
	}
	return nil
}

// deflateTail is what RFC 7692 §7.2.2 has the sender leave out, and an empty last block, which
// flate expects.
const deflateTail = flushed + "\x01\x00\x00\xff\xff"

// inflate decompresses a message.
func (in *input) inflate(body []byte) ([]byte, error) {
	compressed := io.MultiReader(bytes.NewReader(body), strings.NewReader(deflateTail))
	inflater := in.inflaters.Get().(io.ReadCloser)
	defer in.inflaters.Put(inflater)
	if err := inflater.(flate.Resetter).Reset(compressed, nil); err != nil {
		return nil, err
	}
	out := bytes.NewBuffer(in.inflated)
	_, err := out.ReadFrom(io.LimitReader(inflater, int64(in.limit)+1))
	in.inflated = out.Bytes()
	in.count()
	in.from.pay(len(in.inflated))
	switch {
	case err != nil:
		return nil, broken("a message does not inflate")
	case len(in.inflated) > in.limit:
		return nil, errTooLarge
	}
	return in.inflated, nil
}

// unmask takes the mask off a payload (RFC 6455 §5.3).
func unmask(b []byte, mask [4]byte) {
	word := uint64(binary.LittleEndian.Uint32(mask[:]))
	word |= word << 32
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
	}
	for i := range b {
		b[i] ^= mask[i&3]
	}
}

// closed is what a client's close frame says; the frame may be broken itself.
func closed(payload []byte) error {
	if len(payload) == 0 {
		return &websocket.CloseError{Code: websocket.CloseNoStatusReceived}
	}
	if len(payload) == 1 || !utf8.Valid(payload[2:]) {
		return broken("a broken close frame")
	}
	code := int(binary.BigEndian.Uint16(payload))
	switch {
	case code >= 3000 && code < 5000, code >= 1000 && code <= 1014 && (code < 1004 || code > 1006):
		return &websocket.CloseError{Code: code, Text: string(payload[2:])}
	}
	return broken("a bad close code")
}
