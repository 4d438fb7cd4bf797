package signal

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// A client that reads nothing ends as slow. The others aren't delayed, and see it leave at once.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	b := start(t, Options{}, func(l *limits) { l.linger = 50 * time.Millisecond })
	slow := b.join(t, "tea", "Slow")
	quick := b.join(t, "tea", "Quick")
	sender := b.join(t, "tea", "Sender")
	quick.expect("peer-joined")
	sender.settle()

	// Some megabytes fit the socket's buffers, and one more the outbox.
	data := strings.Repeat("x", 60<<10)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			f, err := sender.read()
			if err != nil {
				t.Errorf("sender: %v", err)
				return
			}
			if f["type"] == "peer-left" {
				return
			}
		}
	})
	gone := false
	for sent := 0; !gone; sent++ {
		if sent > 2000 {
			t.Fatal("the slow reader is still there")
		}
		sender.send("broadcast", frame{"room": "tea", "data": data})
		for got := false; !got; {
			switch f := quick.next(); f["type"] {
			case "broadcast":
				got = true
			case "peer-left":
				gone = f.text("reason") == "lost" && frame(f["peer"].(map[string]any)).text("id") == slow.id
			}
		}
	}
	wg.Wait()
	if b.Live(slow.id) {
		t.Error("the slow session is still live")
	}
	if n := b.Snapshot().Refusals[CodeSlow]; n != 1 {
		t.Errorf("%d sessions counted as slow", n)
	}
}

// A slow client that reads again in time learns why it was closed, and is told to come back.
func TestSlowReaderIsTold(t *testing.T) {
	t.Parallel()
	b := start(t, Options{}, func(l *limits) { l.backlog = 8 })
	// The transport takes what waits in no time, so the backlog is filled under the room's lock, as in a burst.
	slow := b.join(t, "tea", "Slow")
	s := b.session(slow.id)
	s.out.mu.Lock()
	for range 8 {
		s.out.append(outFrame{body: []byte(`{}`)})
	}
	s.out.mu.Unlock()
	for s.send(pong{}) {
	}
	for {
		f, err := slow.read()
		if err != nil {
			t.Fatal(err)
		}
		if f["code"] == string(CodeSlow) {
			break
		}
	}
	slow.expectClose(4002)
}

// session finds a live session by its peer id.
func (b *box) session(id string) *session {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.sessions[id]
}

// A client that vanishes without a word is found dead by the heartbeat, and its peers are told.
func TestDeadPeerIsFound(t *testing.T) {
	t.Parallel()
	b := start(t, Options{Heartbeat: 100 * time.Millisecond})
	dead := b.join(t, "tea", "Dead") // it doesn't read from now on, so it answers no ping
	alive := b.join(t, "tea", "Alive")
	began := time.Now()
	f := alive.expect("peer-left") // reading answers pings
	if f.text("reason") != "lost" || frame(f["peer"].(map[string]any)).text("id") != dead.id {
		t.Fatalf("got %v", f)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("found after %v", took)
	}
	if !b.Live(alive.id) || b.Live(dead.id) {
		t.Error("the wrong one is live")
	}
}

// The default heartbeat finds the dead within a minute, before most proxies forget the connection.
func TestDefaultHeartbeat(t *testing.T) {
	t.Parallel()
	h := newHub(t, Options{})
	if h.opts.Heartbeat != 25*time.Second || h.opts.deadAfter() != time.Minute {
		t.Errorf("heartbeat %v, dead after %v", h.opts.Heartbeat, h.opts.deadAfter())
	}
}

// A client that sends frames lives, even if it answers no ping.
func TestFramesAreSignsOfLife(t *testing.T) {
	t.Parallel()
	b := start(t, Options{Heartbeat: 100 * time.Millisecond})
	c := b.hello(t, nil)
	c.ws.SetPingHandler(func(string) error { return nil })
	for began := time.Now(); time.Since(began) < 500*time.Millisecond; {
		c.send("ping", nil)
		c.expect("pong")
	}
}

func TestWebSocketPingIsAnswered(t *testing.T) {
	t.Parallel()
	b := start(t, Options{})
	c := b.hello(t, nil)
	got := make(chan string, 1)
	c.ws.SetPongHandler(func(payload string) error { got <- payload; return nil })
	if err := c.ws.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c.settle()
	select {
	case payload := <-got:
		if payload != "are you there" {
			t.Errorf("pong %q", payload)
		}
	default: // a pong may come after the answer to the next frame
		c.settle()
		if payload := <-got; payload != "are you there" {
			t.Errorf("pong %q", payload)
		}
	}
}

func TestHelloInTime(t *testing.T) {
	t.Parallel()
	b := start(t, Options{}, func(l *limits) { l.hello = 50 * time.Millisecond })
	c := b.dial(t)
	c.expectError(CodeHelloFirst)
	c.expectClose(4004)
	if shot := b.Snapshot(); shot.Refusals[CodeHelloFirst] != 1 {
		t.Errorf("refusals: %v", shot.Refusals)
	}

	// Whoever has said hello may be silent.
	greeted := b.hello(t, nil)
	late := b.dial(t)
	late.expectError(CodeHelloFirst)
	greeted.settle()
}

