package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxEvent bounds one event of a stream, its lines together: a frame and its field names.
const maxEvent = maxIncoming + 4<<10

var errEventTooLarge = errors.New("an event of the server's stream is too large")

// sseEvent is one event of a text/event-stream. Its id and retry are of no use here: the frames
// have their own numbers, and it is the session that comes back.
type sseEvent struct {
	name string // "message" if the stream has none
	data []byte
}

// sseReader reads a text/event-stream (HTML Living Standard, 9.2.6).
type sseReader struct {
	r      *bufio.Reader
	heard  func() // called for each line
	line   []byte
	begun  bool // the first line is read: it may have had a byte order mark
	skipLF bool // the line ended in CR, of which an LF may be the second half
}

func newSSEReader(r io.Reader, heard func()) *sseReader {
	return &sseReader{r: bufio.NewReader(r), heard: heard}
}

// next returns the next event that has data. An event that the end of the stream cuts off does not
// count.
func (s *sseReader) next() (sseEvent, error) {
	e := sseEvent{name: "message"}
	filled, size := false, 0
	for {
		line, err := s.readLine(maxEvent - size)
		if err != nil {
			return sseEvent{}, err
		}
		s.heard()
		if len(line) == 0 {
			if filled {
				return e, nil
			}
			e.name, size = "message", 0
			continue
		}
		size += len(line) + 1
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) { // "" is a comment
		case "event":
			if e.name = string(value); e.name == "" {
				e.name = "message"
			}
		case "data":
			if filled {
				e.data = append(e.data, '\n')
			}
			e.data, filled = append(e.data, value...), true
		case "":
			size -= len(line) + 1
		}
	}
}

// readLine is a line without its end, which may be CR, LF, or both. It is good until the next one.
// A CR is acted on at once: the stream may pause behind it.
func (s *sseReader) readLine(limit int) ([]byte, error) {
	s.line = s.line[:0]
	for {
		b, err := s.r.ReadByte()
		if err != nil {
			return nil, err
		}
		second := b == '\n' && s.skipLF
		s.skipLF = b == '\r'
		switch {
		case second:
		case b == '\n' || b == '\r':
			line := s.line
			if !s.begun {
				line = bytes.TrimPrefix(line, []byte("\ufeff"))
			}
			s.begun = true
			return line, nil
		case len(s.line) >= limit:
			return nil, errEventTooLarge
		default:
			s.line = append(s.line, b)
		}
	}
}
