package signal_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
	"signalbox/signal/native"
)

func TestWebSocketPingIsAnswered(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	c := b.hello(t, nil)
	got := make(chan string, 1)
	c.ws.SetPongHandler(func(payload string) error { got <- payload; return nil })
	if err := c.ws.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		c.settle()
		select {
		case payload := <-got:
			if payload != "are you there" {
				t.Errorf("pong %q", payload)
			}
			return
		default: // a pong may come after the answer to the next frame
		}
	}
	t.Error("no pong")
}

func TestBrokenFraming(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	c := b.hello(t, nil)
	if _, err := c.rawConn().Write([]byte{0xff, 0xff, 0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	c.expectClose(websocket.CloseProtocolError)
	eventually(t, "the session is over", func() bool { return b.Find(c.id) == nil })
}

// A burst leaves in few writes, as one TLS record where it fits, and every frame of it arrives.
func TestBurstsAreGathered(t *testing.T) {
	t.Parallel()
	h := newHub(t, signal.Options{})
	counted := &countingListener{}
	server := httptest.NewUnstartedServer(native.New(h))
	counted.Listener = server.Listener
	server.Listener = counted
	server.StartTLS()
	defer server.Close()
	defer h.Close(context.Background())
	b := &box{Hub: h, server: server}
	c := b.helloTLS(t)
	before := counted.writes.Load()
	const burst, record = 100, 16 << 10
	s := b.Find(c.id)
	s.Burst(burst, `{"type":"pong"}`)
	for range burst {
		c.expect("pong")
	}
	if n := counted.writes.Load() - before; n != 1 {
		t.Errorf("%d frames left in %d writes", burst, n)
	}
	// What is larger than the buffer goes through as well.
	large := `{"type":"x","data":"` + strings.Repeat("x", 5*record) + `"}`
	for range 3 {
		s.Put(large)
		if f := c.expect("x"); len(f.text("data")) != 5*record {
			t.Error("a large frame was cut")
		}
	}
}

// helloTLS connects to a server that speaks TLS, and greets.
func (b *box) helloTLS(t testing.TB) *peerConn {
	t.Helper()
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ws, _, err := dialer.Dial("wss"+strings.TrimPrefix(b.server.URL, "https"), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := b.client(t, ws)
	c.send("hello", nil)
	c.id = c.expect("welcome").text("peerId")
	return c
}

// Who stops in the middle of a TLS record is somebody who says nothing, even if the record goes on
// to come, byte by byte: the buffer that TLS has for it goes with the connection.
func TestHub13HalfRecords(t *testing.T) {
	t.Parallel()
	h := newHub(t, signal.Options{Heartbeat: time.Second})
	server := httptest.NewTLSServer(native.New(h))
	defer server.Close()
	defer h.Close(context.Background())
	c := (&box{Hub: h, server: server}).helloTLS(t)
	below := c.ws.NetConn().(*tls.Conn).NetConn()
	below.Write(append([]byte{23, 3, 3, 0x40, 0}, make([]byte, 8<<10)...)) //nolint:errcheck // the end tells
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for time.Since(began) < patience {
		<-tick.C
		if _, err := below.Write([]byte{0}); err != nil {
			return
		}
	}
	t.Errorf("half a record keeps a connection for %v", patience)
}

func TestSubprotocolIsOptional(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	for _, offered := range [][]string{nil, {"signalbox.v1"}, {"other", "signalbox.v1"}} {
		dialer := websocket.Dialer{Subprotocols: offered}
		ws, _, err := dialer.Dial(b.url(), nil)
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if offered != nil {
			want = "signalbox.v1"
		}
		if ws.Subprotocol() != want {
			t.Errorf("offered %q, got %q", offered, ws.Subprotocol())
		}
		b.client(t, ws).settle()
	}
}

func TestAbandonedConnectionIsForgotten(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	c := b.dial(t)
	io.WriteString(c.rawConn(), "\x81") // half a frame header
	c.rawConn().Close()
	eventually(t, "the connection is over", func() bool { return b.Snapshot().Connections == 0 })
}

// countingListener counts the writes to the connections that it accepts.
type countingListener struct {
	net.Listener
	writes atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countingConn{Conn: conn, writes: &l.writes}, nil
}

type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// meteredConn counts what comes in.
type meteredConn struct {
	net.Conn
	in *atomic.Int64
}

func (c meteredConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.in.Add(int64(n))
	return n, err
}

// Descriptions come compressed to a client that offers it, and candidates and broadcasts don't. A
// small frame that inflates to a large one is too large.
func TestDeflate(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{MaxFrame: 32 << 10})
	var in atomic.Int64
	dialer := websocket.Dialer{EnableCompression: true, NetDial: func(network, addr string) (net.Conn, error) {
		conn, err := net.Dial(network, addr)
		return meteredConn{conn, &in}, err
	}}
	ws, _, err := dialer.Dial(b.url(), nil)
	if err != nil {
		t.Fatal(err)
	}
	alice := b.client(t, ws)
	alice.send("hello", nil)
	alice.id = alice.expect("welcome").text("peerId")
	alice.send("join", frame{"room": "tea"})
	alice.expect("joined")
	bob := b.join(t, "tea", "Bob")
	alice.expect("peer-joined")
	sdp := strings.Repeat("a=rtcp-fb:96 transport-cc\r\n", 200)
	for _, step := range []struct {
		kind  string
		data  string
		small bool
	}{{"signal", sdp, true}, {"broadcast", sdp, false}, {"signal", sdp[:500], false}} {
		before := in.Load()
		bob.send(step.kind, frame{"to": alice.id, "room": "tea", "data": step.data})
		if f := alice.expect(step.kind); f["data"] != step.data {
			t.Errorf("got %v", f)
		}
		if got := in.Load() - before; got < int64(len(step.data)) != step.small {
			t.Errorf("a %s of %d bytes came in %d", step.kind, len(step.data), got)
		}
	}
	alice.send("signal", frame{"to": bob.id, "data": strings.Repeat("x", 1<<20)})
	alice.expectError(signal.CodeTooLarge)
	alice.expectClose(4501)
}