func TestHelloDeadlineIsNotExtended(t *testing.T) {
	t.Parallel()
	b := start(t, Options{}, func(l *limits) { l.hello = 200 * time.Millisecond })
	c := b.dial(t)
	var closed bool
	for began := time.Now(); !closed && time.Since(began) < patience; {
		if c.ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"ping"}`)) != nil {
			break
		}
		f, err := c.read()
		closed = err != nil || f["code"] == string(CodeHelloFirst)
	}
	eventually(t, "the connection is over", func() bool { return b.Snapshot().Connections == 0 })
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	b := start(t, Options{MaxFrame: 1000})
	fits := `{"type":"ping","x":"` + strings.Repeat("x", 1000-22) + `"}`
	c := b.hello(t, nil)
	c.write(fits)
	c.expect("pong")
	c.write(fits + " ")
	c.expectError(CodeTooLarge)
	c.expectClose(4501)
}

// A frame that never ends is refused when it has reached the limit, not when it is complete.
func TestTooLargeInPieces(t *testing.T) {
	t.Parallel()
	b := start(t, Options{MaxFrame: 1000})
	c := b.hello(t, nil)
	w, err := c.ws.NextWriter(websocket.TextMessage)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(strings.Repeat("x", 100_000))) // more than the client's buffer, so that fragments leave
	c.expectError(CodeTooLarge)
	c.expectClose(4501)
}

func TestBinaryIsRefused(t *testing.T) {
	t.Parallel()
	b := start(t, Options{})
	c := b.hello(t, nil)
	if err := c.ws.WriteMessage(websocket.BinaryMessage, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	c.expectError(CodeBadFrame)
	c.settle()
}

func TestNonsenseEnds(t *testing.T) {
	t.Parallel()
	b := start(t, Options{}, func(l *limits) { l.badFrames = 3 })
	c := b.hello(t, nil)
	for range 2 {
		c.write("nonsense")
		c.expectError(CodeBadFrame)
	}
	c.settle() // one good frame forgives
	for range 3 {
		c.write("nonsense")
		c.expectError(CodeBadFrame)
	}
	c.expectClose(4500)
}

func TestBrokenFraming(t *testing.T) {
	t.Parallel()
	b := start(t, Options{})
	c := b.hello(t, nil)
	if _, err := c.rawConn().Write([]byte{0xff, 0xff, 0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	c.expectClose(websocket.CloseProtocolError)
	eventually(t, "the session is over", func() bool { return !b.Live(c.id) })
}

func TestRate(t *testing.T) {
	t.Parallel()
	b := start(t, Options{Rate: 5}) // 20 at once, and 40 more until patience ends
	c := b.hello(t, nil)
	for range 100 {
		c.send("ping", frame{"id": "1"})
	}
	pongs, refused := 0, 0
	for {
		f, err := c.read()
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			if closed.Code != 4003 {
				t.Fatalf("close code %d", closed.Code)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case f["type"] == "pong":
			pongs++
		case f["code"] == string(CodeRateLimited):
			refused++
		}
	}
	// One frame of the burst was the hello; a slow machine earns some frames more meanwhile.
	if pongs < 19 || pongs > 40 || refused < 41 || refused > 80 {
		t.Errorf("%d pongs, %d refused", pongs, refused)
	}
}

func TestPingFloodEnds(t *testing.T) {
	t.Parallel()
	b := start(t, Options{Rate: 5})
	c := b.hello(t, nil)
	for range 200 {
		if c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience)) != nil {
			break
		}
	}
	c.expectError(CodeRateLimited)
	c.expectClose(4003)
}

func TestSessionLimits(t *testing.T) {
	t.Parallel()
	// The address comes from a header here, as behind a proxy.
	source := func(r *http.Request) netip.Addr {
		addr, _ := netip.ParseAddr(r.Header.Get("Test-Source"))
		return addr
	}
	b := start(t, Options{Sessions: 5, SessionsPerSource: 2, Source: source})
	from := func(source string) *peerConn {
		ws, _, err := b.tryDial(http.Header{"Test-Source": {source}})
		if err != nil {
			t.Fatal(err)
		}
		c := b.client(t, ws)
		c.ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello"}`)) // may find the connection closed
		return c
	}
	refused := func(source string) {
		t.Helper()
		c := from(source)
		c.expectError(CodeRateLimited)
		c.expectClose(4003)
	}
	first := from("192.0.2.1")
	first.expect("welcome")
	from("192.0.2.1").expect("welcome")
	refused("192.0.2.1")
	refused("::ffff:192.0.2.1") // the same in IPv6's clothes
	from("2001:db8::1").expect("welcome")
	from("2001:db8::2:1").expect("welcome")
	refused("2001:db8::3:1:1") // the same /64
	from("2001:db8:0:1::1").expect("welcome")
	refused("192.0.2.2") // all in all
	first.ws.Close()
	eventually(t, "its place is free", func() bool { return b.Snapshot().Connections == 4 })
	from("192.0.2.1").expect("welcome")
}

