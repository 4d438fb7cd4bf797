package signal_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
	"signalbox/signal/native"
	"signalbox/signal/ws"
)

// A client that reads nothing ends as slow. The others aren't delayed, and see it leave at once.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, func(l *signal.Limits) {
		// The outbox is full long before the write is late, also on a busy machine.
		l.Linger, l.Write, l.Bytes = 50*time.Millisecond, 4*time.Second, 256<<10
	})
	slow := b.join(t, "tea", "Slow")
	quick := b.join(t, "tea", "Quick")
	sender := b.join(t, "tea", "Sender")
	quick.expect("peer-joined")
	sender.settle()

	// Some megabytes fit the socket's buffers, and some more the outbox. Then the sender has to
	// wait, but not for long.
	data := strings.Repeat("x", 60<<10)
	gone, refused := false, 0
	for sent := 0; !gone; sent++ {
		if sent > 2000 {
			t.Fatal("the slow reader is still there")
		}
		sender.send("broadcast", frame{"room": "tea", "data": data, "id": "1"})
		f := sender.next()
		for ; f["type"] == "peer-left"; f = sender.next() {
			gone = f.text("reason") == "lost" && frame(f["peer"].(map[string]any)).text("id") == slow.id
		}
		if f["type"] == "error" {
			if f["code"] != string(signal.CodeRateLimited) {
				t.Fatalf("got %v", f)
			}
			refused++
			time.Sleep(10 * time.Millisecond)
			continue
		}
		for f = quick.next(); f["type"] != "broadcast"; f = quick.next() {
		}
	}
	if refused == 0 {
		t.Error("the sender was never told to go more slowly")
	}
	eventually(t, "the slow session is over", func() bool { return b.Find(slow.id) == nil })
	if n := b.Snapshot().Refusals[signal.CodeSlow]; n != 1 {
		t.Errorf("%d sessions counted as slow", n)
	}
}

// So is a client that reads nothing while little waits for it: what is under way doesn't get
// through in time.
func TestStuckWrite(t *testing.T) {
	t.Parallel()
	b := startNarrow(t, narrow, signal.Options{},
		func(l *signal.Limits) { l.Write, l.Backlog, l.Bytes = time.Second, 1<<20, 1<<30 })
	stuck := b.dialNarrow(t, narrow)
	stuck.send("hello", nil)
	stuck.send("join", frame{"room": "tea"})
	stuck.expect("welcome")
	stuck.expect("joined")
	sender := b.join(t, "tea", "Sender")
	data := strings.Repeat("x", 60<<10)
	for range 10 {
		sender.send("broadcast", frame{"room": "tea", "data": data})
	}
	eventually(t, "the stuck client is slow", func() bool { return b.Snapshot().Refusals[signal.CodeSlow] == 1 })
	if f := sender.expect("peer-left"); f.text("reason") != "lost" {
		t.Errorf("got %v", f)
	}
}

// A slow client that reads again in time learns why it was closed, and is told to come back.
func TestSlowReaderIsTold(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, func(l *signal.Limits) { l.Backlog = 8 })
	// The transport takes what waits in no time, so the backlog is filled under the room's lock, as
	// in a burst.
	slow := b.join(t, "tea", "Slow")
	s := b.Find(slow.id)
	s.Burst(8, `{}`)
	for s.Put(`{"type":"pong"}`) {
	}
	for {
		f, err := slow.read()
		if err != nil {
			t.Fatal(err)
		}
		if f["code"] == string(signal.CodeSlow) {
			break
		}
	}
	slow.expectClose(4002)
}

// A client that vanishes without a word is found dead by the heartbeat, and its peers are told.
func TestDeadPeerIsFound(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Heartbeat: time.Second})
	dead := b.join(t, "tea", "Dead") // it doesn't read from now on, so it answers no ping
	alive := b.join(t, "tea", "Alive")
	began := time.Now()
	f := alive.expect("peer-left") // reading answers pings
	if f.text("reason") != "lost" || frame(f["peer"].(map[string]any)).text("id") != dead.id {
		t.Fatalf("got %v", f)
	}
	if took := time.Since(began); took > 4*b.DeadAfter() {
		t.Errorf("found after %v", took)
	}
	eventually(t, "the dead one's session is over", func() bool { return b.Find(dead.id) == nil })
	if b.Find(alive.id) == nil {
		t.Error("the wrong one is live")
	}
}

