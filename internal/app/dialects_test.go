package app

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// dialogue connects to a path of a box and says texts; it returns the first answer.
func dialogue(t testing.TB, app *App, path string, subprotocols []string, texts ...string) string {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: subprotocols}
	c, _, err := dialer.Dial("ws://"+app.Addrs().Web+path, nil)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	t.Cleanup(func() { c.Close() })
	for _, text := range texts {
		if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	_, answer, err := c.ReadMessage()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(answer)
}

// The clients of other servers find what they know at the addresses that they know.
func TestDialectsAreMounted(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	subscribe := []string{`{"type":"subscribe","topics":["t"]}`, `{"type":"publish","topic":"t","data":1}`}
	for _, each := range []struct {
		path         string
		subprotocols []string
		say          []string
		want         string
	}{
		{path: "/yjs", say: subscribe, want: `{"type":"publish","topic":"t","data":1,"clients":1}`},
		{path: "/chat", want: `{"type":"id","id":`},
		{path: "/", subprotocols: []string{"json"}, want: `{"type":"id","id":`},
		{path: "/peerjs?key=peerjs&id=a&token=t", want: `{"type":"OPEN"}`},
		{path: "/peerjs/peerjs?key=peerjs&id=b&token=t", want: `{"type":"OPEN"}`},
	} {
		if got := dialogue(t, app, each.path, each.subprotocols, each.say...); !strings.HasPrefix(got, each.want) {
			t.Errorf("%s: got %s, want %s", each.path, got, each.want)
		}
	}
	if code, _ := read(t, app, "/peerjs/peerjs/peers"); code != http.StatusUnauthorized {
		t.Errorf("ids are listed: %d", code)
	}
	if code, body := read(t, app, "/"); code != http.StatusOK || !strings.Contains(body, "<html") {
		t.Errorf("the start page: %d %.80s", code, body)
	}
	if _, err := http.Get("http://" + app.Addrs().Web + "/peerjs/id"); err != nil {
		t.Error(err)
	}
}

func read(t testing.TB, app *App, path string) (int, string) {
	t.Helper()
	got, err := http.Get("http://" + app.Addrs().Web + path)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got.StatusCode, string(body)
}

func TestDialectsOff(t *testing.T) {
	t.Parallel()
	app := startApp(t, "compat.yjs=off", "compat.chat=off", "compat.peerjs=off")
	for _, path := range []string{"/yjs", "/chat", "/peerjs", "/peerjs/peerjs", "/peerjs/id", "/peerjs/peerjs/peers"} {
		if code, _ := read(t, app, path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	dialer := websocket.Dialer{Subprotocols: []string{"json"}}
	if c, _, err := dialer.Dial("ws://"+app.Addrs().Web+"/", nil); err == nil {
		c.Close()
		t.Error("a call by name is taken")
	}
}

// With discovery, ids are listed; capacity is that of each topic; a password is PeerJS' key.
func TestDialectsSettings(t *testing.T) {
	t.Parallel()
	app := startApp(t, "compat.peerjs_discovery=true", "compat.capacity=1")
	dialogue(t, app, "/peerjs?key=peerjs&id=ann&token=t", nil)
	var ids []string
	if _, body := read(t, app, "/peerjs/peers"); json.Unmarshal([]byte(body), &ids) != nil || len(ids) != 1 ||
		ids[0] != "ann" {
		t.Errorf("got %s", body)
	}
	topic := []string{`{"type":"subscribe","topics":["t"]}`, `{"type":"publish","topic":"t","data":1}`,
		`{"type":"ping"}`}
	if got := dialogue(t, app, "/yjs", nil, topic...); !strings.Contains(got, "publish") {
		t.Errorf("the first: %s", got)
	}
	if got := dialogue(t, app, "/yjs", nil, topic...); !strings.Contains(got, "pong") {
		t.Errorf("the second: %s", got)
	}

	closed := startApp(t, "auth.mode=password", "auth.password=long-enough")
	for key, want := range map[string]string{"peerjs": "ERROR", "long-enough": "OPEN"} {
		if got := dialogue(t, closed, "/peerjs/peerjs?id=a&token=t&key="+key, nil); !strings.Contains(got, want) {
			t.Errorf("%s: got %s", key, got)
		}
	}
}
