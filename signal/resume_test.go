package signal_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/internal/source"
	"signalbox/signal"
)

// resume connects and goes on from seq; the connection before is of the past.
func (b *box) resume(t testing.TB, token any, seq int) (*peerConn, frame) {
	t.Helper()
	c := b.dial(t)
	c.send("resume", frame{"token": token, "seq": seq})
	f := c.next()
	c.id = f.text("peerId")
	return c, f
}

// Others hear of a loss when nobody has come back in time, and not before.
func TestLossIsToldWhenTheTimeIsOver(t *testing.T) {
	t.Parallel()
	told := &memberLog{}
	const resume = 3 * time.Second
	b := start(t, signal.Options{Resume: resume, Members: told})
	alice, eve := b.dial(t), b.dial(t)
	alice.send("hello", frame{"user": "alice"})
	welcome := alice.expect("welcome")
	alice.id = welcome.text("peerId")
	alice.send("join", frame{"room": "tea"})
	alice.expect("joined")
	bob := b.join(t, "tea", "Bob")
	lost := time.Now()
	alice.rawConn().Close()

	// The seat and the user name are kept for her.
	eve.send("hello", frame{"user": "alice"})
	eve.expectError(signal.CodeUserTaken)

	if f := bob.expect("peer-left"); f["reason"] != "lost" || time.Since(lost) < resume {
		t.Errorf("after %v: %v", time.Since(lost), f)
	}
	told.await(t, "ended "+alice.id+" lost=true")
	eventually(t, "her user name is free", func() bool { return b.Find(alice.id) == nil })
	b.hello(t, frame{"user": "alice"})
	if _, f := b.resume(t, welcome["resumeToken"], 1); f["code"] != "resume-expired" {
		t.Errorf("got %v", f)
	}
}

// The peer id outlives even the hub: its resume tokens are signed with a key that is kept.
func TestPeerIDOutlivesARestart(t *testing.T) {
	t.Parallel()
	opts := signal.Options{Resume: time.Minute, ResumeKey: []byte("a key that is kept somewhere")}
	before := start(t, opts)
	c := before.dial(t)
	c.send("hello", nil)
	welcome := c.expect("welcome")

	after := start(t, opts)
	c, f := after.resume(t, welcome["resumeToken"], 0)
	if f["code"] != "resume-expired" {
		t.Fatalf("got %v", f)
	}
	c.send("hello", frame{"replaces": welcome["resumeToken"]})
	if f := c.expect("welcome"); f["peerId"] != welcome["peerId"] || f["resumeToken"] == welcome["resumeToken"] {
		t.Errorf("was %v, is %v", welcome, f)
	}

	opts.ResumeKey = []byte("another key")
	stranger := start(t, opts).dial(t)
	for _, token := range []any{welcome["resumeToken"], "", "x", "..", strings.Repeat(".", 100), welcome["peerId"]} {
		stranger.send("resume", frame{"token": token})
		stranger.expectError(signal.CodeResumeExpired)
	}
	stranger.send("hello", frame{"replaces": welcome["resumeToken"]})
	if f := stranger.expect("welcome"); f["peerId"] == welcome["peerId"] {
		t.Error("a foreign key is believed")
	}
}

func TestAddressChangeIsTold(t *testing.T) {
	t.Parallel()
	told := &memberLog{}
	var mu sync.Mutex
	at := "192.0.2.1"
	b := start(t, signal.Options{Resume: time.Minute, SessionsPerSource: 1, Members: told,
		Source: func(*http.Request) netip.Addr {
			mu.Lock()
			defer mu.Unlock()
			return netip.MustParseAddr(at)
		}})
	c := b.dial(t)
	c.send("hello", nil)
	welcome := c.expect("welcome")
	mu.Lock()
	at = "192.0.2.2"
	mu.Unlock()
	c, f := b.resume(t, welcome["resumeToken"], 0)
	if f["addressChanged"] != true {
		t.Errorf("got %v", f)
	}
	told.await(t, "moved "+c.id+" 192.0.2.2")
	// As long as the client was not heard, it may not know.
	if c, f = b.resume(t, welcome["resumeToken"], 0); f["addressChanged"] != true {
		t.Errorf("got %v", f)
	}
	c.settle()
	if _, f := b.resume(t, welcome["resumeToken"], 0); f["addressChanged"] != nil {
		t.Errorf("got %v", f)
	}
	// It counts for its new address only.
	mu.Lock()
	at = "192.0.2.1"
	mu.Unlock()
	b.hello(t, nil)
}

