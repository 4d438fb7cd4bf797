package engineio

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"signalbox/signal"
)

// One source's sessions without a connection count as its others do, and end by their deadline.
func TestHandshakesOfOneSource(t *testing.T) {
	t.Parallel()
	b := newBoxOf(t, signal.Options{SessionsPerSource: 4}, Options{PingInterval: time.Second, PingTimeout: time.Second})
	refused := 0
	for range 20 {
		if b.do("GET", "EIO=4&transport=polling", "").status != http.StatusOK {
			refused++
		}
	}
	if refused < 12 {
		t.Errorf("%d of 20 were refused", refused)
	}
	for late := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		b.mu.Lock()
		n := len(b.pollings)
		b.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("%d sessions are still there", n)
		}
	}
	b.open(4)
}

// A post whose body does not come ends with its session, and so does what is held for it.
func TestSlowPost(t *testing.T) {
	t.Parallel()
	b := newBox(t, signal.Options{})
	c := b.open(4)
	host, _, _ := strings.Cut(strings.TrimPrefix(b.url, "http://"), "/")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /engine.io/?%s HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n4", c.query("polling"))
	conn.SetReadDeadline(time.Now().Add(patience))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil {
		io.Copy(io.Discard, response.Body) //nolint:errcheck // the status counts
		response.Body.Close()
	}
	if err != nil || response.StatusCode != http.StatusBadRequest {
		t.Fatalf("got %v, %v", response, err)
	}
	b.expect("poll", c.get(), 400, "*")
}

// A payload of very many empty packets ends the session at the first, however many follow.
func TestManySeparators(t *testing.T) {
	t.Parallel()
	b := newBoxOf(t, signal.Options{}, Options{})
	c := b.open(4)
	b.expect("post", c.post(strings.Repeat("\x1e", 60_000)), 400, "*")
	b.expect("poll", c.get(), 400, `{"code":1,"message":"Session ID unknown"}`)
}

// A session's id can't be guessed: none is like another, and one of a WebSocket is no key.
func TestGuessedIDs(t *testing.T) {
	t.Parallel()
	b := newBoxOf(t, signal.Options{}, Options{})
	c := b.open(4)
	if len(c.id) != 20 || b.open(4).id == c.id {
		t.Errorf("got %q", c.id)
	}
	for _, id := range []string{c.id[:19], c.id + "x", strings.ToLower(c.id) + "-", "..", strings.Repeat("x", 4000)} {
		b.expect(id, b.do("GET", "EIO=4&transport=polling&sid="+id, ""), 400,
			`{"code":1,"message":"Session ID unknown"}`)
	}
	b.expect("post", c.post("4mine"), 200, "ok")
	b.expect("poll", c.get(), 200, "4mine")
}
