package signal_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"signalbox/signal"
)

// sseConn is a client of the hub over server-sent events.
type sseConn struct {
	t      testing.TB
	box    *box
	stream *bufio.Reader
	body   io.Closer
	key    string
}

func (b *box) events(t testing.TB, header http.Header) *sseConn {
	t.Helper()
	request, err := http.NewRequest("GET", b.server.URL+"/signal/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("got %s %v", response.Status, response.Header)
	}
	c := &sseConn{t: t, box: b, stream: bufio.NewReader(response.Body), body: response.Body}
	kind, _, data := c.event()
	var open struct{ Key string }
	if err := json.Unmarshal([]byte(data), &open); err != nil || kind != "open" || open.Key == "" {
		t.Fatalf("the first event is %s %s", kind, data)
	}
	c.key = open.Key
	return c
}

// event reads one; comments are passed over.
func (c *sseConn) event() (kind, id, data string) {
	c.t.Helper()
	watchdog := time.AfterFunc(patience, func() { c.body.Close() })
	defer watchdog.Stop()
	kind = "message"
	var lines []string
	for {
		line, err := c.stream.ReadString('\n')
		if err != nil {
			c.t.Fatalf("stream: %v", err)
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			kind = value
		case "id":
			id = value
		case "data":
			lines = append(lines, value)
		case "":
			if lines != nil {
				return kind, id, strings.Join(lines, "\n")
			}
		}
	}
}

func (c *sseConn) expect(kind string) frame {
	c.t.Helper()
	event, id, data := c.event()
	var f frame
	if err := json.Unmarshal([]byte(data), &f); err != nil || event != "message" || f["type"] != kind {
		c.t.Fatalf("got %s %s, want a %s", event, data, kind)
	}
	if seq, ok := f["seq"].(float64); ok && id != string(mustJSON(c.t, seq)) {
		c.t.Fatalf("the event's id is %q, its seq %v", id, seq)
	}
	return f
}

