package ws

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// script is a source of bytes that a test has chosen, so many at a time.
type script struct {
	rest  []byte
	step  int
	held  int
	begun int
}

func (s *script) receive(b []byte) (int, error) {
	n := copy(b, s.rest[:min(s.step, len(s.rest))])
	if s.rest = s.rest[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (s *script) pay(int)                   {}
func (s *script) hold(bytes int)            { s.held = bytes }
func (s *script) announce() error           { s.begun++; return nil }
func (s *script) control(int, []byte) error { return nil }

// Whatever a client sends, an input ends with it, within its limits, and the same however it is cut
// on its way.
func FuzzInput(f *testing.F) {
	for _, seed := range []string{
		"\x81\x82\x00\x00\x00\x00hi",
		"\x01\x81\x01\x02\x03\x04x\x00\x80\x00\x00\x00\x00\x80\x81\x00\x00\x00\x00y",
		"\xc1\x85\x00\x00\x00\x00\xf2\x48\xcd\xc9\xc9", "\x89\x80\x00\x00\x00\x00\x8a\x81\x00\x00\x00\x00x",
		"\x88\x82\x00\x00\x00\x00\x03\xe8",
		"\x82\xfe\x10\x00\x00\x00\x00\x00",
		"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		f.Add([]byte(seed))
	}
	const limit = 1 << 10
	pool := newInputs()
	read := func(t *testing.T, data []byte, step int) (messages [][]byte, broken bool) {
		in, s := pool.New().(*input), &script{rest: data, step: step}
		in.lend(s, limit, true)
		for {
			body, _, ok, err := in.next()
			if len(body) > limit && err == nil {
				t.Fatalf("a message of %d bytes", len(body))
			}
			if s.held > burstSize+16*limit {
				t.Fatalf("%d bytes held", s.held)
			}
			if err != nil {
				in.release()
				if s.held != 0 {
					t.Fatalf("%d bytes held at the end", s.held)
				}
				return messages, !errors.Is(err, io.EOF)
			}
			if ok {
				messages = append(messages, bytes.Clone(body))
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, broken := read(t, data, len(data)+1)
		cut, cutBroken := read(t, data, 1)
		if len(whole) != len(cut) || broken != cutBroken {
			t.Fatalf("%d messages in one piece (%v), %d in many (%v)", len(whole), broken, len(cut), cutBroken)
		}
		for i := range whole {
			if !bytes.Equal(whole[i], cut[i]) {
				t.Fatalf("message %d differs", i)
			}
		}
	})
}

// A burst is read in few pieces, and takes no memory when it is over.
func TestInputBurst(t *testing.T) {
	t.Parallel()
	const messages, size = 8, 1500
	var burst []byte
	for range messages {
		burst = append(burst, "\x81\xfe\x05\xdc\x00\x00\x00\x00"...)
		burst = append(burst, bytes.Repeat([]byte{'x'}, size)...)
	}
	in := newInputs().New().(*input)
	s := &reads{script: script{rest: burst, step: len(burst)}}
	in.lend(s, 4*size, false)
	for range messages {
		if body, _, ok, err := in.next(); err != nil || !ok || len(body) != size {
			t.Fatalf("got %d bytes, %v, %v", len(body), ok, err)
		}
	}
	if s.n > 3 {
		t.Errorf("%d reads", s.n)
	}
	if s.held < burstSize {
		t.Errorf("%d bytes are held in a burst", s.held)
	}
	if in.calm(); s.held != len(in.own) {
		t.Errorf("%d bytes are held behind it", s.held)
	}
	in.release()
}

// reads counts them.
type reads struct {
	script
	n int
}

func (r *reads) receive(b []byte) (int, error) {
	r.n++
	return r.script.receive(b)
}
