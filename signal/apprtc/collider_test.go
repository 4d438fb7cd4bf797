package apprtc

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
	"signalbox/signal/internal/object"
)

// Who has lost its connection comes back in time and gets what was said meanwhile; who doesn't has
// left.
func TestReconnect(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, func(d *times) { d.Reconnect = 2 * time.Second })
	one, two := b.register("r", "1"), b.register("r", "2")
	two.cut()
	eventually(t, "it is lost", func() bool { return b.hub.Summary().Counters.Lost == 1 })
	one.tell("while you were out")
	two = b.dial("/collider/ws")
	two.send(map[string]string{"cmd": "register", "roomid": "r", "clientid": "2"})
	two.expect("while you were out")
	two.cut()
	one.expect(bye)
	if n := b.members("r"); n != 1 {
		t.Errorf("%d members", n)
	}
}

// By whatever way a client leaves, the other one hears of it once, and a third finds a place.
func TestWaysToLeave(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, func(d *times) { d.Reconnect = 100 * time.Millisecond })
	for name, leave := range map[string]func(id string, s *socket){
		"button": func(id string, s *socket) { // as AppRTC's page hangs up
			b.call("POST", "/leave/button/"+id, "")
			s.ws.WriteMessage(websocket.TextMessage, //nolint:errcheck // it may be over
				[]byte(`{"cmd":"send","msg":"{\"type\":\"bye\"}"}`))
			b.call("DELETE", "/collider/button/"+id, "")
		},
		"bye":    func(_ string, s *socket) { s.tell(bye) },
		"delete": func(id string, _ *socket) { b.call("DELETE", "/collider/delete/"+id, "") },
		"tab":    func(_ string, s *socket) { s.close(1001) },
		"close":  func(_ string, s *socket) { s.close(1000) },
		"cut":    func(_ string, s *socket) { s.cut() },
		"kicked": func(string, *socket) { b.kick(name(b.hub, "kicked", 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			first, _ := b.enter(name)
			stays := b.register(name, first)
			id, _ := b.enter(name)
			leave(id, b.register(name, id))
			stays.expect(bye)
			if _, j := b.enter(name); j.Params.Initiator != "false" {
				t.Errorf("got %+v", j)
			}
			stays.settle()
		})
	}
}

// name is the peer id of the n-th member of a room.
func name(hub *signal.Hub, room string, n int) string {
	shot, _ := hub.Room(Space + "/" + room)
	return shot.Members[n].ID
}

func (b *box) kick(id string) {
	b.t.Helper()
	if len(b.hub.Kick(func(k signal.Kicked) bool { return k.ID == id })) != 1 {
		b.t.Error("nobody is kicked")
	}
}

// 1024 messages wait, and no more.
func TestQueue(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	for n := range 1024 {
		if got, text := b.call("POST", "/collider/q/7", fmt.Sprint(n)); text != "OK\n" {
			t.Fatalf("message %d: %s %q", n, got.Status, text)
		}
	}
	got, text := b.call("POST", "/collider/q/7", "x")
	if got.StatusCode != http.StatusInternalServerError || !strings.Contains(text, errQueue.Error()) {
		t.Errorf("got %s %q", got.Status, text)
	}
	other := b.dial("/collider/ws")
	other.send(map[string]string{"cmd": "register", "roomid": "q", "clientid": "8"})
	for n := range 1024 {
		other.expect(fmt.Sprint(n))
	}
}

// unread is a body that reports whether it was read.
type unread struct{ read bool }

func (u *unread) Read([]byte) (int, error) {
	u.read = true
	return 0, io.EOF
}

// A body is read for a client that is there, as far as its rate lets it, and not before that.
func TestAttackBodies(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Rate: 1}, nil)
	for path, want := range map[string]string{
		"/message/nowhere/1": "UNKNOWN_ROOM", "/collider/nowhere": "Invalid path",
	} {
		w, body := httptest.NewRecorder(), &unread{}
		b.mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, body))
		if !strings.Contains(w.Body.String(), want) || body.read {
			t.Errorf("%s: got %s, body read: %v", path, w.Body, body.read)
		}
	}
	id, _ := b.enter("r")
	refused := 0
	for range 12 {
		if got, _ := b.call("POST", "/message/r/"+id, "x"); got.StatusCode == http.StatusInternalServerError {
			refused++
		}
	}
	if refused < 6 {
		t.Errorf("of 12 messages at once, %d are refused", refused)
	}
	// An empty body makes no session.
	b.call("POST", "/collider/q/7", "")
	if n := b.members("q"); n != 0 {
		t.Errorf("%d members", n)
	}
}

