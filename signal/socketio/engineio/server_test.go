package engineio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/internal/testkit"
	"signalbox/signal"
)

// patience bounds every wait for something that must come. It is never waited for unless something
// is broken.
const patience = 30 * time.Second

func TestMain(m *testing.M) { testkit.Main(m, 10*time.Second, "signalbox/signal") }

// echo sends every message back.
type echo struct{ version int }

func (echo) Terms() signal.Terms { return signal.Terms{Name: "echo"} }

func (echo) Opened(s *signal.Session) {
	if err := s.Hello(signal.Hello{}); err != nil {
		s.Refuse(err)
	}
}

func (e echo) Message(s *signal.Session, m signal.Frame, over error) {
	switch {
	case over != nil:
		s.Refuse(over)
	case m.Binary:
		s.Reply(Binary(e.version, append([]byte{}, m.Body...)))
	case string(m.Body) == "panic":
		panic("a dialect fails")
	default:
		s.Reply(Text(m.Body))
	}
}

func (echo) Encode(dst []signal.Frame, _ signal.Event) []signal.Frame { return dst }
func (echo) Encoding(signal.Event) any                                { return nil }
func (echo) Ended(*signal.Session)                                    {}

// box is a server of echoes.
type box struct {
	t   testing.TB
	hub *signal.Hub
	*Server
	url string
}

// newBox has a box that ends whoever is silent for half a second, as any client may be on a busy
// machine.
func newBox(t testing.TB, o signal.Options) *box {
	return newBoxOf(t, o, Options{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond})
}

func newBoxOf(t testing.TB, o signal.Options, options Options) *box {
	t.Helper()
	hub, err := signal.New(o)
	if err != nil {
		t.Fatal(err)
	}
	options.Open = func(r Request) Conversation { return echo{r.Version} }
	s := New(hub, options)
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := hub.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		web.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.pollings) != 0 {
			t.Errorf("%d sessions are left", len(s.pollings))
		}
	})
	return &box{t, hub, s, web.URL + "/engine.io/?"}
}

// answer is what a request got.
type answer struct {
	status int
	body   string
}

func (b *box) do(method, query, body string) answer {
	b.t.Helper()
	r, err := http.NewRequest(method, b.url+query, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{response.StatusCode, string(text)}
}

// client is one that polls.
type client struct {
	*box
	version int
	id      string
}

func (b *box) open(version int, more ...string) *client {
	b.t.Helper()
	c := &client{box: b, version: version}
	got := b.do("GET", fmt.Sprintf("EIO=%d&transport=polling", version)+strings.Join(more, ""), "")
	_, packet, _ := strings.Cut(got.body, "0{")
	packet, _, _ = strings.Cut(packet, "}")
	var hello struct{ SID string }
	if err := json.Unmarshal([]byte("{"+packet+"}"), &hello); err != nil || got.status != 200 {
		b.t.Fatalf("got %v: %v", got, err)
	}
	c.id = hello.SID
	return c
}

func (c *client) query(transport string) string {
	return fmt.Sprintf("EIO=%d&transport=%s&sid=%s", c.version, transport, c.id)
}

func (c *client) get() answer             { return c.do("GET", c.query("polling"), "") }
func (c *client) post(body string) answer { return c.do("POST", c.query("polling"), body) }

// expect compares what polls and posts got.
func (b *box) expect(what string, got answer, status int, body string) {
	b.t.Helper()
	if got.status != status || body != "*" && got.body != body {
		b.t.Errorf("%s: got %d %q, want %d %q", what, got.status, got.body, status, body)
	}
}

// later does something beside.
func later[T any](do func() T) <-chan T {
	got := make(chan T, 1)
	go func() { got <- do() }()
	return got
}

type socketClient struct {
	t testing.TB
	*websocket.Conn
}

func (b *box) dial(query string) (*socketClient, int) {
	b.t.Helper()
	conn, response, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(b.url, "http")+query, nil)
	if err != nil {
		if response == nil {
			b.t.Fatal(err)
		}
		return nil, response.StatusCode
	}
	b.t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(patience))
	return &socketClient{b.t, conn}, 101
}