// A lost session counts like any other: who hangs up and comes back anew, again and again, gets no
// further than who stays.
func TestLostSessionsCount(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute, SessionsPerSource: 3})
	for range 3 {
		b.hello(t, nil).rawConn().Close()
	}
	c := b.dial(t)
	c.send("hello", nil)
	c.expectError(signal.CodeRateLimited)
}

// A client that doesn't read loses its connection and not its session, unless ever more comes.
func TestSlowReaderResumes(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute, Heartbeat: time.Minute},
		func(l *signal.Limits) { l.Backlog, l.Bytes, l.Write = 40, 1<<20, 4*time.Second })
	alice := b.dial(t)
	alice.send("hello", nil)
	welcome := alice.expect("welcome")
	alice.id = welcome.text("peerId")
	alice.send("join", frame{"room": "tea"})
	alice.expect("joined")
	bob := b.join(t, "tea", "Bob")
	alice.expect("peer-joined")

	// Alice doesn't read, so no pong confirms anything: forty frames are under way. Ten more are
	// all that Bob may let wait. Then he has to go slowly, until Alice has had her time.
	said := 0
	say := func() (ok bool) {
		bob.send("broadcast", frame{"room": "tea", "data": said, "id": "1"})
		f := bob.next()
		if ok = f["type"] == "ack"; ok {
			said++
		} else if f["code"] != string(signal.CodeRateLimited) {
			t.Fatalf("got %v", f)
		}
		return ok
	}
	for said < 38 { // with joined and peer-joined
		say()
	}
	eventually(t, "all that may be under way is", b.Find(alice.id).Full)
	for say() {
	}
	if said != 48 {
		t.Errorf("Bob has said %d things", said)
	}
	eventually(t, "Alice has had her time", say)
	for said < 60 {
		say()
	}
	seen := 0
	for f := alice.next(); f["type"] != "error"; f = alice.next() {
		if f["data"] != float64(seen) {
			t.Fatalf("%d: got %v", seen, f)
		}
		seen++
	}
	alice.expectClose(4002)
	if seen > 45 {
		t.Errorf("%d frames were under way, unconfirmed", seen)
	}
	alice, f := b.resume(t, welcome["resumeToken"], 2+seen)
	if f["type"] != "resumed" {
		t.Fatalf("got %v", f)
	}
	for n := seen; n < said; n++ {
		if f := alice.expect("broadcast"); f["data"] != float64(n) || f["seq"] != float64(n+3) {
			t.Fatalf("%d: got %v", n, f)
		}
	}

	// While she is away, nobody waits for her, and too much is the end.
	alice.rawConn().Close()
	b.away(t, alice.id) // or some of the frames would be under way
	for n := range 90 {
		bob.send("broadcast", frame{"room": "tea", "data": n})
	}
	if f := bob.expect("peer-left"); f["reason"] != "lost" {
		t.Errorf("got %v", f)
	}
	if _, f := b.resume(t, welcome["resumeToken"], said+2); f["code"] != "resume-expired" {
		t.Errorf("got %v", f)
	}
}

// Pongs say what has arrived, so that an honest client is never short of room, however much it
// gets.
func TestPongsConfirm(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute}, func(l *signal.Limits) { l.Backlog, l.Bytes = 50, 1<<20 })
	alice, bob := b.join(t, "tea", "Alice"), b.join(t, "tea", "Bob")
	alice.expect("peer-joined")
	for n := range 2000 {
		bob.send("broadcast", frame{"room": "tea", "data": n})
		if f := alice.expect("broadcast"); f["data"] != float64(n) {
			t.Fatalf("%d: got %v", n, f)
		}
	}
	s := b.Find(alice.id)
	if n := s.Kept(); n > 50 {
		t.Errorf("%d frames are kept", n)
	}
}

