package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"signalbox/internal/config"
)

// writerFunc is a Write that a test makes up.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// gate lets nothing be written until it is open.
func gate(to io.Writer) (out io.Writer, open func()) {
	closed := make(chan struct{})
	return writerFunc(func(p []byte) (int, error) {
		<-closed
		return to.Write(p)
	}), func() { close(closed) }
}

// Who logs does not wait for who reads. What was logged first comes first, and a line in the log's
// own format says how many are missing after it.
func TestALogThatNobodyReads(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"text": `level=WARN msg="lines of the log are lost: nobody read them in time" lines=`,
		"json": `"level":"WARN","msg":"lines of the log are lost: nobody read them in time","lines":`,
	} {
		for words, all := range map[string]int{"short": queuedLines + 100, strings.Repeat("long", 5000): 100} {
			var cfg config.Config
			cfg.Log.Level, cfg.Log.Format = "error", config.LogFormat(format)
			var got bytes.Buffer
			out, open := gate(&got)
			log, _, lines := logger(cfg, out)
			for i := range all {
				log.Error(words, "i", i)
			}
			lost := lines.Lost()
			open()
			lines.close(patience)
			list := strings.Split(strings.TrimSuffix(got.String(), "\n"), "\n")
			kept := list[:len(list)-1]
			if lost == 0 || len(kept) != all-int(lost) || got.Len() > queuedBytes+100_000 {
				t.Errorf("%s: %d bytes, %d lines of %d, and %d lost", format, got.Len(), len(kept), all, lost)
			}
			for i, line := range kept {
				if end := line[len(line)-9:]; !strings.HasSuffix(end, fmt.Sprint("i=", i)) &&
					!strings.HasSuffix(end, fmt.Sprintf(`"i":%d}`, i)) {
					t.Fatalf("%s: line %d ends with %s", format, i, end)
				}
			}
			if last := list[len(list)-1]; !strings.Contains(last, want+fmt.Sprint(lost)) {
				t.Errorf("%s: the last line is %s", format, last)
			}
		}
	}
}

// Once what waited has been written, lines come again.
func TestALogThatIsReadAgain(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	out, open := gate(&got)
	said := make(chan struct{})
	q := newLineQueue(out, func(n uint64) []byte {
		defer close(said)
		return fmt.Appendf(nil, "lost %d\n", n)
	})
	for range queuedLines + 3 {
		io.WriteString(q, "early\n")
	}
	open()
	<-said
	io.WriteString(q, "late\n")
	q.close(patience)
	if text := got.String(); !strings.HasSuffix(text, fmt.Sprintf("early\nlost %d\nlate\n", q.Lost())) {
		t.Error(text[len(text)-100:])
	}
}

// A full disk loses lines, not the log: the torn line is ended, and the loss is said.
func TestALogOnAFullDisk(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	said := make(chan struct{})
	q := newLineQueue(writerFunc(func(p []byte) (int, error) {
		if got.Len() == 0 {
			got.Write(p[:2])
			return 2, syscall.ENOSPC
		}
		return got.Write(p)
	}), func(n uint64) []byte {
		defer close(said)
		return fmt.Appendf(nil, "lost %d\n", n)
	})
	io.WriteString(q, "first\n")
	<-said
	io.WriteString(q, "second\n")
	q.close(patience)
	if want := "fi\nlost 1\nsecond\n"; got.String() != want || q.Lost() != 1 {
		t.Errorf("%q, %d lost, want %q", got.String(), q.Lost(), want)
	}
}

// Writes that take a part, or nothing for now, are gone on with.
func TestALogWrittenInParts(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	calls := 0
	q := newLineQueue(writerFunc(func(p []byte) (int, error) {
		if calls++; calls%2 == 0 {
			return 0, syscall.EAGAIN
		}
		return got.Write(p[:1])
	}), nil)
	io.WriteString(q, "abc\n")
	io.WriteString(q, "de\n")
	q.close(patience)
	if got.String() != "abc\nde\n" || q.Lost() != 0 {
		t.Errorf("%q, %d lost", got.String(), q.Lost())
	}
}

// The end waits for a while only.
func TestTheEndOfALogThatNobodyReads(t *testing.T) {
	t.Parallel()
	out, open := gate(writerFunc(func([]byte) (int, error) { return 0, errors.New("no") }))
	defer open()
	q := newLineQueue(out, nil)
	io.WriteString(q, "a\n")
	q.close(0)
	q.close(0)
}
