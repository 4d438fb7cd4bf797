package signal_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/signal"
)

// relay is a Watcher of the tests.
type relay struct {
	full bool
	came chan string // who has begun to watch
	says chan []byte
	done chan struct{}
}

func newRelay() *relay {
	return &relay{came: make(chan string, 1), says: make(chan []byte), done: make(chan struct{})}
}

func (r *relay) Watch(peerID string, source netip.Addr, users []string) (signal.Watch, bool) {
	if r.full {
		return nil, false
	}
	r.came <- peerID + " " + source.String() + " " + strings.Join(users, ",")
	return r, true
}

func (r *relay) Next() ([]byte, bool) {
	select {
	case s := <-r.says:
		return s, true
	case <-r.done:
		return nil, false
	}
}

func (r *relay) Stop() { close(r.done) }

// What the relay sees goes to the session that it is about, while that lasts, and to nobody else.
func TestWatch(t *testing.T) {
	t.Parallel()
	r := newRelay()
	b := start(t, signal.Options{Watcher: r})
	c, other := b.hello(t, nil), b.hello(t, nil)
	c.send("watch", frame{"test": "t1", "users": []string{"u", "v"}, "id": "1"})
	c.expect("ack")
	if came, want := <-r.came, c.id+" 127.0.0.1 u,v"; came != want {
		t.Errorf("%q watches, want %q", came, want)
	}
	r.says <- []byte(`{"kind":"challenged"}`)
	if f := c.expect("sighted"); f.text("test") != "t1" || f["seq"] != nil {
		t.Errorf("it is told %v", f)
	}
	other.settle()
	c.send("watch", frame{"test": "t2", "id": "2"})
	c.expectError(signal.CodeRateLimited)
	c.ws.Close()
	<-r.done // with the session
}

func TestWatchRefuses(t *testing.T) {
	t.Parallel()
	r := newRelay()
	b := start(t, signal.Options{Watcher: r})
	c := b.hello(t, nil)
	for _, f := range []frame{
		{"users": slices.Repeat([]string{"u"}, 17)}, {"users": []string{"\u202e"}}, {"users": "u"},
		{"test": strings.Repeat("x", 65)},
	} {
		c.send("watch", f)
		c.expectError(signal.CodeBadFrame)
	}
	r.full = true
	c.send("watch", frame{})
	c.expectError(signal.CodeRateLimited)
}

// Where there is no relay, nothing is seen.
func TestWatchWithoutARelay(t *testing.T) {
	t.Parallel()
	c := start(t, signal.Options{}).hello(t, nil)
	c.send("watch", frame{"id": "1"})
	c.expect("ack")
}

// Who reads slowly lacks sightings, and nothing else: they don't end the session.
func TestWatchOfASlowReader(t *testing.T) {
	t.Parallel()
	r := newRelay()
	b := startNarrow(t, 4096, signal.Options{Watcher: r}, func(l *signal.Limits) { l.Backlog = 16 })
	c := b.dialNarrow(t, 4096)
	c.send("hello", nil)
	c.expect("welcome")
	c.send("watch", frame{"id": "1"})
	c.expect("ack")
	<-r.came
	sighting := []byte(`"` + strings.Repeat("x", 16<<10) + `"`)
	for range 100 {
		r.says <- sighting
	}
	c.send("watch", frame{"id": "2"})
	for {
		switch f := c.next(); f.text("type") {
		case "sighted":
		case "error":
			if f.text("code") != string(signal.CodeRateLimited) {
				t.Errorf("it ends with %v", f)
			}
			return
		default:
			t.Fatalf("got %v", f)
		}
	}
}

// A watch ends with the connection: who comes back begins another one.
func TestWatchEndsWithTheConnection(t *testing.T) {
	t.Parallel()
	r := newRelay()
	b := start(t, signal.Options{Watcher: r, Resume: time.Minute})
	c := b.hello(t, nil)
	c.send("watch", frame{"id": "1"})
	c.expect("ack")
	<-r.came
	c.ws.Close()
	<-r.done
	if b.Find(c.id) == nil {
		t.Error("the session is over, too")
	}
}
