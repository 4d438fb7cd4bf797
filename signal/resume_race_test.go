package signal_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/internal/source"
	"signalbox/signal"
	"signalbox/signal/native"
)

// away waits until the session has no connection.
func (b *box) away(t testing.TB, id string) *signal.Session {
	t.Helper()
	s := b.Find(id)
	eventually(t, "the connection is gone", s.Away)
	return s
}

// HTTP/2 ends a stream whose write deadline passes, even if nothing is being written.
func TestEventsOverHTTP2(t *testing.T) {
	t.Parallel()
	const write, heartbeat = 2 * time.Second, 3 * time.Second
	h := newHub(t, signal.Options{Heartbeat: heartbeat}, func(l *signal.Limits) { l.Write = write })
	mux, n := http.NewServeMux(), native.New(h)
	mux.HandleFunc("GET /signal/events", n.Events)
	mux.HandleFunc("/signal/send", n.Send)
	server := httptest.NewUnstartedServer(mux)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	response, err := server.Client().Get(server.URL + "/signal/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	began, seen := time.Now(), make([]byte, 8192)
	for time.Since(began) < (write+heartbeat)/2 { // what comes then is a heartbeat, after the deadline
		if _, err := response.Body.Read(seen); err != nil {
			t.Fatalf("%s: the stream ended after %v: %v", response.Proto, time.Since(began), err)
		}
	}
}

// A stream that ends while one of its POSTs resumes a session ends that session's connection, too.
func TestStreamEndsWhileItResumes(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: 2 * time.Second})
	alice, c := b.dial(t), b.events(t, nil)
	alice.send("hello", nil)
	welcome := alice.expect("welcome")
	s := b.Find(welcome.text("peerId"))
	alice.rawConn().Close()
	b.away(t, s.ID())
	unlock := s.LockWork() // as anything may hold it for a moment
	posted := make(chan int)
	go func() { posted <- c.post(0, frame{"type": "resume", "token": welcome["resumeToken"]}) }()
	eventually(t, "the POST is processed", func() bool {
		own := b.LinkSessions()
		return len(own) == 1 && own[0] != s && own[0].Busy()
	})
	c.body.Close()
	time.Sleep(50 * time.Millisecond) // for the stream's end to be on its way; if it isn't, the test passes in vain
	unlock()
	<-posted
	eventually(t, "the session is over", func() bool { return b.Find(s.ID()) == nil })
}

// The writer of a connection that is stuck finds out late, and ends nobody else's.
func TestStuckWriterEndsItsOwnConnection(t *testing.T) {
	t.Parallel()
	b := startNarrow(t, narrow, signal.Options{Resume: time.Minute},
		func(l *signal.Limits) { l.Write = 5 * time.Second })
	alice := b.dialNarrow(t, narrow)
	alice.send("hello", nil)
	welcome := alice.expect("welcome")
	alice.send("join", frame{"room": "tea"})
	alice.expect("joined")
	bob := b.join(t, "tea", "Bob")
	for range 4 { // which is its share of what may wait
		bob.send("broadcast", frame{"room": "tea", "data": strings.Repeat("x", 60<<10)})
	}
	bob.settle()
	again, f := b.resume(t, welcome["resumeToken"], 1)
	if f["type"] != "resumed" {
		t.Fatal(f)
	}
	again.expect("peer-joined")
	for range 4 {
		again.expect("broadcast")
	}
	eventually(t, "the stuck one has noticed", func() bool { return b.Snapshot().Connections == 2 })
	again.send("ping", nil) // it has read everything: what is next is the answer to this
	again.expect("pong")
}

// What a broken connection has left is nobody's slowness.
func TestResumeIsNotSlow(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute}, func(l *signal.Limits) { l.Backlog = 10 })
	alice := b.dial(t)
	alice.send("hello", nil)
	welcome := alice.expect("welcome")
	alice.send("join", frame{"room": "tea"})
	alice.expect("joined")
	bob := b.join(t, "tea", "Bob")
	alice.expect("peer-joined")
	alice.rawConn().Close()
	b.away(t, welcome.text("peerId"))
	for n := range 15 {
		bob.send("broadcast", frame{"room": "tea", "data": n})
	}
	bob.settle()
	for range 20 {
		c := b.dial(t)
		c.send("ping", nil)
		c.send("resume", frame{"token": welcome["resumeToken"], "seq": 2, "id": "1"})
		f := c.next()
		for f["type"] == "pong" {
			f = c.next()
		}
		if f["type"] != "resumed" {
			t.Fatalf("got %v", f)
		}
		c.rawConn().Close() // before it has confirmed anything
	}
}