// A kick reaches who is away, too.
func TestKickOfALostSession(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute})
	alice := b.join(t, "tea", "Alice")
	bob := b.join(t, "tea", "Bob")
	alice.rawConn().Close()
	eventually(t, "she is away", func() bool {
		members := b.Snapshot().Rooms[0].Members
		return members[0].Away && !members[1].Away
	})
	b.Kick(func(k signal.Kicked) bool { return k.ID == alice.id })
	if f := bob.expect("peer-left"); f["reason"] != "kicked" {
		t.Errorf("got %v", f)
	}
}

// guard lets in who says the word.
type guard struct{ passes map[string]signal.Pass }

func (g guard) Admit(token string, _ netip.Addr) (signal.Pass, error) {
	if token == "guess" {
		return signal.Pass{}, signal.ErrTooManyGuesses
	}
	if pass, ok := g.passes[token]; ok {
		return pass, nil
	}
	return signal.Pass{}, errors.Join(signal.ErrUnauthorized)
}

func closeCode(c signal.Code) int {
	code, _ := c.WebSocket()
	return code
}

func TestGuard(t *testing.T) {
	t.Parallel()
	tea := func(room string) bool { return strings.HasPrefix(room, "tea") }
	bans := source.NewBans()
	b := start(t, signal.Options{RoomCapacity: 8, Bans: bans, Guard: guard{map[string]signal.Pass{
		"alice":  {Key: "1", Attested: true, Name: "Alice A.", User: "alice", Rooms: tea, Capacity: 2},
		"nobody": {Key: "2", Attested: true, Rooms: tea},
		"late":   {Key: "3", Rooms: tea, Expires: time.Now()},
		"any":    {},
	}}})
	for token, code := range map[string]signal.Code{"": signal.CodeUnauthorized, "wrong": signal.CodeUnauthorized,
		"guess": signal.CodeRateLimited} {
		c := b.dial(t)
		c.send("hello", frame{"token": token})
		c.expectError(code)
		c.expectClose(closeCode(code))
	}
	c := b.dial(t)
	c.send("hello", frame{"token": "nobody", "user": "alice"})
	c.expectError(signal.CodeUnauthorized)

	alice := b.dial(t)
	alice.send("hello", frame{"token": "alice", "name": "Bob"})
	if f := alice.expect("welcome"); f["name"] != "Alice A." || f["user"] != "alice" {
		t.Errorf("got %v", f)
	}
	alice.send("join", frame{"room": "coffee"})
	alice.expectError(signal.CodeUnauthorized)
	alice.send("join", frame{"room": "tea"})
	if f := alice.expect("joined"); f["capacity"] != 2.0 {
		t.Errorf("got %v", f)
	}
	alice.send("join", frame{"room": "coffee", "token": "any"})
	if f := alice.expect("joined"); f["capacity"] != 8.0 {
		t.Errorf("got %v", f)
	}
	alice.send("join", frame{"room": "tea2", "token": "late"})
	alice.expectError(signal.CodeUnauthorized)

	// A token can be banned: its bearers go, and don't come back.
	ban(t, bans, source.Ban{Token: "1", Until: time.Now().Add(time.Hour)})
	bearer := func(k signal.Kicked) bool { return len(k.Tokens) == 1 && k.Tokens[0] == "1" }
	if kicked := b.Kick(bearer); len(kicked) != 1 {
		t.Errorf("kicked %v", kicked)
	}
	alice.expectError(signal.CodeKicked)
	again := b.dial(t)
	again.send("hello", frame{"token": "alice"})
	again.expectError(signal.CodeKicked)
	other := b.hello(t, frame{"token": "any"})
	other.send("join", frame{"room": "tea", "token": "alice"})
	other.expectError(signal.CodeUnauthorized)
}

// A page that is closed says so, and mostly doesn't come back.
func TestGoingAwayWaitsAMomentOnly(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Hour}, func(l *signal.Limits) { l.GoingAway = 50 * time.Millisecond })
	alice, bob := b.join(t, "tea", "Alice"), b.join(t, "tea", "Bob")
	alice.expect("peer-joined")
	alice.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, ""),
		time.Now().Add(patience))
	if f := bob.expect("peer-left"); f["reason"] != "lost" {
		t.Errorf("got %v", f)
	}
}
