package apprtc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"signalbox/internal/testkit"
	"signalbox/signal"
	"signalbox/signal/native"
)

const patience = 10 * time.Second

func TestMain(m *testing.M) { testkit.Main(m, patience, "signalbox/signal") }

// box is a server of AppRTC's clients and native ones.
type box struct {
	t   *testing.T
	hub *signal.Hub
	mux *http.ServeMux
	web *httptest.Server
	*Server
}

// issuer gives credentials that name whom they are for.
type issuer struct{}

func (issuer) ICEServers(r signal.ICERequest) ([]signal.ICEServer, time.Time) {
	return servers(r.PeerID), time.Now().Add(time.Hour)
}

func servers(user string) []signal.ICEServer {
	return []signal.ICEServer{
		{URLs: []string{"stun:box:3478"}},
		{URLs: []string{"turn:box:3478?transport=udp", "turn:box:3478?transport=tcp", "turns:box:443?transport=tcp"},
			Username: user, Credential: "c"},
	}
}

// start serves a hub; times are those of a real box unless change makes them shorter.
func start(t *testing.T, o signal.Options, change func(*times)) *box {
	t.Helper()
	o.ICE = issuer{}
	hub, err := signal.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := New(hub, Options{
		ICE: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			WriteICE(w, r, signal.ICE{Servers: servers("anybody")})
		}),
		Origin: func(r *http.Request) string { return "http://" + r.Host },
	})
	if change != nil {
		change(&s.times)
	}
	mux := http.NewServeMux()
	for pattern, handler := range s.Routes() {
		mux.Handle(pattern, handler)
	}
	mux.Handle("GET /signal", native.New(hub))
	b := &box{t, hub, mux, httptest.NewServer(mux), s}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := hub.Close(ctx); err != nil {
			t.Error(err)
		}
		b.web.Close()
		if n := s.desk.size(); n != 0 || len(s.desk.keys) != 0 || hub.Carried(Name) != 0 {
			t.Errorf("%d clients left", n)
		}
	})
	return b
}

// size is how many clients there are.
func (d *desk) size() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, in := range d.rooms {
		n += len(in)
	}
	return n
}

// call makes a request and returns its status and body.
func (b *box) call(method, path, body string) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.web.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	got, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return got, string(text)
}

// joined is an answer of /join, read by the types that Android's RoomParametersFetcher wants.
type joined struct {
	Result string
	Params struct {
		RoomID      string   `json:"room_id"`
		ClientID    string   `json:"client_id"`
		Initiator   string   `json:"is_initiator"`
		Loopback    string   `json:"is_loopback"`
		WSS         string   `json:"wss_url"`
		Post        string   `json:"wss_post_url"`
		Config      string   `json:"pc_config"`
		Constraints string   `json:"pc_constraints"`
		Media       string   `json:"media_constraints"`
		ICE         string   `json:"ice_server_url"`
		Transports  string   `json:"ice_server_transports"`
		Link        string   `json:"room_link"`
		Messages    []string `json:"messages"`
		Errors      []string `json:"error_messages"`
	}
}

func (b *box) join(path string) (j joined) {
	b.t.Helper()
	got, text := b.call("POST", "/join/"+path, "")
	if err := json.Unmarshal([]byte(text), &j); err != nil || got.StatusCode != http.StatusOK {
		b.t.Fatalf("%s: %s, %v", text, got.Status, err)
	}
	return j
}

// enter is a join that must succeed.
func (b *box) enter(room string) (id string, j joined) {
	b.t.Helper()
	if j = b.join(room); j.Result != "SUCCESS" {
		b.t.Fatalf("got %+v", j)
	}
	return j.Params.ClientID, j
}

// say posts a message as AppRTC's initiator does.
func (b *box) say(room, id, message, result string) {
	b.t.Helper()
	if _, text := b.call("POST", "/message/"+room+"/"+id, message); text != `{"result":"`+result+"\"}\n" {
		b.t.Errorf("%s of %s: got %q, want %s", message, id, text, result)
	}
}

// socket is a client's WebSocket. got has what it reads, "close N" at the end.
type socket struct {
	t   *testing.T
	ws  *websocket.Conn
	got chan string
}

func (b *box) dial(path string) *socket {
	b.t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(b.web.URL, "http")+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	c := &socket{b.t, ws, make(chan string, 4096)}
	ws.SetPongHandler(func(string) error {
		c.got <- "pong"
		return nil
	})
	b.t.Cleanup(func() { ws.Close() })
	go func() {
		defer close(c.got)
		for {
			_, text, err := ws.ReadMessage()
			if err == nil {
				c.got <- string(text)
				continue
			}
			var closed *websocket.CloseError
			if errors.As(err, &closed) {
				c.got <- fmt.Sprint("close ", closed.Code)
			}
			return
		}
	}()
	return c
}

