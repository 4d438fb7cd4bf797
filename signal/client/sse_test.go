package client

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

type namedEvent struct{ name, data string }

func readEvents(r io.Reader) (events []namedEvent, err error) {
	stream := newSSEReader(r, func() {})
	for {
		e, err := stream.next()
		if err != nil {
			return events, err
		}
		events = append(events, namedEvent{e.name, string(e.data)})
	}
}

func TestStreamOfEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what, stream string
		want         []namedEvent
	}{
		{"one of each", "event: open\ndata: {}\n\nid: 1\ndata: x\n\n", []namedEvent{{"open", "{}"}, {"message", "x"}}},
		{"ends of lines", "data: a\r\n\r\ndata: b\r\rdata: c\n\n",
			[]namedEvent{{"message", "a"}, {"message", "b"}, {"message", "c"}}},
		{"several lines of data", "data: a\ndata\ndata:b\n\n", []namedEvent{{"message", "a\n\nb"}}},
		{"one space belongs to the field", "data:  a: b\n\n", []namedEvent{{"message", " a: b"}}},
		{"comments and unknown fields", ": hello\n:\n\nretry: 5\nfoo: bar\ndata: a\n: x\n\n",
			[]namedEvent{{"message", "a"}}},
		{"an event without data is none, and leaves no name", "event: close\n\ndata: a\n\n",
			[]namedEvent{{"message", "a"}}},
		{"empty data is data", "event: x\ndata:\n\n", []namedEvent{{"x", ""}}},
		{"an empty name is none", "event: x\nevent:\ndata: a\n\n", []namedEvent{{"message", "a"}}},
		{"byte order mark", "\ufeffdata: a\n\n\ufeffdata: b\n\n", []namedEvent{{"message", "a"}}},
		{"a cut event is none", "data: a\n\ndata: b\n", []namedEvent{{"message", "a"}}},
		{"nothing", "", nil},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.stream), iotest.OneByteReader(strings.NewReader(c.stream))} {
			if got, err := readEvents(r); !errors.Is(err, io.EOF) || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: got %q and %v, want %q", c.what, got, err, c.want)
			}
		}
	}
}

// An event is there when its last line is, not when the next byte comes.
func TestEventIsThereAtOnce(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"\n\n", "\r\r", "\r\n\r"} {
		r, w := io.Pipe()
		go io.WriteString(w, "data: a"+end)
		if e, err := newSSEReader(r, func() {}).next(); err != nil || string(e.data) != "a" {
			t.Errorf("%q: got %q and %v", end, e.data, err)
		}
		w.Close()
	}
}

func TestStreamOfEventsIsBounded(t *testing.T) {
	t.Parallel()
	line := "data: " + strings.Repeat("x", 1000) + "\n"
	for what, stream := range map[string]string{
		"a line":         "data: " + strings.Repeat("x", maxEvent+1) + "\n\n",
		"many lines":     strings.Repeat(line, maxEvent/1000+1) + "\n",
		"a comment":      ":" + strings.Repeat("x", maxEvent+1) + "\n",
		"without an end": strings.Repeat("x", maxEvent+1),
		"empty lines":    strings.Repeat("data\n", maxEvent/4),
	} {
		if got, err := readEvents(strings.NewReader(stream)); !errors.Is(err, errEventTooLarge) {
			t.Errorf("%s: got %d events and %v", what, len(got), err)
		}
	}
	// A stream may have any number of comments in a row: they are how a silent one lives.
	if _, err := readEvents(strings.NewReader(strings.Repeat(": still here\n", 2*maxEvent/13))); !errors.Is(err,
		io.EOF) {
		t.Error(err)
	}
}

// FuzzEvents: however a stream is cut into reads, it has the same events; none is larger than it
// may be, and their data has all that the stream's has.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("event: open\ndata: {\"key\":\"k\"}\n\nid: 1\ndata: {}\r\n\r\n: c\rdata: a\rdata: b\r\r"))
	f.Add([]byte("\ufeffdata\n\n\ndata: x"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole, err := readEvents(bytes.NewReader(stream))
		pieces, errPieces := readEvents(iotest.OneByteReader(bytes.NewReader(stream)))
		if !reflect.DeepEqual(whole, pieces) || !errors.Is(errPieces, err) {
			t.Fatalf("got %q and %v, byte by byte %q and %v", whole, err, pieces, errPieces)
		}
		var again strings.Builder
		for _, e := range whole {
			if len(e.name)+len(e.data) > maxEvent {
				t.Fatalf("an event of %d bytes", len(e.data))
			}
			again.WriteString("event: " + e.name + "\n")
			for line := range strings.SplitSeq(e.data, "\n") {
				again.WriteString("data: " + line + "\n")
			}
			again.WriteString("\n")
		}
		if got, _ := readEvents(strings.NewReader(again.String())); !reflect.DeepEqual(got, whole) {
			t.Fatalf("got %q, written again %q", whole, got)
		}
	})
}
