package signal_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
)

func TestHelloInTime(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, func(l *signal.Limits) { l.Hello = 2 * time.Second })
	c := b.dial(t)
	c.expectError(signal.CodeHelloFirst)
	c.expectClose(4004)
	eventually(t, "it is counted", func() bool { return b.Snapshot().Refusals[signal.CodeHelloFirst] == 1 })

	// A client that has said hello may be silent.
	greeted := b.hello(t, nil)
	late := b.dial(t)
	late.expectError(signal.CodeHelloFirst)
	greeted.settle()
}

func TestHelloDeadlineIsNotExtended(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, func(l *signal.Limits) { l.Hello = 200 * time.Millisecond })
	c := b.dial(t)
	var closed bool
	began := time.Now()
	for !closed && time.Since(began) < patience {
		if c.ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"ping"}`)) != nil {
			break
		}
		f, err := c.read()
		closed = err != nil || f["code"] == string(signal.CodeHelloFirst)
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("closed after %v", took)
	}
	eventually(t, "the connection is over", func() bool { return b.Snapshot().Connections == 0 })
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{MaxFrame: 1000})
	fits := `{"type":"ping","x":"` + strings.Repeat("x", 1000-22) + `"}`
	c := b.hello(t, nil)
	c.write(fits)
	c.expect("pong")
	c.write(fits + " ")
	c.expectError(signal.CodeTooLarge)
	c.expectClose(4501)
}

// A frame that never ends is refused when it has reached the limit, not when it is complete.
func TestTooLargeInPieces(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{MaxFrame: 1000})
	c := b.hello(t, nil)
	w, err := c.ws.NextWriter(websocket.TextMessage)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(strings.Repeat("x", 100_000))) // more than the client's buffer, so that fragments leave
	c.expectError(signal.CodeTooLarge)
	c.expectClose(4501)
}

func TestBinaryIsRefused(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	c := b.hello(t, nil)
	if err := c.ws.WriteMessage(websocket.BinaryMessage, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	c.expectError(signal.CodeBadFrame)
	c.settle()
}

func TestNonsenseEnds(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, func(l *signal.Limits) { l.BadFrames = 3 })
	c := b.hello(t, nil)
	for range 2 {
		c.write("nonsense")
		c.expectError(signal.CodeBadFrame)
	}
	c.settle() // one good frame forgives
	for range 3 {
		c.write("nonsense")
		c.expectError(signal.CodeBadFrame)
	}
	c.expectClose(4500)
}

// patientEnd is for clients that go on sending: they get to read why they were closed, however long
// they are at it.
func patientEnd(l *signal.Limits) { l.Linger = patience }

func TestRate(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Rate: 5}, patientEnd) // 20 at once, and then 5 a second
	began := time.Now()
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
		case f["code"] == string(signal.CodeRateLimited):
			refused++
		}
	}
	// One frame of the burst was the hello; a slow machine earns some frames more meanwhile.
	earned := 1 + int(5*time.Since(began).Seconds())
	if pongs < 19 || pongs > 19+earned || refused < 41 || refused > 41+earned {
		t.Errorf("%d pongs, %d refused", pongs, refused)
	}
}

func TestPingFloodEnds(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Rate: 5}, patientEnd)
	c := b.hello(t, nil)
	for range 200 {
		if c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience)) != nil {
			break
		}
	}
	c.expectError(signal.CodeRateLimited)
	c.expectClose(4003)
}

// testSource is the address that a header names, as behind a proxy; see dialFrom.
func testSource(r *http.Request) netip.Addr {
	addr, _ := netip.ParseAddr(r.Header.Get("Test-Source"))
	return addr
}

// dialFrom is dial from a source of the test's choice, for a box with testSource.
func (b *box) dialFrom(t testing.TB, source string) *peerConn {
	t.Helper()
	ws, _, err := b.tryDial(http.Header{"Test-Source": {source}})
	if err != nil {
		t.Fatal(err)
	}
	return b.client(t, ws)
}

func TestSessionLimits(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Sessions: 5, SessionsPerSource: 2, Source: testSource})
	from := func(source string) *peerConn {
		c := b.dialFrom(t, source)
		c.ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello"}`)) // may find the connection closed
		return c
	}
	refused := func(source string) {
		t.Helper()
		c := from(source)
		c.expectError(signal.CodeRateLimited)
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
	b := start(t, signal.Options{Sessions: 1}, func(l *signal.Limits) { l.Refusing = 0 })
	b.hello(t, nil)
	c := b.dial(t)
	if f, err := c.read(); err == nil {
		t.Errorf("got %v", f)
	}
	if n := b.Snapshot().Refusals[signal.CodeRateLimited]; n != 1 {
		t.Errorf("%d refusals counted", n)
	}
}