func (c *sseConn) expectClose(code int) {
	c.t.Helper()
	for {
		event, _, data := c.event()
		if event != "close" {
			continue
		}
		var end struct{ Code int }
		if json.Unmarshal([]byte(data), &end); end.Code != code {
			c.t.Fatalf("closed with %s, want %d", data, code)
		}
		return
	}
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// post sends frames and returns the status.
func (c *sseConn) post(received int, frames ...frame) int {
	c.t.Helper()
	return c.box.post(c.t, mustJSON(c.t, struct {
		Key      string  `json:"key"`
		Received int     `json:"received"`
		Frames   []frame `json:"frames"`
	}{c.key, received, frames}))
}

// post may be waited for by another goroutine, so it returns in any case.
func (b *box) post(t testing.TB, body []byte) int {
	t.Helper()
	response, err := http.Post(b.server.URL+"/signal/send", "text/plain", bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

func TestEventsCarryTheProtocol(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	c := b.events(t, nil)
	if code := c.post(0, frame{"type": "hello", "name": "Alice", "id": "1"},
		frame{"type": "join", "room": "tea", "id": "2"}); code != 204 {
		t.Fatalf("status %d", code)
	}
	id := c.expect("welcome").text("peerId")
	c.expect("ack")
	c.expect("joined")
	c.expect("ack")
	bob := b.join(t, "tea", "Bob")
	c.expect("peer-joined")
	// Line breaks between JSON's values are the client's right.
	bob.write("{\"type\":\"signal\",\"to\":\"" + id + "\",\"data\":{\r\n\"a\":1,\r\"b\":\n\n2}}")
	if data := c.expect("signal")["data"].(map[string]any); data["a"] != 1.0 || data["b"] != 2.0 {
		t.Errorf("got %v", data)
	}
	c.post(3, frame{"type": "signal", "to": bob.id, "data": "back"})
	if f := bob.expect("signal"); f["data"] != "back" || f["from"] != id {
		t.Errorf("got %v", f)
	}
	c.post(3, frame{"type": "bye"})
	c.expectClose(1000)
	if f := bob.expect("peer-left"); f["reason"] != "left" {
		t.Errorf("got %v", f)
	}
	if _, err := io.ReadAll(c.stream); err != nil {
		t.Error(err)
	}
	if code := c.post(3, frame{"type": "ping"}); code != 404 {
		t.Errorf("after the end: status %d", code)
	}
}

// A stream outlives the limits that a server has for requests and answers.
func TestEventsOutliveTheServersLimits(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	c := b.events(t, nil)
	c.post(0, frame{"type": "hello"})
	c.expect("welcome")
	tick := time.NewTicker(serverTimeout / 5)
	defer tick.Stop()
	for range 8 {
		<-tick.C
		if code := c.post(0, frame{"type": "ping"}); code != 204 {
			t.Fatalf("status %d", code)
		}
		c.expect("pong")
	}
}

func TestSilentEventsEnd(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Heartbeat: time.Second}, func(l *signal.Limits) { l.Hello = 2 * time.Second })
	mute := b.events(t, nil)
	mute.expectClose(4004)
	silent := b.events(t, nil)
	silent.post(0, frame{"type": "hello"})
	silent.expect("welcome")
	if _, err := io.ReadAll(silent.stream); err != nil {
		t.Error(err)
	}
	if n := b.Snapshot().Sessions; n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// A page in the background has hardly any timers, so the hub asks. POSTs without frames are
// answers, and the hub doesn't ask a client that sends.
func TestEventsPing(t *testing.T) {
	t.Parallel()
	const heartbeat, times = 2 * time.Second, 3 // together more silence than is borne
	b := start(t, signal.Options{Heartbeat: heartbeat})
	c := b.events(t, nil)
	c.post(0, frame{"type": "hello"})
	c.expect("welcome")
	began := time.Now()
	for range times {
		if kind, _, data := c.event(); kind != "ping" || data != "{}" {
			t.Fatalf("after %v: %s %s", time.Since(began), kind, data)
		}
		if code := c.post(0); code != 204 {
			t.Fatalf("status %d", code)
		}
	}
	if asked := time.Since(began); asked < (times-1)*heartbeat {
		t.Errorf("asked %d times in %v", times, asked)
	}
}

func TestPostsAreBounded(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{MaxFrame: 1000})
	c := b.events(t, nil)
	many := make([]frame, 65)
	for i := range many {
		many[i] = frame{"type": "ping"}
	}
	for text, want := range map[string]int{
		`{"key":"` + c.key + `","frames":[` + strings.Repeat(" ", 256<<10) + `]}`: 413,
		string(mustJSON(t, frame{"key": c.key, "frames": many})):                  413,
		`{"key":"x","frames":[]}`: 404,
		`{"frames":[],"key":"x"}`: 404,
		`{"frames":[{"type":"ping"}],"more":{"deep":[1]},"key":"` + c.key + `"}`:  204,
		`{"frames":["` + strings.Repeat("x", 4<<10) + `"],"key":"` + c.key + `"}`: 400,
		` { "key" : "` + c.key + `" , "frames" : null } `:                         204,
		`{"key":"` + c.key + `"} {}`:                                              400,
		`{"key":"\u0078"}`:                                                        404,
		`{"key":1}`:                                                               400,
		`{"key":"` + c.key + `","frames":1}`:                                      400,
		`{"key":"` + c.key + `","frames":[{]}`:                                    400,
		`nonsense`:                                                                400,
		``:                                                                        400,
		`{"key":"` + c.key + `","received":-1}`:                                   400,
		`{"key":"` + c.key + `","received":99999999999}`:                          204, // a lie that harms nobody
		`{"key":"` + c.key + `","frames":[]}`:                                     204,
	} {
		if got := b.post(t, []byte(text)); got != want {
			t.Errorf("%.60s: status %d, want %d", text, got, want)
		}
	}
	c.expect("pong")
	c.post(0, frame{"type": "hello"})
	c.expect("welcome")
	if code := c.post(0, frame{"type": "signal", "data": strings.Repeat("x", 1000)}); code != 404 {
		t.Errorf("a frame that is too large: status %d", code)
	}
	if f := c.expect("error"); f["code"] != "too-large" {
		t.Errorf("got %v", f)
	}
	c.expectClose(4501)
}

// slowBody counts what is read of it, and has no end.
type slowBody struct {
	begin io.Reader
	read  int
}

func (b *slowBody) Read(p []byte) (n int, err error) {
	if n, err = b.begin.Read(p); err == io.EOF {
		n, err = len(p), nil
		for i := range p {
			p[i] = ' '
		}
	}
	b.read += n
	return n, err
}

// Of somebody who names no stream next to nothing is read, and of a client no more than a POST may
// have.
func TestHub3PostsCostNothingBeforeTheirKey(t *testing.T) {
	b := start(t, signal.Options{})
	for begin, want := range map[string]struct{ status, read int }{
		`{"key":"nobody's","frames":[`: {404, 512},
		`{"key":"`:                     {400, 4<<10 + 1},
		`{"frames":[{`:                 {400, 4<<10 + 1},
		``:                             {400, 4<<10 + 1},
	} {
		body, answer := &slowBody{begin: strings.NewReader(begin)}, httptest.NewRecorder()
		b.native.Send(answer, httptest.NewRequest("POST", "/signal/send", body))
		if answer.Code != want.status || body.read > want.read {
			t.Errorf("%s: status %d, %d bytes read, want %d and %d at most", begin, answer.Code, body.read, want.status,
				want.read)
		}
	}
	c := b.events(t, nil)
	text := []byte(`{"key":"` + c.key + `","frames":[` + strings.Repeat("1,", 100_000) + `1]}`)
	allocs := testing.AllocsPerRun(10, func() {
		if code := b.post(t, text); code != 413 {
			t.Errorf("status %d", code)
		}
	})
	if allocs > 1000 {
		t.Errorf("a POST with too many frames makes %v objects", allocs)
	}
}

func TestEventsAndOrigins(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{AllowedOrigins: []string{"https://app.example.org"}})
	// A page that is refused may read that it is.
	readers := map[int]string{200: "https://app.example.org", 403: "*"}
	for origin, want := range map[string]int{"https://app.example.org": 200, "https://evil.example.org": 403} {
		for _, path := range []string{"/signal/events", "/signal/send"} {
			method := map[string]string{"/signal/events": "GET", "/signal/send": "OPTIONS"}[path]
			request, _ := http.NewRequest(method, b.server.URL+path, nil)
			request.Header.Set("Origin", origin)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if ok := response.StatusCode < 300; ok != (want == 200) {
				t.Errorf("%s from %s: %s", path, origin, response.Status)
			}
			if got := response.Header.Get("Timing-Allow-Origin"); (got == origin) != (want == 200) {
				t.Errorf("%s from %s: Timing-Allow-Origin %q", path, origin, got)
			}
			if got := response.Header.Get("Access-Control-Allow-Origin"); got != readers[want] {
				t.Errorf("%s from %s: Access-Control-Allow-Origin %q", path, origin, got)
			}
		}
	}
}