// register connects a client and registers it.
func (b *box) register(room, id string) *socket {
	b.t.Helper()
	c := b.dial("/collider/ws")
	c.send(map[string]string{"cmd": "register", "roomid": room, "clientid": id})
	c.settle()
	return c
}

func (c *socket) send(frame any) {
	c.t.Helper()
	text, _ := json.Marshal(frame)
	c.write(string(text))
}

func (c *socket) write(text string) {
	c.t.Helper()
	if err := c.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *socket) tell(message string) {
	c.t.Helper()
	c.send(map[string]string{"cmd": "send", "msg": message})
}

// ping asks for a pong, which comes when all that was sent before is done.
func (c *socket) ping() {
	c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience)) //nolint:errcheck // it may be over
}

func (c *socket) next() string {
	c.t.Helper()
	select {
	case text := <-c.got:
		return text
	case <-time.After(patience):
		c.t.Fatal("nothing comes")
		return ""
	}
}

// settle returns when the server has done what it was sent, and nothing else has come.
func (c *socket) settle() {
	c.t.Helper()
	c.ping()
	if got := c.next(); got != "pong" {
		c.t.Fatalf("got %q", got)
	}
}

func (c *socket) expect(messages ...string) {
	c.t.Helper()
	for _, want := range messages {
		var frame struct {
			Msg, Error *string
		}
		got := c.next()
		if err := json.Unmarshal([]byte(got), &frame); err != nil || frame.Msg == nil || frame.Error == nil ||
			!strings.HasSuffix(got, "}\n") || *frame.Msg != want || *frame.Error != "" {
			c.t.Fatalf("got %q, want the message %q", got, want)
		}
	}
}

// fails reads an error, and the end of the connection.
func (c *socket) fails(part string) {
	c.t.Helper()
	if got := c.next(); !strings.Contains(got, part) || !strings.HasPrefix(got, `{"msg":"","error":"`) {
		c.t.Fatalf("got %q, want the error %q", got, part)
	}
	if got := c.next(); got != "close 1000" {
		c.t.Fatalf("got %q", got)
	}
}

// close says goodbye as browsers do.
func (c *socket) close(code int) {
	text := websocket.FormatCloseMessage(code, "")
	c.ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(patience)) //nolint:errcheck // it may be over
}

// cut ends the connection as a cable does.
func (c *socket) cut() { c.ws.NetConn().Close() }

// peer is a native client in a room.
type peer struct {
	*socket
	id string
}

func (b *box) native(room string) *peer {
	b.t.Helper()
	p := &peer{socket: b.dial("/signal")}
	p.write(`{"type":"hello","name":"Nat"}`)
	p.id = p.frame("welcome")["peerId"].(string)
	p.send(map[string]string{"type": "join", "room": room})
	return p
}

func (p *peer) frame(kind string) map[string]any {
	p.t.Helper()
	for {
		text := p.next()
		var frame map[string]any
		if err := json.Unmarshal([]byte(text), &frame); err != nil {
			p.t.Fatalf("got %q, want %s", text, kind)
		}
		if frame["type"] == kind {
			return frame
		}
		if frame["type"] != "ice" {
			p.t.Fatalf("got %q, want %s", text, kind)
		}
	}
}

// hears reads a signal, and compares what the SDK reads of it.
func (p *peer) hears(want string) (from string) {
	p.t.Helper()
	f := p.frame("signal")
	data := f["data"].(map[string]any)["signalbox"]
	got, _ := json.Marshal(data)
	var sorted any
	json.Unmarshal([]byte(want), &sorted) //nolint:errcheck // the test's own
	wanted, _ := json.Marshal(sorted)
	if !bytes.Equal(got, wanted) {
		p.t.Errorf("got %s, want %s", got, wanted)
	}
	return f["from"].(string)
}

func (b *box) members(room string) int {
	shot, _ := b.hub.Room(Space + "/" + room)
	return len(shot.Members)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testkit.Eventually(t, patience, what, ok)
}

func queryOf(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// checkData is what the native dialect asks of data.
func checkData(body []byte) error { return native.CheckData(body) }

// hasInvalid tells of text that isn't UTF-8, of which JSON makes something else.
func hasInvalid(text string) bool { return !utf8.ValidString(text) }