// The default heartbeat finds the dead within a minute, before most proxies forget the connection.
func TestDefaultHeartbeat(t *testing.T) {
	t.Parallel()
	h := newHub(t, signal.Options{})
	if h.Heartbeat() != 25*time.Second || h.DeadAfter() != time.Minute {
		t.Errorf("heartbeat %v, dead after %v", h.Heartbeat(), h.DeadAfter())
	}
}

// A client that sends frames lives, even if it answers no ping.
func TestFramesAreSignsOfLife(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Heartbeat: time.Second})
	c := b.hello(t, nil)
	c.ws.SetPingHandler(func(string) error { return nil })
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < b.DeadAfter()+time.Second; <-tick.C {
		c.send("ping", nil)
		c.expect("pong")
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	c := b.join(t, "tea", "Alice")
	early := b.dial(t)
	b.Drain()
	early.send("hello", frame{"id": "1"})
	if f := early.expectError(signal.CodeShuttingDown); f["id"] != "1" {
		t.Errorf("got %v", f)
	}
	early.expectClose(4001)
	late := b.dial(t)
	late.send("hello", nil)
	late.expectError(signal.CodeShuttingDown)
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
	b := start(t, signal.Options{})
	clients := []*peerConn{b.join(t, "tea", "Alice"), b.join(t, "tea", "Bob"), b.dial(t)}
	closed := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		closed <- b.Close(ctx)
	}()
	for _, c := range clients {
		for c.next()["code"] != string(signal.CodeShuttingDown) {
		}
		c.expectClose(4001)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if shot := b.Snapshot(); shot.Connections+shot.Sessions+len(shot.Rooms) != 0 {
		t.Errorf("left: %+v", shot)
	}
	if _, response, err := b.tryDial(nil); err == nil || response == nil ||
		response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after Close: %v, %v", response, err)
	}
}

// Clients that don't react are cut when the time for closing is over.
func TestCloseIsNotHeldUp(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, func(l *signal.Limits) { l.Linger = time.Minute })
	b.hello(t, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// panics is a dialect with a verb that is broken.
type panics struct{ signal.Dialect }

func (d panics) Receive(s *signal.Session, f signal.Frame, over error) {
	if strings.Contains(string(f.Body), `"panic"`) {
		panic("on purpose")
	}
	d.Dialect.Receive(s, f, over)
}

// A handler that panics ends its session in order, and only that.
func TestPanicEndsOneSession(t *testing.T) {
	t.Parallel()
	h := newHub(t, signal.Options{})
	b := &box{Hub: h, native: native.New(h)}
	sockets := ws.New(h)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sockets.Serve(w, r, panics{b.native.Dialect()})
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	defer server.Close()
	b.server = server
	defer b.Close(context.Background())
	alice, bob := b.join(t, "tea", "Alice"), b.join(t, "tea", "Bob")
	alice.expect("peer-joined")
	bob.send("panic", nil)
	bob.expectError(signal.CodeInternal)
	bob.expectClose(4000)
	alice.expect("peer-left")
	alice.settle()
}

// A client that reads its goodbye late still gets it: closing must not reset the connection under
// it.
func TestGoodbyeArrives(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	for range 20 {
		c := b.dial(t)
		c.write("nonsense")
		for range 10 { // still under way when the hub closes
			c.ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"ping"}`))
		}
		c.expectError(signal.CodeBadFrame)
		c.expectClose(4500)
	}
}

// A client that the operator removes is told not to come back; the others learn of it, too.
func TestKicked(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	alice, bob := b.join(t, "tea", "Alice"), b.join(t, "tea", "Bob")
	alice.expect("peer-joined")
	b.Find(bob.id).Stop(signal.CodeKicked)
	bob.expectError(signal.CodeKicked)
	bob.expectClose(4504)
	if f := alice.expect("peer-left"); f.text("reason") != "kicked" {
		t.Errorf("got %v", f)
	}
}
