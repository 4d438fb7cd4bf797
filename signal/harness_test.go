package signal_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/internal/testkit"
	"signalbox/signal"
	"signalbox/signal/native"
)

// patience bounds every wait in these tests. It is never waited for unless something is broken.
const patience = 30 * time.Second

// TestMain fails when a goroutine of this package outlives its tests.
func TestMain(m *testing.M) { testkit.Main(m, patience, "signalbox/signal.") }

// box is a hub behind a real HTTP server on loopback.
type box struct {
	*signal.Hub
	native *native.Server
	server *httptest.Server
}

func newHub(t testing.TB, opts signal.Options, tweak ...func(*signal.Limits)) *signal.Hub {
	t.Helper()
	h, err := signal.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range tweak {
		h.Tweak(f)
	}
	return h
}

func start(t testing.TB, opts signal.Options, tweak ...func(*signal.Limits)) *box {
	t.Helper()
	return startServer(t, opts, func(*httptest.Server) {}, tweak...)
}

// startNarrow is start for a test of clients that don't read: what waits for one in the kernel is
// little, so that it doesn't take megabytes until a write is stuck.
func startNarrow(t testing.TB, buffer int, opts signal.Options, tweak ...func(*signal.Limits)) *box {
	t.Helper()
	return startServer(t, opts, func(server *httptest.Server) {
		server.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
			if err := conn.(*net.TCPConn).SetWriteBuffer(buffer); err != nil {
				t.Error(err)
			}
			return ctx
		}
	}, tweak...)
}

// Sizes of a socket's buffer, in bytes. With a narrow one a client that does read gets a packet or
// two each time that it is awaited.
const narrow, little = 4 << 10, 32 << 10

func startServer(t testing.TB, opts signal.Options, change func(*httptest.Server), tweak ...func(*signal.Limits)) *box {
	t.Helper()
	h := newHub(t, opts, tweak...)
	b := &box{Hub: h, native: native.New(h)}
	mux := http.NewServeMux()
	mux.Handle("/signal", b.native)
	mux.HandleFunc("GET /signal/events", b.native.Events)
	mux.HandleFunc("/signal/send", b.native.Send)
	b.server = httptest.NewUnstartedServer(mux)
	b.server.Config.ReadTimeout = serverTimeout
	b.server.Config.WriteTimeout = serverTimeout
	b.server.Config.IdleTimeout = time.Hour // else a POST can cross the end of the connection that it reuses
	if change(b.server); b.server.TLS != nil {
		b.server.StartTLS()
	} else {
		b.server.Start()
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Errorf("closing the hub: %v", err)
		}
		b.server.Close()
		if n := h.Stored(); n != 0 {
			t.Errorf("%d bytes left in outboxes", n)
		}
		if n := h.Entries(); n != 0 {
			t.Errorf("%d entries left in the closed hub's directory", n)
		}
	})
	return b
}

// serverTimeout is how long requests and answers may take. Connections must not mind a server's
// limits.
const serverTimeout = 4 * time.Second

func (b *box) url() string { return "ws" + strings.TrimPrefix(b.server.URL, "http") + "/signal" }

// peerConn is a client of the hub.
type peerConn struct {
	t  testing.TB
	ws *websocket.Conn
	id string
}

// frame is a server's frame as a client reads it.
type frame map[string]any

func (f frame) text(field string) string {
	s, _ := f[field].(string)
	return s
}

func (b *box) dial(t testing.TB) *peerConn {
	t.Helper()
	c, response, err := b.tryDial(nil)
	if err != nil {
		t.Fatalf("dial: %v (%v)", err, response)
	}
	return b.client(t, c)
}

// dialNarrow is dial for a client that isn't going to read: see startNarrow.
func (b *box) dialNarrow(t testing.TB, buffer int) *peerConn {
	t.Helper()
	dialer := websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
		conn, err := net.Dial(network, addr)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(buffer)
		}
		return conn, err
	}}
	ws, _, err := dialer.Dial(b.url(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return b.client(t, ws)
}

func (b *box) tryDial(header http.Header) (*websocket.Conn, *http.Response, error) {
	dialer := websocket.Dialer{HandshakeTimeout: patience, Subprotocols: []string{"signalbox.v1"},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	return dialer.Dial(b.url(), header)
}

func (b *box) client(t testing.TB, ws *websocket.Conn) *peerConn {
	t.Cleanup(func() { ws.Close() })
	return newPeerConn(t, ws)
}

// newPeerConn answers pings as long as anything can be written; the package's own handler breaks
// the connection if an answer has not left within a second.
func newPeerConn(t testing.TB, ws *websocket.Conn) *peerConn {
	ws.SetPingHandler(func(payload string) error {
		ws.WriteControl(websocket.PongMessage, []byte(payload), time.Now().Add(patience))
		return nil // where it can't be written, what is read next says why
	})
	return &peerConn{t: t, ws: ws}
}

// hello connects and greets; fields are those of the hello.
func (b *box) hello(t testing.TB, fields frame) *peerConn {
	t.Helper()
	c := b.dial(t)
	c.send("hello", fields)
	c.id = c.expect("welcome").text("peerId")
	return c
}

// join is hello and join.
func (b *box) join(t testing.TB, room, name string) *peerConn {
	t.Helper()
	c := b.hello(t, frame{"name": name})
	c.send("join", frame{"room": room})
	c.expect("joined")
	return c
}

func (c *peerConn) send(kind string, fields frame) {
	c.t.Helper()
	out := frame{"type": kind}
	for k, v := range fields {
		out[k] = v
	}
	text, err := json.Marshal(out)
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(string(text))
}

func (c *peerConn) write(text string) {
	c.t.Helper()
	c.ws.SetWriteDeadline(time.Now().Add(patience))
	if err := c.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

func (c *peerConn) read() (frame, error) {
	c.ws.SetReadDeadline(time.Now().Add(patience))
	_, text, err := c.ws.ReadMessage()
	if err != nil {
		return nil, err
	}
	var f frame
	return f, json.Unmarshal(text, &f)
}

func (c *peerConn) next() frame {
	c.t.Helper()
	f, err := c.read()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return f
}

func (c *peerConn) expect(kind string) frame {
	c.t.Helper()
	f := c.next()
	if f["type"] != kind {
		c.t.Fatalf("got %v, want a %s", f, kind)
	}
	return f
}

func (c *peerConn) expectError(code signal.Code) frame {
	c.t.Helper()
	f := c.expect("error")
	if f["code"] != string(code) {
		c.t.Fatalf("got %v, want the error %s", f, code)
	}
	if f.text("message") == "" {
		c.t.Fatalf("error without a message: %v", f)
	}
	return f
}

// expectClose reads up to the close frame and compares its code.
func (c *peerConn) expectClose(code int) {
	c.t.Helper()
	for {
		_, err := c.read()
		var closed *websocket.CloseError
		switch {
		case err == nil:
			continue
		case !errors.As(err, &closed):
			c.t.Fatalf("connection ended with %v, want close code %d", err, code)
		case closed.Code != code:
			c.t.Fatalf("close code %d (%s), want %d", closed.Code, closed.Text, code)
		}
		c.ws.Close()
		return
	}
}

// settle returns when the hub has processed all that the client has sent so far.
func (c *peerConn) settle() {
	c.t.Helper()
	c.send("ping", nil)
	for c.next()["type"] != "pong" {
	}
}

// eventually polls, for what has no event to wait for.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	testkit.Eventually(t, patience, what, ok)
}

// rawConn is the TCP connection below a client.
func (c *peerConn) rawConn() net.Conn { return c.ws.NetConn() }