func (c *socketClient) say(packets ...string) {
	for _, p := range packets {
		if c.WriteMessage(websocket.TextMessage, []byte(p)) != nil {
			return // it is closed, as the test will see
		}
	}
}

func (c *socketClient) read() string {
	kind, body, err := c.ReadMessage()
	var closed *websocket.CloseError
	var reset *net.OpError // where something was on its way to the box
	switch {
	case errors.As(err, &closed), errors.As(err, &reset) && !reset.Timeout():
		return "closed"
	case err != nil:
		return err.Error()
	case kind == websocket.BinaryMessage:
		return fmt.Sprintf("binary %x", body)
	}
	return string(body)
}

func (c *socketClient) expect(packets ...string) {
	c.t.Helper()
	for _, want := range packets {
		if got := c.read(); got != want {
			c.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// What the published suites pin down, and more: each by name, in each version.
func TestEdges(t *testing.T) {
	t.Parallel()
	// framed is a payload of one packet.
	framed := func(version int, packets ...string) string {
		var payload []byte
		for _, p := range packets {
			payload = appendPacket(version, payload, text(p))
		}
		return string(payload)
	}
	for name, edge := range map[string]func(b *box, c *client, version int){
		"post is answered ok and its packets come back": func(b *box, c *client, v int) {
			b.expect("post", c.post(framed(v, "4a", "4b")), 200, "ok")
			b.expect("poll", c.get(), 200, framed(v, "4a", "4b"))
		},
		"binary is base64": func(b *box, c *client, v int) {
			packet := string(appendPacket(v, nil, Binary(v, []byte{1, 2, 3, 4})))
			b.expect("post", c.post(packet), 200, "ok")
			b.expect("poll", c.do("GET", c.query("polling")+"&b64=1", ""), 200, packet)
			if b.expect("post", c.post(packet), 200, "ok"); v == 3 { // whose clients take it as it is, too
				packet = "\x01\x05\xff\x04\x01\x02\x03\x04"
			}
			b.expect("poll", c.get(), 200, packet)
		},
		"malformed packet type ends the session": func(b *box, c *client, v int) {
			b.expect("post", c.post(framed(v, "abc")), 400, "*")
			b.expect("poll", c.get(), 400, `{"code":1,"message":"Session ID unknown"}`)
		},
		"malformed payload ends the session": func(b *box, c *client, v int) {
			b.expect("post", c.post("\x1e"), 400, "*")
			b.expect("poll", c.get(), 400, "*")
		},
		"second concurrent poll ends the session": func(b *box, c *client, v int) {
			first := later(c.get)
			for !c.isWaiting() {
				time.Sleep(time.Millisecond)
			}
			b.expect("second", c.get(), 400, "*")
			b.expect("first", <-first, 200, framed(v, "1"))
			b.expect("third", c.get(), 400, "*")
		},
		"aborted poll ends the session": func(b *box, c *client, v int) {
			ctx, cancel := context.WithCancel(context.Background())
			r, _ := http.NewRequestWithContext(ctx, "GET", b.url+c.query("polling"), nil)
			done := later(func() error { _, err := http.DefaultClient.Do(r); return err })
			for !c.isWaiting() {
				time.Sleep(time.Millisecond)
			}
			cancel()
			<-done
			for b.find(c.id) != nil {
				time.Sleep(time.Millisecond)
			}
			b.expect("poll", c.get(), 400, "*")
		},
		"close while a poll waits": func(b *box, c *client, v int) {
			first := later(c.get)
			for !c.isWaiting() {
				time.Sleep(time.Millisecond)
			}
			b.expect("post", c.post(framed(v, "1")), 200, "ok")
			b.expect("first", <-first, 200, framed(v, "6"))
			b.expect("second", c.get(), 400, "*")
		},
		"silence ends the session": func(b *box, c *client, v int) {
			time.Sleep(500 * time.Millisecond)
			b.expect("poll", c.get(), 400, "*")
		},
		"silence ends the session, though the timer is late": func(b *box, c *client, v int) {
			p := c.find(c.id)
			p.mu.Lock()
			p.watch.Stop()
			p.mu.Unlock()
			p.heard.Store(-int64(time.Hour))
			b.expect("post", c.post(framed(v, "4late")), 400, "*")
			b.expect("poll", c.get(), 400, "*")
		},
		"upgrade": func(b *box, c *client, v int) {
			first := later(c.get)
			for !c.isWaiting() {
				time.Sleep(time.Millisecond)
			}
			socket, _ := b.dial(c.query("websocket"))
			socket.say("2probe")
			socket.expect("3probe")
			b.expect("poll that waited", <-first, 200, framed(v, "6"))
			b.expect("next poll", c.get(), 200, framed(v, "6"))
			b.expect("post between", c.post(framed(v, "4between")), 200, "ok")
			socket.say("5", "4hello")
			socket.expect("4between", "4hello")
			b.expect("poll after", c.get(), 400, "*")
			b.expect("post after", c.post(framed(v, "4x")), 400, "*")
			if _, status := b.dial(c.query("websocket")); status != 400 {
				b.t.Errorf("a second WebSocket: %d", status)
			}
			socket.say("4still here")
			socket.expect("4still here")
		},
		"poll that comes with the upgrade": func(b *box, c *client, v int) {
			socket, _ := b.dial(c.query("websocket"))
			socket.say("2probe")
			socket.expect("3probe")
			poll := later(c.get)
			socket.say("5", "4hello")
			socket.expect("4hello")
			b.expect("poll", <-poll, 400, "*")
		},
		"second WebSocket while one is tried": func(b *box, c *client, v int) {
			socket, _ := b.dial(c.query("websocket"))
			socket.say("2probe")
			socket.expect("3probe")
			if _, status := b.dial(c.query("websocket")); status != 400 {
				b.t.Errorf("got %d", status)
			}
			socket.say("5", "4hello")
			socket.expect("4hello")
		},
		"given up upgrade": func(b *box, c *client, v int) {
			socket, _ := b.dial(c.query("websocket"))
			socket.say("2probe")
			socket.expect("3probe")
			socket.Close()
			for c.find(c.id).trying.Load() {
				time.Sleep(time.Millisecond)
			}
			b.expect("post", c.post(framed(v, "4a")), 200, "ok")
			b.expect("poll", c.get(), 200, framed(v, "4a"))
			again, _ := b.dial(c.query("websocket"))
			again.say("2probe")
			again.expect("3probe")
		},
		"WebSocket that says something else than a probe": func(b *box, c *client, v int) {
			socket, _ := b.dial(c.query("websocket"))
			socket.say("4hello")
			socket.expect("closed")
			b.expect("post", c.post(framed(v, "4a")), 200, "ok")
			b.expect("poll", c.get(), 200, framed(v, "4a"))
		},
		"upgrade of a session that is over": func(b *box, c *client, v int) {
			socket, _ := b.dial(c.query("websocket"))
			socket.say("2probe")
			socket.expect("3probe")
			b.expect("post", c.post(framed(v, "1")), 200, "ok")
			for b.find(c.id) != nil {
				time.Sleep(time.Millisecond)
			}
			socket.say("5")
			socket.expect("closed")
		},
		"too long a post": func(b *box, c *client, v int) {
			b.expect("post", c.post(framed(v, "4"+strings.Repeat("x", 70_000))), 400, "*")
			b.expect("poll", c.get(), 400, "*")
		},
		"panic ends the session alone": func(b *box, c *client, v int) {
			r, _ := http.NewRequest("POST", b.url+c.query("polling"), strings.NewReader(framed(v, "4panic")))
			if response, err := http.DefaultClient.Do(r); err == nil {
				response.Body.Close()
			}
			for b.find(c.id) != nil {
				c.get()
			}
		},
	} {
		for _, version := range []int{3, 4} {
			t.Run(fmt.Sprintf("%d: %s", version, name), func(t *testing.T) {
				t.Parallel()
				b := newBoxOf(t, signal.Options{}, Options{})
				if name == "silence ends the session" {
					b = newBox(t, signal.Options{})
				}
				edge(b, b.open(version), version)
			})
		}
	}
}

func (c *client) isWaiting() bool {
	p := c.find(c.id)
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting != nil && !p.answering
}

// A client of version 3 that asks for base64 as it opens gets it in every answer.
func TestBase64IsForTheSession(t *testing.T) {
	t.Parallel()
	b := newBoxOf(t, signal.Options{}, Options{})
	c := b.open(3, "&b64=1")
	const packets = "6:4hello10:b4AQIDBA=="
	b.expect("post", c.post(packets), 200, "ok")
	b.expect("poll", c.get(), 200, packets)
}

func TestHandshakes(t *testing.T) {
	t.Parallel()
	b := newBox(t, signal.Options{})
	for _, tc := range []struct {
		method, query string
		code          int
	}{
		{"GET", "transport=polling", 5}, {"GET", "EIO=abc&transport=polling", 5}, {"GET", "EIO=2&transport=polling", 5},
		{"GET", "EIO=5&transport=polling", 5}, {"GET", "EIO=04&transport=polling", 5}, {"GET", "EIO=4", 0},
		{"GET", "EIO=4&transport=abc", 0}, {"POST", "EIO=4&transport=polling", 2},
		{"PUT", "EIO=4&transport=polling", 2},
		{"GET", "EIO=4&transport=websocket", 3}, {"GET", "EIO=4&transport=polling&sid=x", 1},
		{"GET", "EIO=3&transport=polling&j=0", 3}, {"POST", "EIO=4&transport=polling&sid=x", 1},
	} {
		got := b.do(tc.method, tc.query, "")
		if got.status != 400 || !strings.HasPrefix(got.body, fmt.Sprintf(`{"code":%d,"message":"`, tc.code)) {
			t.Errorf("%s %s: got %v", tc.method, tc.query, got)
		}
	}
	for _, query := range []string{"transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=4&transport=abc",
		"EIO=4&transport=polling", "EIO=4&transport=websocket&sid=x"} {
		if _, status := b.dial(query); status != 400 {
			t.Errorf("WebSocket %s: got %d", query, status)
		}
	}
	keys := func(packet string) (out map[string]any) {
		if err := json.Unmarshal([]byte(packet), &out); err != nil {
			t.Errorf("%q: %v", packet, err)
		}
		delete(out, "sid")
		return out
	}
	const upgrades = `map[maxPayload:65536 pingInterval:300 pingTimeout:200 upgrades:[websocket]]`
	if got := fmt.Sprint(keys(b.do("GET", "EIO=4&transport=polling", "").body[1:])); got != upgrades {
		t.Errorf("got %s", got)
	}
	_, packet, _ := strings.Cut(b.do("GET", "EIO=3&transport=polling", "").body, ":0")
	if got := fmt.Sprint(keys(packet)); got != `map[pingInterval:300 pingTimeout:200 upgrades:[websocket]]` {
		t.Errorf("version 3: got %s", got)
	}
	socket, _ := b.dial("EIO=4&transport=websocket")
	if got := fmt.Sprint(keys(socket.read()[1:])); got != strings.Replace(upgrades, "websocket", "", 1) {
		t.Errorf("WebSocket: got %s", got)
	}
}

// Version 4's server asks whether its client is alive, version 3's client says so.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	b := newBoxOf(t, signal.Options{}, Options{PingInterval: 300 * time.Millisecond, PingTimeout: 6 * time.Second})
	c, c3 := b.open(4), b.open(3)
	socket, _ := b.dial("EIO=4&transport=websocket")
	silent, _ := b.dial("EIO=4&transport=websocket")
	silent3, _ := b.dial("EIO=3&transport=websocket")
	for _, s := range []*socketClient{socket, silent, silent3} {
		s.read()
	}
	silent3.say("2probe")
	for range 22 { // for longer than the silent ones last
		b.expect("poll", c.get(), 200, "2")
		b.expect("post", c.post("3"), 200, "ok")
		socket.expect("2")
		socket.say("3")
		b.expect("post", c3.post("1:2"), 200, "ok")
		b.expect("poll", c3.get(), 200, "1:3")
	}
	for s, hears := range map[*socketClient]string{silent: "2", silent3: "3probe"} {
		got := s.read()
		for got == hears {
			got = s.read()
		}
		if got != "closed" {
			t.Errorf("who is silent gets %q", got)
		}
	}
}

func TestWebSockets(t *testing.T) {
	t.Parallel()
	b := newBoxOf(t, signal.Options{}, Options{})
	for version, packet := range map[int]string{3: "\x04\x01\x02", 4: "\x01\x02"} {
		socket, _ := b.dial(fmt.Sprintf("EIO=%d&transport=websocket", version))
		socket.read()
		socket.say("4hello", "4", "6")
		socket.expect("4hello", "4")
		if err := socket.WriteMessage(websocket.BinaryMessage, []byte(packet)); err != nil {
			t.Fatal(err)
		}
		socket.expect(fmt.Sprintf("binary %x", packet))
		socket.say("1")
		socket.expect("closed")
		for _, bad := range []string{"abc", "", "0", map[int]string{3: "3", 4: "2"}[version]} {
			socket, _ := b.dial(fmt.Sprintf("EIO=%d&transport=websocket", version))
			socket.read()
			socket.say(bad)
			socket.expect("closed")
		}
	}
}

// A foreign page hears that it may not, an allowed one may read everything, also before it asks.
func TestOrigins(t *testing.T) {
	t.Parallel()
	b := newBoxOf(t, signal.Options{AllowedOrigins: []string{"https://app.example.org"}}, Options{})
	for origin, want := range map[string]int{"https://app.example.org": 200, "https://evil.example.org": 403} {
		r, _ := http.NewRequest("GET", b.url+"EIO=4&transport=polling", nil)
		r.Header.Set("Origin", origin)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want || want == 200 && response.Header.Get("Access-Control-Allow-Origin") != origin {
			t.Errorf("%s: got %d %v", origin, response.StatusCode, response.Header)
		}
	}
	r, _ := http.NewRequest("OPTIONS", b.url, nil)
	r.Header.Set("Origin", "https://app.example.org")
	r.Header.Set("Access-Control-Request-Headers", "x-custom")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 204 || response.Header.Get("Access-Control-Allow-Headers") != "x-custom" {
		t.Errorf("got %d %v", response.StatusCode, response.Header)
	}
}

// A page that sends no Origin is told by what else its browser sends: a GET of its own origin,
// whose name leads to the box, or an image of another site. Programs are let in by whatever name.
func TestForeignPageWithoutOrigin(t *testing.T) {
	t.Parallel()
	own := func(host string) bool { return host == "box.example" }
	for _, test := range []struct {
		host    string
		headers []string
		any     bool
		want    int
	}{
		{host: "other.example", want: 200},
		{host: "other.example", headers: []string{"Accept-Language", "*", "Sec-Fetch-Mode", "cors",
			"User-Agent", "node"}, want: 200},
		{host: "other.example", headers: []string{"Accept-Language", "en", "User-Agent", "App/1 CFNetwork/1 Darwin/1"},
			want: 200},
		{host: "evil.example", headers: []string{"Sec-Fetch-Site", "same-origin"}, want: 403},
		{host: "evil.example", headers: []string{"User-Agent", "Mozilla/5.0 (X11)"}, want: 403},
		{host: "evil.example", headers: []string{"User-Agent", "Mozilla/5.0 (X11)", "Referer", "http://evil.example/"},
			want: 403},
		{host: "box.example", headers: []string{"User-Agent", "Mozilla/5.0 (X11)"}, want: 200},
		{host: "box.example", headers: []string{"User-Agent", "Mozilla/5.0 (X11)", "Referer", "http://evil.example/"},
			want: 403},
		{host: "box.example", headers: []string{"Sec-Fetch-Site", "same-origin"}, want: 200},
		{host: "box.example", headers: []string{"Sec-Fetch-Site", "same-origin", "Referer", "https://box.example/room"},
			want: 200},
		// Behind a proxy that rewrites Host, the page's own name counts.
		{host: "backend.example", headers: []string{"Sec-Fetch-Site", "same-origin", "Referer", "https://app.example/"},
			want: 200},
		{host: "box.example", headers: []string{"Sec-Fetch-Site", "none"}, want: 200},
		{host: "box.example", headers: []string{"Sec-Fetch-Site", "cross-site"}, want: 403},
		{host: "box.example", headers: []string{"Sec-Fetch-Site", "same-site"}, want: 403},
		{host: "evil.example", headers: []string{"Sec-Fetch-Site", "cross-site"}, any: true, want: 200},
	} {
		o := signal.Options{OwnHost: own, AllowedOrigins: []string{"https://app.example"}}
		if test.any {
			o.AllowedOrigins = []string{"*"}
		}
		b := newBoxOf(t, o, Options{})
		r, _ := http.NewRequest("GET", b.url+"EIO=3&transport=polling&room=tea", nil)
		r.Host = test.host
		for header := range slices.Chunk(test.headers, 2) {
			r.Header.Set(header[0], header[1])
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != test.want {
			t.Errorf("%s %v: got %d, want %d", test.host, test.headers, response.StatusCode, test.want)
		}
		if n := b.hub.Snapshot().Counters.ForeignOrigins; (n > 0) != (test.want == 403) {
			t.Errorf("%s %v: %d are counted", test.host, test.headers, n)
		}
	}
}

// A thousand polls may wait; the hub's limits hold for clients that poll, and its end is theirs.
func TestManyPolls(t *testing.T) {
	t.Parallel()
	const n = 1000
	b := newBoxOf(t, signal.Options{Sessions: n}, Options{})
	polls := sync.WaitGroup{}
	for range n {
		c := b.open(4)
		polls.Go(func() {
			if got := c.get(); got.status != 200 || got.body != "1" {
				t.Errorf("got %v", got)
			}
		})
		for !c.isWaiting() {
			time.Sleep(100 * time.Microsecond)
		}
	}
	if got := b.do("GET", "EIO=4&transport=polling", ""); got.status != 503 {
		t.Errorf("one too many: got %v", got)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.hub.Close(ctx); err != nil {
		t.Error(err)
	}
	polls.Wait()
	if got := b.do("GET", "EIO=4&transport=polling", ""); got.status != 503 {
		t.Errorf("after the end: got %v", got)
	}
}

// Of many WebSockets that are tried at once, one carries the session.
func TestUpgradeRace(t *testing.T) {
	t.Parallel()
	b := newBoxOf(t, signal.Options{}, Options{})
	c := b.open(4)
	race := sync.WaitGroup{}
	won := make(chan *socketClient, 16)
	for range 16 {
		race.Go(func() {
			socket, status := b.dial(c.query("websocket"))
			if status != 101 {
				return
			}
			socket.say("2probe", "5", "4hello")
			if socket.read() == "3probe" && socket.read() == "4hello" {
				won <- socket
			}
		})
	}
	race.Wait()
	if len(won) != 1 {
		t.Fatalf("%d have won", len(won))
	}
	socket := <-won
	socket.say("4still")
	socket.expect("4still")
}
