// Package wiretest tests dialects from outside: clients that say and get texts over WebSockets, and
// recordings of what the original servers said to theirs.
package wiretest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
	"signalbox/signal/native"
)

// Patience bounds every wait. It is never waited for unless something is broken.
const Patience = 20 * time.Second

// Box is a hub behind a real HTTP server on loopback, with the native protocol at /signal.
type Box struct {
	*signal.Hub
	URL string
}

// Start starts a box whose dialects mount adds.
func Start(t testing.TB, o signal.Options, mount func(*signal.Hub, *http.ServeMux)) *Box {
	t.Helper()
	hub, err := signal.New(o)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /signal", native.New(hub))
	mount(hub, mux)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := hub.Close(ctx); err != nil {
			t.Errorf("closing the hub: %v", err)
		}
		server.Close()
	})
	return &Box{hub, server.URL}
}

// Client is one connection of a client.
type Client struct {
	t     testing.TB
	ws    *websocket.Conn
	got   chan string   // closed when the connection is over
	over  chan struct{} // likewise
	how   error         // then
	pongs chan struct{}
}

// Dial connects a client.
func (b *Box) Dial(t testing.TB, path string, subprotocols ...string) *Client {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: subprotocols, HandshakeTimeout: Patience}
	ws, response, err := dialer.Dial("ws"+strings.TrimPrefix(b.URL, "http")+path, nil)
	if err != nil {
		t.Fatalf("dial %s: %v (%v)", path, err, response)
	}
	c := &Client{t: t, ws: ws, got: make(chan string, 1000), over: make(chan struct{}),
		pongs: make(chan struct{}, 1)}
	ws.SetPongHandler(func(string) error {
		select {
		case c.pongs <- struct{}{}:
		default:
		}
		return nil
	})
	go func() {
		defer close(c.got)
		defer close(c.over)
		for {
			_, body, err := ws.ReadMessage()
			if err != nil {
				c.how = err
				return
			}
			c.got <- string(body)
		}
	}()
	t.Cleanup(func() { ws.Close() })
	return c
}

// Say sends a text, and waits until the box has processed it, or ended the connection.
func (c *Client) Say(text string) {
	c.t.Helper()
	if err := c.ws.WriteMessage(websocket.TextMessage, []byte(text)); err == nil {
		c.Settle()
	}
}

// Settle waits until the box has processed all that the client has said, or the connection is over.
func (c *Client) Settle() {
	c.t.Helper()
	if c.ws.WriteControl(websocket.PingMessage, []byte("settle"), time.Now().Add(Patience)) != nil {
		return
	}
	select {
	case <-c.pongs:
	case <-c.over:
	case <-time.After(Patience):
		c.t.Fatal("no pong")
	}
}

// Next is what the client gets next; ok is false if the connection is over.
func (c *Client) Next() (text string, ok bool) {
	c.t.Helper()
	select {
	case text, ok = <-c.got:
	case <-time.After(Patience):
		c.t.Fatal("nothing comes")
	}
	return text, ok
}

// Want expects JSON texts, in this order. A string that starts with "$" stands for any value.
func (c *Client) Want(texts ...string) {
	c.t.Helper()
	for _, want := range texts {
		if got, ok := c.Next(); !ok {
			c.t.Fatalf("the connection is over (%v), want %s", c.how, want)
		} else if !Equal(got, want, map[string]any{}) {
			c.t.Fatalf("got %s, want %s", got, want)
		}
	}
}

// WantEnd expects the end of the connection, and nothing before it.
func (c *Client) WantEnd() {
	c.t.Helper()
	if got, ok := c.Next(); ok {
		c.t.Fatalf("got %s, want the end", got)
	}
}

// WantNothing expects that nothing has come that nobody has expected. The connection may be over.
func (c *Client) WantNothing() {
	c.t.Helper()
	c.Settle()
	select {
	case got, more := <-c.got:
		if more {
			c.t.Fatalf("got %s, want nothing", got)
		}
	default:
	}
}

// Close closes the connection as a page does that is done with it.
func (c *Client) Close() {
	done := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	c.ws.WriteControl(websocket.CloseMessage, done, time.Now().Add(Patience)) //nolint:errcheck // it is over
	for range c.got {
	}
}

// Cut cuts the connection.
func (c *Client) Cut() { c.ws.NetConn().Close() }

// Equal compares JSON. A string in want that starts with "$" matches any value the first time, and
// the same value from then on.
func Equal(got, want string, bound map[string]any) bool {
	var g, w any
	if json.Unmarshal([]byte(got), &g) != nil || json.Unmarshal([]byte(want), &w) != nil {
		return got == want
	}
	return same(g, w, bound)
}