// Refusing costs a little; beyond that there is no word.
func TestRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	b := start(t, Options{Sessions: 1}, func(l *limits) { l.refusing = 0 })
	b.hello(t, nil)
	c := b.dial(t)
	if f, err := c.read(); err == nil {
		t.Errorf("got %v", f)
	}
	if n := b.Snapshot().Refusals[CodeRateLimited]; n != 1 {
		t.Errorf("%d refusals counted", n)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	b := start(t, Options{})
	c := b.join(t, "tea", "Alice")
	early := b.dial(t)
	b.Drain()
	early.send("hello", frame{"id": "1"})
	if f := early.expectError(CodeShuttingDown); f["id"] != "1" {
		t.Errorf("got %v", f)
	}
	early.expectClose(4001)
	late := b.dial(t)
	late.send("hello", nil)
	late.expectError(CodeShuttingDown)
	late.expectClose(4001)
	// Those who are there go on as before.
	c.send("join", frame{"room": "coffee"})
	c.expect("joined")
	if !b.Snapshot().Draining {
		t.Error("not draining")
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	b := start(t, Options{})
	clients := []*peerConn{b.join(t, "tea", "Alice"), b.join(t, "tea", "Bob"), b.dial(t)}
	closed := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		closed <- b.Close(ctx)
	}()
	for _, c := range clients {
		for c.next()["code"] != string(CodeShuttingDown) {
		}
		c.expectClose(4001)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if shot := b.Snapshot(); shot.Connections+shot.Sessions+len(shot.Rooms) != 0 {
		t.Errorf("left: %+v", shot)
	}
	if _, response, err := b.tryDial(nil); err == nil || response == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after Close: %v, %v", response, err)
	}
}

// Clients that don't react are cut when the time for closing is over.
func TestCloseIsNotHeldUp(t *testing.T) {
	t.Parallel()
	b := start(t, Options{}, func(l *limits) { l.linger = time.Minute })
	b.hello(t, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// A handler that panics ends its session in order, and only that.
func TestPanicEndsOneSession(t *testing.T) {
	t.Parallel()
	h := newHub(t, Options{})
	h.handlers["panic"] = handler{run: func(*session, *clientMessage) *refusal { panic("on purpose") }}
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = discardLog()
	server.Start()
	defer server.Close()
	b := &box{Hub: h, server: server}
	defer b.Close(context.Background())
	alice, bob := b.join(t, "tea", "Alice"), b.join(t, "tea", "Bob")
	alice.expect("peer-joined")
	bob.send("panic", nil)
	bob.expectError(CodeInternal)
	bob.expectClose(4000)
	alice.expect("peer-left")
	alice.settle()
}

// A burst leaves in few writes, as one TLS record where it fits, and every frame of it arrives.
func TestBurstsAreGathered(t *testing.T) {
	t.Parallel()
	h := newHub(t, Options{})
	counted := &countingListener{}
	server := httptest.NewUnstartedServer(h)
	counted.Listener = server.Listener
	server.Listener = counted
	server.StartTLS()
	defer server.Close()
	defer h.Close(context.Background())
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ws, _, err := dialer.Dial("wss"+strings.TrimPrefix(server.URL, "https"), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &box{Hub: h, server: server}
	c := b.client(t, ws)
	c.send("hello", nil)
	c.id = c.expect("welcome").text("peerId")
	before := counted.writes.Load()
	const burst = 100
	s := b.session(c.id)
	s.out.mu.Lock()
	for range burst {
		s.out.append(outFrame{body: []byte(`{"type":"pong"}`)})
	}
	s.out.mu.Unlock()
	for range burst {
		c.expect("pong")
	}
	if n := counted.writes.Load() - before; n != 1 {
		t.Errorf("%d frames left in %d writes", burst, n)
	}
	// What is larger than the buffer goes through as well.
	large := `{"type":"x","data":"` + strings.Repeat("x", 5*gatherSize) + `"}`
	for range 3 {
		s.out.put([]byte(large), true)
		if f := c.expect("x"); len(f.text("data")) != 5*gatherSize {
			t.Error("a large frame was cut")
		}
	}
}

// A client that reads its goodbye late still gets it: closing must not reset the connection under it.
func TestGoodbyeArrives(t *testing.T) {
	t.Parallel()
	b := start(t, Options{})
	for range 20 {
		c := b.dial(t)
		c.write("nonsense")
		for range 10 { // still under way when the hub closes
			c.ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"ping"}`))
		}
		c.expectError(CodeBadFrame)
		c.expectClose(4500)
	}
}

func TestSubprotocolIsOptional(t *testing.T) {
	t.Parallel()
	b := start(t, Options{})
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
	b := start(t, Options{})
	c := b.dial(t)
	io.WriteString(c.rawConn(), "\x81") // half a frame header
	c.rawConn().Close()
	eventually(t, "the connection is over", func() bool { return b.Snapshot().Connections == 0 })
}
