package signal

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// deafTransport carries nothing: the test itself reads the outbox.
type deafTransport struct{ stopped bool }

func (d *deafTransport) stop()  { d.stopped = true }
func (d *deafTransport) abort() {}

// FuzzSession feeds sessions any sequence of frames: each line is a frame, and its first byte chooses the
// session. Whatever comes, what the clients get is the protocol, and nobody leaves a trace.
func FuzzSession(f *testing.F) {
	for _, file := range conversationFiles(f) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(conversationSeed(string(text)))
	}
	f.Add([]byte("a{\"type\":\"hello\",\"user\":\"a\"}\nb{\"type\":\"hello\",\"user\":\"b\"}\na{\"type\":\"signal\",\"to\":\"@b\",\"data\":0}\nb{\"type\":\"signal\",\"to\":\"@a\",\"data\":0}\nax"))
	f.Fuzz(func(t *testing.T, script []byte) {
		h := newHub(t, Options{Calls: true, RoomCapacity: 2, Rooms: 2, RoomsPerSession: 2, Sessions: 3, Rate: 1000, ICE: scriptedICE{}},
			func(l *limits) { l.backlog = 64 })
		var sessions []*session
		var readers []*outboxReader
		live := make(map[*session]bool)
		for _, id := range []string{"peer-a", "peer-b", "peer-c"} {
			s := newSession(h, id, client{source: netip.MustParseAddr("192.0.2.1")}, time.Now())
			s.transport = &deafTransport{}
			if bad := h.admit(s); bad != nil {
				t.Fatal(bad.sentence())
			}
			sessions, readers = append(sessions, s), append(readers, &outboxReader{t: t, s: s})
			live[s] = true
		}
		for line := range bytes.Lines(script) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			if len(line) == 0 {
				continue
			}
			s := sessions[int(line[0])%len(sessions)]
			if !live[s] {
				continue
			}
			if s.receive(bytes.Clone(line[1:])) {
				continue
			}
			if _, closed := s.out.end(); !closed {
				t.Fatal("a session that doesn't go on has an open outbox")
			}
			live[s] = false
			s.end("")
			h.release(s)
		}
		for i, s := range sessions {
			readers[i].read() // before the end: who is lost gets nothing any more
			if live[s] {
				s.end("")
				h.release(s)
			}
		}
		if n := len(h.sessions) + len(h.users) + len(h.rooms) + len(h.connections) + len(h.sources) + len(h.calls.calls) + h.admitted; n != 0 {
			t.Fatalf("%d entries left", n)
		}
	})
}

// outboxReader checks what a client would get.
type outboxReader struct {
	t   *testing.T
	s   *session
	seq uint64
}

func (r *outboxReader) read() {
	batch, _ := r.s.out.take(nil)
	for _, f := range batch {
		text := r.s.codec.appendFrame(nil, f.body, f.seq)
		var m struct {
			Type string
			Seq  uint64
		}
		if err := json.Unmarshal(text, &m); err != nil || m.Type == "" {
			r.t.Fatalf("sent %s: %v", text, err)
		}
		if m.Seq == 0 {
			continue
		}
		if m.Seq != r.seq+1 {
			r.t.Fatalf("seq %d after %d", m.Seq, r.seq)
		}
		r.seq = m.Seq
	}
}

func conversationFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/conversations/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	return files
}

// conversationSeed is what the clients of a conversation send, in the form of FuzzSession.
func conversationSeed(text string) []byte {
	ids := strings.NewReplacer("$alice", "peer-a", "$bob", "peer-b", "$carol", "peer-c")
	var seed bytes.Buffer
	for line := range strings.Lines(text) {
		if who, frame, sent := strings.Cut(strings.TrimSpace(line), " > "); sent {
			seed.WriteString(who[:1] + ids.Replace(frame) + "\n")
		}
	}
	return seed.Bytes()
}