func same(got, want any, bound map[string]any) bool {
	switch want := want.(type) {
	case string:
		if !strings.HasPrefix(want, "$") {
			return got == want
		}
		if _, known := bound[want]; !known {
			bound[want] = got
		}
		return reflect.DeepEqual(bound[want], got)
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(want) {
			return false
		}
		for k := range want {
			v, there := g[k]
			if !there || !same(v, want[k], bound) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(want) {
			return false
		}
		for i := range want {
			if !same(g[i], want[i], bound) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(got, want)
}

// Recording says how a trace of an original server is repeated against the box.
type Recording struct {
	File  string
	Path  func(url string) string // of the original's address, on the box
	Until int                     // the last line that is repeated; 0: all
	// Skip are lines that are not, each with the reason: an improvement, or how the original ends.
	Skip map[int]string
	// Instead are texts in place of the recorded ones.
	Instead map[int]string
	// Besides are what a client, by its name, gets behind all that is recorded: an improvement.
	Besides map[string]string
	// Compare reports whether a text, or the body of an answer, is the recorded one. nil: as Equal
	// does, behind which placeholders stand for values that differ from run to run.
	Compare func(got, want string) bool
}

func (r *Recording) same(got, want string, bound map[string]any) bool {
	if r.Compare != nil {
		return r.Compare(got, want)
	}
	return Equal(strings.TrimSpace(got), placeholder.ReplaceAllString(want, `"$$$1"`), bound)
}

// step is a line of a recording.
type step struct {
	N                    int
	Client, To, Via, URL string
	Protocol, Text, Body string
	Type, ACAO           string
	Req, Status, Close   int
}

var placeholder = regexp.MustCompile(`<((?:id|sid|pid|uuid)\d*)>`)

// repetition is a recording as it is repeated.
type repetition struct {
	*Recording
	box     *Box
	bound   map[string]any // what placeholders stand for
	clients map[string]*Client
	answers map[string]*http.Response // to requests, by client and number
}

// Repeat has clients say what they have said to the original, and get what they have got. Each
// client hears only what the recording says, in its order.
func (b *Box) Repeat(t testing.TB, r Recording) {
	t.Helper()
	file, err := os.Open(r.File)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	again := repetition{&r, b, map[string]any{}, map[string]*Client{}, map[string]*http.Response{}}
	lines, repeated := bufio.NewScanner(file), 0
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !bytes.HasPrefix(lines.Bytes(), []byte("{")) {
			continue // the heading, and the end
		}
		var s step
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatalf("%s: %v: %.80s", r.File, err, lines.Bytes())
		}
		if r.Skip[s.N] != "" || s.Via == "" || r.Until != 0 && s.N > r.Until {
			continue
		}
		s.Text = cmp.Or(r.Instead[s.N], s.Text)
		repeated++
		switch {
		case s.Via == "WS":
			again.dial(t, &s)
		case s.Via != "ws" && s.To == "server":
			again.ask(t, &s)
		case s.Via != "ws":
			again.answer(t, &s)
		case s.To == "server":
			again.say(t, &s)
		default:
			again.hear(t, &s)
		}
	}
	if lines.Err() != nil || repeated == 0 {
		t.Fatalf("%s: %d steps are repeated, %v", r.File, repeated, lines.Err())
	}
	for name, c := range again.clients {
		if text, ok := r.Besides[name]; ok {
			if got, ok := c.Next(); !ok || !r.same(got, text, again.bound) {
				t.Errorf("%s got %s (%v) at the end, want %s", name, got, ok, text)
			}
		}
		c.WantNothing()
	}
}

func (r *repetition) dial(t testing.TB, s *step) {
	t.Helper()
	var protocols []string
	if s.Protocol != "" {
		protocols = append(protocols, s.Protocol)
	}
	r.clients[s.Client] = r.box.Dial(t, r.Path(s.URL), protocols...)
	r.clients[s.Client].Settle()
}

// ask makes a request.
func (r *repetition) ask(t testing.TB, s *step) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), s.Via, r.box.URL+r.Path(s.URL), strings.NewReader(s.Body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	r.answers[fmt.Sprint(s.Client, s.Req)] = response
}

// answer compares what has come of a request.
func (r *repetition) answer(t testing.TB, s *step) {
	t.Helper()
	response := r.answers[fmt.Sprint(s.Client, s.Req)]
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	want, _, _ := strings.Cut(s.Type, ";")
	if response.StatusCode != s.Status || kind != want || !r.same(string(body), s.Body, r.bound) {
		t.Errorf("line %d: %d %s %s, want %d %s %s", s.N, response.StatusCode, kind, body, s.Status, want, s.Body)
	}
	if readers := response.Header.Get("Access-Control-Allow-Origin"); readers != s.ACAO {
		t.Errorf("line %d: pages of %q may read it, want %q", s.N, readers, s.ACAO)
	}
}

// say has a client say something, or end its connection.
func (r *repetition) say(t testing.TB, s *step) {
	t.Helper()
	c := r.clients[s.Client]
	switch s.Close {
	case 0:
		c.Say(fill(s.Text, r.bound))
	case websocket.CloseAbnormalClosure:
		before := r.box.Summary().Counters.Lost
		c.Cut()
		for until := time.Now().Add(Patience); r.box.Summary().Counters.Lost == before; time.Sleep(time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("line %d: %s's connection is not lost", s.N, s.Client)
			}
		}
	default:
		c.Close()
	}
}

// hear compares what a client gets.
func (r *repetition) hear(t testing.TB, s *step) {
	t.Helper()
	c := r.clients[s.Client]
	got, ok := c.Next()
	switch {
	case s.Close != 0 && ok:
		t.Fatalf("line %d: %s got %s, want the end", s.N, s.Client, got)
	case s.Close != 0: // where the original gives no code, the box says why
		if s.Close != websocket.CloseNoStatusReceived && !websocket.IsCloseError(c.how, s.Close) {
			t.Errorf("line %d: %s's connection ended with %v, want %d", s.N, s.Client, c.how, s.Close)
		}
	case !ok || !r.same(got, s.Text, r.bound):
		t.Fatalf("line %d: %s got %q (%v), want %q", s.N, s.Client, got, ok, s.Text)
	}
}

// fill replaces the names of values that differ from run to run by those of this one.
func fill(text string, bound map[string]any) string {
	return placeholder.ReplaceAllStringFunc(text, func(name string) string {
		value, err := json.Marshal(bound["$"+strings.Trim(name, "<>")])
		if err != nil {
			return name
		}
		return string(value)
	})
}