// A session changes its carrier with each connection, if it likes.
func TestResumeOverTheOtherCarrier(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute})
	alice := b.dial(t)
	alice.send("hello", nil)
	welcome := alice.expect("welcome")
	alice.send("join", frame{"room": "tea"})
	alice.expect("joined")
	alice.ws.NetConn().Close()

	bob := b.join(t, "tea", "Bob")
	bob.send("broadcast", frame{"room": "tea", "data": 1})
	c := b.events(t, http.Header{"Last-Event-Id": {"1"}})
	c.post(0, frame{"type": "resume", "token": welcome["resumeToken"]})
	if f := c.expect("resumed"); f["peerId"] != welcome["peerId"] || f["addressChanged"] != nil {
		t.Errorf("got %v", f)
	}
	c.expect("peer-joined")
	c.expect("broadcast")

	back := b.dial(t)
	back.send("resume", frame{"token": welcome["resumeToken"], "seq": 3})
	back.expect("resumed")
	c.expectClose(4503)
	bob.send("broadcast", frame{"room": "tea", "data": 2})
	if f := back.expect("broadcast"); f["seq"] != 4.0 {
		t.Errorf("got %v", f)
	}
}

// A POST in chunks counts for what it has, not for as much as it might have.
func TestHub13ChunkedPostsCountForWhatTheyHave(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Rate: 1000}, func(l *signal.Limits) { l.Volume = 1 << 16 })
	c := b.events(t, nil)
	c.post(0, frame{"type": "hello"})
	c.expect("welcome")
	chunked := func(body []byte) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), "POST", b.server.URL+"/signal/send",
			io.MultiReader(bytes.NewReader(body))) // whose length nobody knows
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	body := func(pad int) []byte {
		return []byte(`{"key":"` + c.key + `","frames":[{"type":"ping"}],"pad":"` + strings.Repeat("x", pad) + `"}`)
	}
	began := time.Now()
	for range 40 { // 10 MiB, of which the client has 0.5 at once and then 0.125 a second
		if status := chunked(body(0)); status != 204 {
			t.Fatalf("status %d", status)
		}
		c.expect("pong")
	}
	if took := time.Since(began); took > patience {
		t.Errorf("40 small ones took %v", took)
	}
	for pad, want := range map[int]int{3000: 204, 5000: 204, 60_000: 204, 200_000: 204, 300_000: 413} {
		if status := chunked(body(pad)); status != want {
			t.Errorf("with %d bytes more: status %d, want %d", pad, status, want)
		}
	}
}