// Who comes back at once, with the same id, doesn't meet the seat of the session before.
func TestSuccessorHasASeatOfItsOwn(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute})
	alice := b.dial(t)
	alice.send("hello", nil)
	welcome := alice.expect("welcome")
	for _, room := range []string{"big", "tea"} {
		alice.send("join", frame{"room": room})
		alice.expect("joined")
	}
	bob := b.join(t, "tea", "Bob")
	unlock := b.LockRoom("big") // a broadcast to many is under way there
	alice.send("bye", nil)
	s := b.Find(welcome.text("peerId"))
	eventually(t, "it is about to leave", s.Closed)
	again := b.dial(t)
	again.send("hello", frame{"replaces": welcome["resumeToken"]})
	again.send("join", frame{"room": "tea"})
	unlock()
	again.expect("welcome")
	again.expect("joined")
	for bob.next()["type"] != "peer-joined" {
	}
	bob.send("signal", frame{"to": welcome["peerId"], "room": "tea", "data": 1})
	again.expect("signal")
}

func TestResumeFromABannedSource(t *testing.T) {
	t.Parallel()
	var at atomic.Value
	at.Store("192.0.2.1")
	bans := source.NewBans()
	b := start(t, signal.Options{Resume: time.Minute, Bans: bans,
		Source: func(*http.Request) netip.Addr { return netip.MustParseAddr(at.Load().(string)) }})
	c := b.dial(t)
	c.send("hello", nil)
	welcome := c.expect("welcome")
	ban(t, bans, source.Ban{Source: netip.MustParsePrefix("198.51.100.0/24"), Until: time.Now().Add(time.Hour)})
	at.Store("198.51.100.7")
	c, f := b.resume(t, welcome["resumeToken"], 0)
	if f["code"] != "kicked" {
		t.Errorf("got %v", f)
	}
	c.expectClose(4504)
}

// A refused hello has no effect, not even on the session that it would have replaced; and only a
// recent token replaces one that is there.
func TestRefusedHelloReplacesNobody(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute})
	c := b.dial(t)
	c.send("hello", frame{"user": "alice"})
	first := c.expect("welcome")
	b.hello(t, frame{"user": "bob"})
	d := b.dial(t)
	d.send("hello", frame{"user": "bob", "replaces": first["resumeToken"]})
	d.expectError(signal.CodeUserTaken)
	c.settle()

	token := first["resumeToken"]
	for range 2 {
		c = b.dial(t)
		c.send("hello", frame{"user": "alice", "replaces": token})
		f := c.expect("welcome")
		if f["peerId"] != first["peerId"] {
			t.Fatalf("got %v", f)
		}
		token = f["resumeToken"]
	}
	d = b.dial(t)
	d.send("hello", frame{"replaces": first["resumeToken"]}) // two sessions ago
	if f := d.expect("welcome"); f["peerId"] == first["peerId"] {
		t.Error("an old token has ended the session of today")
	}
	c.settle()
}

// A session whose welcome got lost is in nobody's way.
func TestGhostWithoutWelcome(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute})
	c := b.dial(t)
	c.send("hello", frame{"user": "alice"})
	eventually(t, "it is there", func() bool { return b.Snapshot().Sessions == 1 })
	c.rawConn().Close()
	eventually(t, "its connection is gone", func() bool { return b.Snapshot().Connections == 0 })
	b.hello(t, frame{"user": "alice"}).settle()
}

// Sessions are resumed, replaced, lost and ended all at once, and nothing is left of them; newHub's
// clean-up looks.
func TestSessionsInTurmoil(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: 10 * time.Millisecond, Calls: true})
	var mu sync.Mutex
	tokens := make([]string, 4)
	var wg sync.WaitGroup
	end := time.Now().Add(2 * time.Second)
	for range 8 {
		wg.Go(func() {
			for time.Now().Before(end) {
				k := rand.IntN(len(tokens))
				mu.Lock()
				token := tokens[k]
				mu.Unlock()
				ws, _, err := b.tryDial(nil)
				if err != nil {
					t.Error(err)
					return
				}
				first := frame{"type": "hello", "replaces": token, "user": fmt.Sprint("u", k)}
				if rand.IntN(2) == 0 {
					first = frame{"type": "resume", "token": token, "id": "r"}
				}
				ws.SetReadDeadline(time.Now().Add(patience))
				ws.WriteJSON(first)
				var f frame
				if ws.ReadJSON(&f) == nil && f["type"] == "welcome" {
					mu.Lock()
					tokens[k] = f.text("resumeToken")
					mu.Unlock()
				}
				ws.WriteJSON(frame{"type": "join", "room": fmt.Sprint("tea", rand.IntN(3))})
				ws.WriteJSON(frame{"type": "signal", "to": fmt.Sprint("@u", rand.IntN(4)), "data": 1})
				if rand.IntN(4) == 0 {
					ws.WriteJSON(frame{"type": "bye"})
				}
				ws.Close()
			}
		})
	}
	wg.Wait()
}

// A session's bytes are limited as its frames are.
func TestVolume(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Rate: 1000}, func(l *signal.Limits) { l.Volume = 1000 })
	c := b.join(t, "tea", "Ada")
	data := strings.Repeat("x", 900)
	for n := 0; ; n++ {
		c.send("broadcast", frame{"room": "tea", "data": data, "id": "1"})
		f := c.next()
		if f["code"] == string(signal.CodeRateLimited) {
			break
		}
		if n > 100 {
			t.Fatal("never limited")
		}
	}
}
