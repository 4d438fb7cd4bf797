package webui

import (
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// sdkBudget is what the SDK may weigh on the wire. An application loads it before its first call.
const sdkBudget = 12_000

func TestSDKFitsItsBudget(t *testing.T) {
	t.Parallel()
	ui, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if size := len(ui.sdk.gzip.body); size == 0 || size > sdkBudget {
		t.Errorf("signalbox.js is %d bytes, compressed; the budget is %d", size, sdkBudget)
	} else {
		t.Logf("signalbox.js: %d bytes, compressed", size)
	}
}

// stories are what the test's hub does after a hello, by the path that a client connects to. The frames are those of
// signalbox.v1.
var stories = map[string]func(*story){
	"plain": func(s *story) {
		s.welcome("peer-1")
		s.serve()
	},
	"refused": func(s *story) {
		s.send(`{"type":"error","code":"unauthorized","message":"you are not allowed to do that"}`)
		s.close(4502)
	},
	"push": func(s *story) {
		s.welcome("peer-1")
		s.answer()
		s.send(`{"type":"ice","seq":1,"iceServers":[{"urls":["stun:new:3478"]}],"iceExpiresAt":1}`)
		s.serve()
	},
	"signal": func(s *story) {
		s.welcome("peer-1")
		s.answer()
		s.send(`{"type":"signal","seq":1,"from":"peer-9","fromName":"Bob","data":{"ring":1}}`)
		s.serve()
	},
	"lost": func(s *story) {
		if s.hello["replaces"] == "token-of-peer-1" {
			s.welcome("peer-2")
			s.serve()
			return
		}
		s.welcome("peer-1")
		s.answer()
		s.close(4001)
	},
	"replaced": func(s *story) {
		s.welcome("peer-1")
		s.answer()
		s.send(`{"type":"error","code":"replaced","message":"the session was taken over by another connection"}`)
		s.close(4503)
	},
}

type story struct {
	t     *testing.T
	conn  *websocket.Conn
	hello map[string]any
}

func (s *story) send(frame string) {
	if err := s.conn.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
		s.t.Logf("send: %v", err) // the client may have closed first
	}
}

func (s *story) close(code int) {
	deadline := time.Now().Add(5 * time.Second)
	if err := s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), deadline); err != nil {
		s.t.Logf("close: %v", err)
	}
}

func (s *story) welcome(peerID string) {
	s.send(`{"type":"welcome","peerId":"` + peerID + `","name":"Ada","resumeToken":"token-of-` + peerID +
		`","heartbeatSeconds":25,"iceServers":[{"urls":["stun:b:3478"]}],"iceExpiresAt":0,"protocol":"signalbox.v1"}`)
}

// serve answers every request until the client goes.
func (s *story) serve() {
	if s.conn.Subprotocol() != "signalbox.v1" {
		s.t.Errorf("the client asks for subprotocol %q", s.conn.Subprotocol())
	}
	for s.answer() {
	}
}

// answer answers one request, as the hub does: what it asks for, then the ack.
func (s *story) answer() bool {
	var frame struct{ Type, ID, Room string }
	if err := s.conn.ReadJSON(&frame); err != nil {
		return false
	}
	switch {
	case frame.Type == "ping":
		s.send(`{"type":"pong"}`)
	case frame.Room == "full":
		s.send(`{"type":"error","code":"room-full","message":"the room is full","id":"` + frame.ID + `"}`)
		return true
	case frame.Type == "join":
		s.send(`{"type":"joined","seq":1,"room":"` + frame.Room + `","peers":[],"capacity":8}`)
	}
	if frame.ID != "" {
		s.send(`{"type":"ack","id":"` + frame.ID + `"}`)
	}
	return true
}

func newHub(t *testing.T) string {
	t.Helper()
	upgrader := websocket.Upgrader{Subprotocols: []string{"signalbox.v1"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tell := stories[strings.TrimPrefix(r.URL.Path, "/")]
		conn, err := upgrader.Upgrade(w, r, nil)
		if tell == nil || err != nil {
			t.Errorf("%s: no such story, or no WebSocket: %v", r.URL.Path, err)
			return
		}
		defer conn.Close()
		s := &story{t: t, conn: conn}
		if err := conn.ReadJSON(&s.hello); err != nil || s.hello["type"] != "hello" || s.hello["name"] != "Ada" {
			t.Errorf("%s: the first frame is %v: %v", r.URL.Path, s.hello, err)
			return
		}
		tell(s)
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// The modules are tested as they are served, in Node: what needs no browser.
func TestModules(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		lack(t, "node")
	}
	// Beside a package.json that calls .js files modules, which Node asks for and browsers don't.
	dir := t.TempDir()
	for name, files := range map[string]fs.FS{"static": content, "testdata": os.DirFS(".")} {
		part, err := fs.Sub(files, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(dir, name), part); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, name string, env ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, node, "--test", "--test-reporter=spec", name)
		command.Dir = filepath.Join(dir, "testdata")
		command.Env = append(os.Environ(), env...)
		if output, err := command.CombinedOutput(); err != nil {
			t.Errorf("node --test %s: %v\n%s", name, err, output)
		}
	}
	for _, name := range []string{"format", "room", "verdict"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, name+".test.mjs")
		})
	}
	t.Run("session", func(t *testing.T) {
		t.Parallel()
		run(t, "session.test.mjs", "HUB="+newHub(t), "WEBSOCKET="+webSocketFor(t, node))
	})
}

// webSocketFor returns the file that gives this node a WebSocket: one of the driver's packages. It is empty for a node that
// has a WebSocket of its own, as from version 22 on; Debian 12 and Ubuntu 24.04 have 18.
func webSocketFor(t *testing.T, node string) string {
	t.Helper()
	has, err := exec.CommandContext(t.Context(), node, "-p", "typeof WebSocket").Output()
	if err != nil {
		t.Fatalf("ask node for its WebSocket: %v", err)
	}
	if strings.TrimSpace(string(has)) == "function" {
		return ""
	}
	file, err := filepath.Abs("../scripts/lab/browser/node_modules/ws/wrapper.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		lack(t, "a WebSocket for this version of node (npm ci in scripts/lab/browser)")
	}
	return file
}

// lack ends a test for want of a tool. Where everything was to be installed, that is a failure.
func lack(t *testing.T, tool string) {
	t.Helper()
	words := "the JavaScript modules are tested in Node; this needs " + tool + ", which scripts/test installs"
	if os.Getenv("SIGNALBOX_TEST_ALL") != "" {
		t.Fatal(words)
	}
	t.Skip(words)
}
