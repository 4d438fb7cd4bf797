package signal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/signal"
	"signalbox/signal/native"
)

// deaf carries nothing: the test itself reads the outbox.
type deaf struct{}

func (deaf) Write(*signal.Batch) (time.Duration, error) { return time.Hour, nil }
func (deaf) Stop()                                      {}
func (deaf) Abort()                                     {}

// open begins a connection that carries nothing.
func open(t testing.TB, h *signal.Hub, d signal.Dialect, from signal.Client) *signal.Link {
	t.Helper()
	l, err := h.Connect(from)
	if err == nil {
		err = l.Begin(d, deaf{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func text(s string) signal.Frame { return signal.Frame{Body: []byte(s)} }

// FuzzSession feeds clients any sequence of frames and of broken connections: each line is for the
// client that its first byte chooses; "!" breaks its connection, and all else is a frame, on a new
// connection if need be. $token stands for its resume token. Whatever comes, what the clients get
// is the protocol, and nobody leaves a trace.
func FuzzSession(f *testing.F) {
	for _, file := range conversationFiles(f) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(conversationSeed(string(text)))
	}
	f.Add([]byte(`a{"type":"hello","user":"a"}` + "\n" + `b{"type":"hello","user":"b"}` + "\n" +
		`a{"type":"signal","to":"@b","data":0}` + "\n" + `b{"type":"signal","to":"@a","data":0}` + "\nax"))
	f.Add([]byte(`a{"type":"hello"}` + "\n" + `a{"type":"join","room":"r"}` + "\n" + `b{"type":"hello"}` + "\n" +
		`b{"type":"join","room":"r"}` + "\na!\n" + `b{"type":"broadcast","room":"r","data":1}` + "\n" +
		`a{"type":"resume","token":"$token","seq":1}` + "\nb!\n" + `b{"type":"hello","replaces":"$token"}` + "\n" +
		`a{"type":"bye"}`))
	f.Fuzz(func(t *testing.T, script []byte) {
		h := newHub(t, signal.Options{Calls: true, RoomCapacity: 2, Rooms: 2, RoomsPerSession: 2, Sessions: 3,
			Rate:   1000,
			Resume: time.Hour, ICE: scriptedICE{}},
			func(l *signal.Limits) { l.Backlog = 64 })
		server := native.New(h)
		var clients []*fuzzClient
		for range 3 {
			clients = append(clients, &fuzzClient{t: t, hub: h, server: server})
		}
		for line := range bytes.Lines(script) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			if len(line) == 0 {
				continue
			}
			c := clients[int(line[0])%len(clients)]
			if string(line[1:]) == "!" {
				c.hangUp()
				continue
			}
			c.say(bytes.ReplaceAll(line[1:], []byte("$token"), []byte(c.token)))
		}
		for _, c := range clients {
			c.hangUp()
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Fatal(err)
		}
		if n := h.Entries(); n != 0 {
			t.Fatalf("%d entries left", n)
		}
	})
}

// fuzzClient checks what a client gets.
type fuzzClient struct {
	t      *testing.T
	hub    *signal.Hub
	server *native.Server
	link   *signal.Link
	token  string
	seq    uint64
}

func (c *fuzzClient) say(frame []byte) {
	if c.link == nil {
		c.link = open(c.t, c.hub, c.server.Dialect(), signal.Client{Source: netip.MustParseAddr("192.0.2.1")})
	}
	if c.link.Receive(signal.Frame{Body: frame}) {
		return
	}
	c.read()
	if _, over := c.link.Take(); !over {
		c.t.Fatal("a connection that doesn't go on has an open outbox")
	}
	c.hangUp()
}

func (c *fuzzClient) hangUp() {
	if c.link != nil {
		c.read() // before the end: what is lost is for the next connection
		c.link.Finish(signal.CodeLost)
		c.link.Close()
		c.link = nil
	}
}

func (c *fuzzClient) read() {
	c.link.Drain(func(f signal.OutFrame) {
		text := f.Body
		var m struct {
			Type, ResumeToken string
			Seq               uint64
		}
		if err := json.Unmarshal(text, &m); err != nil || m.Type == "" {
			c.t.Fatalf("sent %s: %v", text, err)
		}
		switch {
		case m.Type == "welcome":
			c.token, c.seq = m.ResumeToken, 0
		case m.Type == "resumed":
			c.seq = 0 // the client said itself which frames it has
		case m.Seq != 0 && c.seq != 0 && m.Seq != c.seq+1:
			c.t.Fatalf("seq %d after %d", m.Seq, c.seq)
		}
		if m.Seq != 0 {
			c.seq = m.Seq
		}
	})
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

// token is what a resume token looks like.
const token = "wZ1lN9pQhT5sJb3vXk7mDg.VRhIz9TO67A.TlVHAmjz1jZN4qy-tGZ4rQTLkL7jJihyfRDD_NcdBFw"

// FuzzResumeToken: no token is believed that this hub has not signed, and each that it has signed
// is.
func FuzzResumeToken(f *testing.F) {
	f.Add("", "")
	f.Add("..", "wZ1lN9pQhT5sJb3vXk7mDg")
	f.Add(token, token)
	h := newHub(f, signal.Options{ResumeKey: []byte("key")})
	genuine := h.ResumeToken("peer", "nonce")
	f.Add(genuine, "peer")
	f.Fuzz(func(t *testing.T, text, id string) {
		if got, _, ok := h.ReadToken(text); ok && (text != genuine || got != "peer") {
			t.Fatalf("%q is believed to be of %q", text, got)
		}
		if strings.Contains(id, ".") {
			return // no peer id does
		}
		if got, nonce, ok := h.ReadToken(h.ResumeToken(id, "n")); !ok || got != id ||
			nonce != "n" {
			t.Fatalf("the token of %q is of %q, %q, %v", id, got, nonce, ok)
		}
	})
}

// FuzzPost: whatever is posted, the answer is one of the protocol's, and what comes down the stream
// is frames.
func FuzzPost(f *testing.F) {
	for _, body := range []string{
		`{"key":"$key","received":0,"frames":[{"type":"hello"},{"type":"join","room":"tea"}]}`,
		`{"key":"$key","frames":[{"type":"ping"},1,null,"x",[],{}]}`, `{"key":"$key","received":-1}`, `{"key":"x"}`,
		`[]`, ``, `{"key":"$key","frames":[{"type":"bye"}]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h := newHub(t, signal.Options{Resume: time.Minute})
		server := native.New(h)
		ctx, cancel := context.WithCancel(t.Context())
		stream := &recordedStream{key: make(chan string, 1), header: http.Header{}}
		request := httptest.NewRequest("GET", "/signal/events", nil).WithContext(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			server.Events(stream, request)
		}()
		body = bytes.ReplaceAll(body, []byte("$key"), []byte(<-stream.key))
		answer := httptest.NewRecorder()
		server.Send(answer, httptest.NewRequest("POST", "/signal/send", bytes.NewReader(body)))
		switch answer.Code {
		case 204, 400, 404, 413:
		default:
			t.Fatalf("status %d", answer.Code)
		}
		cancel()
		<-done
		if err := h.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(stream.text.String()) {
			if data, ok := strings.CutPrefix(line, "data: "); ok && !json.Valid([]byte(data)) {
				t.Fatalf("%q came down", line)
			}
		}
	})
}

// recordedStream is the far end of an event stream.
type recordedStream struct {
	header http.Header
	text   strings.Builder // owned by the hub's goroutine until it is done
	key    chan string
}

func (r *recordedStream) Header() http.Header { return r.header }
func (r *recordedStream) WriteHeader(int)     {}
func (r *recordedStream) Flush()              {}
func (r *recordedStream) Write(b []byte) (int, error) {
	if _, after, ok := strings.Cut(string(b), `{"key":"`); ok {
		key, _, _ := strings.Cut(after, `"`)
		select {
		case r.key <- key:
		default:
		}
	}
	return r.text.Write(b)
}