// Who only had something posted for it, and never registers, is gone after ten seconds.
func TestPostedButNeverRegistered(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, func(d *times) { d.Reconnect = 100 * time.Millisecond })
	b.call("POST", "/collider/q/7", "early")
	eventually(t, "it is forgotten", func() bool { return b.desk.size() == 0 })
}

// What no client of AppRTC's would send costs whoever sends it the connection, and nobody else.
func TestAttackJunk(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	one, two := b.register("r", "1"), b.register("r", "2")
	for name, text := range map[string]string{
		"nothing": "", "no JSON": "nonsense", "array": "[]", "number": `{"cmd":1}`, "deep": strings.Repeat("[", 20_000),
		"deep value": `{"cmd":` + strings.Repeat("[", 20_000), "no room": `{"cmd":"register","clientid":"1"}`,
		"control": `{"cmd":"register","roomid":"a\u0000","clientid":"1"}`, "object": `{"cmd":"send","msg":{}}`,
		"long":  `{"cmd":"register","clientid":"1","roomid":"` + strings.Repeat("x", 129) + `"}`,
		"early": `{"cmd":"send","msg":"x"}`, "taken": `{"cmd":"register","roomid":"r","clientid":"1"}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := b.dial("/collider/ws")
			c.write(text)
			c.fails("")
		})
	}
	c := b.dial("/collider/ws")
	for range maxUnknown - 1 {
		c.write(`{"cmd":"dance"}`)
		if got := c.next(); !strings.Contains(got, errCommand.Error()) {
			t.Fatalf("got %q", got)
		}
	}
	c.write(`{"cmd":"dance"}`)
	c.fails(errCommand.Error())
	for _, text := range []string{
		`{"type":"candidate","label":"x"}`, `{"type":7}`, strings.Repeat("[", 20_000), "\x00", `{"type":"offer"}`,
	} {
		one.tell(text)
		two.expect(text)
	}
	if n := b.wsErrors.Load(); n != 12+maxUnknown+1 && n != 12+maxUnknown {
		t.Errorf("%d errors counted", n)
	}
	got, _ := b.call("POST", "/collider/r/1", strings.Repeat("x", 64<<10+1))
	if got.StatusCode != http.StatusInternalServerError {
		t.Errorf("got %s", got.Status)
	}
}

// An app that joined first and a browser that came later: the app offers.
func TestAppFirst(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	id, _ := b.enter("r")
	b.say("r", id, `{"type":"offer","sdp":"O"}`, "SUCCESS")
	b.say("r", id, `{"type":"candidate","label":1,"id":"v","candidate":"candidate:1"}`, "SUCCESS")
	app := b.register("r", id)
	p := b.native("apprtc/r")
	peers := p.frame("joined")["peers"].([]any)
	if peers[0].(map[string]any)["polite"] != true {
		t.Errorf("got %v", peers)
	}
	p.hears(`{"leads":true}`)
	p.hears(`{"link":1,"leads":true,"description":{"type":"offer","sdp":"O"}}`)
	from := p.hears(`{"link":1,"candidates":[{"candidate":"candidate:1","sdpMid":"v","sdpMLineIndex":1}]}`)
	p.signal(from, `{"want":{"after":0,"audio":1}}`)
	p.signal(from, `{"description":{"type":"answer","sdp":"A"},"offer":1,"streams":{},"tag":"t"}`)
	p.signal(from, `{"candidates":[{"candidate":"candidate:2","sdpMid":"0","sdpMLineIndex":0},{"candidate":""},null,`+
		`{"candidate":"candidate:3","sdpMLineIndex":1}]}`)
	p.signal(from, `{"path":{"kind":"relay"}}`)
	app.expect(`{"type":"answer","sdp":"A"}`, `{"type":"candidate","label":0,"id":"0","candidate":"candidate:2"}`,
		`{"type":"candidate","label":1,"id":"1","candidate":"candidate:3"}`)

	// A browser that wants another connection gets one: the app begins anew.
	p.signal(from, `{"want":{"anew":true}}`)
	app.expect(bye)
	b.say("r", id, `{"type":"offer","sdp":"O2"}`, "SUCCESS")
	p.hears(`{"link":2,"leads":true,"description":{"type":"offer","sdp":"O2"}}`)
	p.write(`{"type":"leave","room":"apprtc/r"}`)
	app.expect(bye)
	app.tell(bye)
	if got := app.next(); got != "close 1000" {
		t.Errorf("got %q", got)
	}
}

// A browser that was there first offers, and the app answers.
func TestBrowserFirst(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	p := b.native("apprtc/r")
	p.frame("joined")
	id, j := b.enter("r")
	if j.Params.Initiator != "false" || len(j.Params.Messages) != 0 {
		t.Errorf("got %+v", j)
	}
	to := p.frame("peer-joined")["peer"].(map[string]any)["id"].(string)
	p.signal(to, `{"description":{"type":"offer","sdp":"O"},"offer":1,"tag":"t","link":1}`)
	p.settle()
	app := b.dial("/collider/ws")
	app.send(map[string]string{"cmd": "register", "roomid": "r", "clientid": id})
	app.expect(`{"type":"offer","sdp":"O"}`)
	app.tell(`{"type":"answer","sdp":"A"}`)
	app.tell(`{"type":"remove-candidates","candidates":[]}`)
	p.hears(`{"description":{"type":"answer","sdp":"A"}}`)
	if f := p.frame("signal"); f["data"].(map[string]any)["apprtc"] != `{"type":"remove-candidates","candidates":[]}` {
		t.Errorf("got %v", f)
	}
	b.call("POST", "/leave/r/"+id, "")
	if f := p.frame("peer-left"); f["reason"] != "left" {
		t.Errorf("got %v", f)
	}
	if got := app.next(); got != "close 1000" {
		t.Errorf("got %q", got)
	}
	if j := b.join("r"); j.Params.Initiator != "false" {
		t.Errorf("got %+v", j)
	}
}

func (p *peer) signal(to, data string) {
	p.t.Helper()
	p.send(map[string]any{
		"type": "signal", "to": to, "room": "apprtc/r", "data": map[string]any{"signalbox": json.RawMessage(data)},
	})
}

// FuzzTranslate: whatever a client says comes to another of its kind as it is, and is data that
// every native client may get; and no native signal makes a message that isn't JSON.
func FuzzTranslate(f *testing.F) {
	for _, text := range []string{
		"", "x", bye, `{"type":"offer","sdp":"v=0"}`, `{"type":"candidate","label":1e9,"id":"\ud800","candidate":"c"}`,
		`{"signalbox":{"candidates":[null,{"sdpMLineIndex":-1,"candidate":"c"}]}}`, `{"apprtc":"\u0000"}`, "\xff",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		offers := 0
		body := toHub(text, &offers)
		if err := checkData(body); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if got := fromHub(body); len(got) != 1 || got[0] != strings.ToValidUTF8(text, "\ufffd") && !hasInvalid(text) {
			t.Fatalf("got %q, want %q", got, text)
		}
		for _, message := range fromHub([]byte(text)) {
			data, _ := object.Parse([]byte(text))
			if _, asItIs := data.Text(own); !asItIs && !json.Valid([]byte(message)) {
				t.Fatalf("got %q", message)
			}
			if got := delivery(message, "").Body; !json.Valid(got) {
				t.Fatalf("got %q", got)
			}
		}
	})
}

// FuzzCollider: whatever a client that has registered says, its session lives or ends, and what it
// is answered is a frame of Collider's.
func FuzzCollider(f *testing.F) {
	for _, text := range []string{
		`{"cmd":"send","msg":"x"}`, `{"cmd":"send","msg":"{\"type\":\"bye\"}"}`, `{"cmd":"register","roomid":"r"}`,
		"[]", `{"cmd":"send"}`, `{"cmd":"dance"}`, `{"CMD":"send","msg":"\ud800"}`, "\xff",
	} {
		f.Add([]byte(text))
	}
	hub, err := signal.New(signal.Options{})
	if err != nil {
		f.Fatal(err)
	}
	server := New(hub, Options{})
	from := signal.Client{Source: netip.MustParseAddr("192.0.2.1")}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := &client{server: server, room: "r", id: "1"}
		s, err := hub.Open(c, from, signal.Hello{}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		s.Do(func() {
			s.Join(signal.Join{Room: c.room}) //nolint:errcheck // another one may be there still
			c.Receive(s, signal.Frame{Body: text}, nil)
		})
		for _, frame := range s.Take() {
			var said struct{ Msg, Error *string }
			if json.Unmarshal(frame.Body, &said) != nil || said.Msg == nil || said.Error == nil ||
				!strings.HasSuffix(string(frame.Body), "}\n") {
				t.Errorf("%q is answered %q", text, frame.Body)
			}
		}
		s.Stop(signal.CodeLost)
	})
}
