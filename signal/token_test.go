package signal_test

import (
	"testing"
	"time"

	"signalbox/signal"
)

// welcomed is a session of its own, and its welcome.
func (b *box) welcomed(t testing.TB, hello frame) (*peerConn, frame) {
	t.Helper()
	c := b.dial(t)
	c.send("hello", hello)
	f := c.expect("welcome")
	c.id = f.text("peerId")
	return c, f
}

// inherits reports whether a hello that replaces a session with that token gets its peer id.
func (b *box) inherits(t testing.TB, token any, id string) bool {
	t.Helper()
	_, f := b.welcomed(t, frame{"replaces": token})
	return f["peerId"] == id
}

// Each resume gives another token. The one before is good once, for its answer may have been lost.
func TestHub7ResumeTokensRotate(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute})
	alice, welcome := b.welcomed(t, nil)
	tokens := []any{welcome["resumeToken"]}
	for i, step := range []struct {
		token int
		good  bool
	}{
		{0, true}, {0, true}, // the first answer was lost
		{1, true}, // it was the second one, but this proves that it has come
		{0, false},
		{3, true}, // the answer to 1 has come
		{1, false}, {2, false}, {0, false},
		{3, true}, {5, true}, {4, true}, // 4 and 5 are one, as 4 may be lost
		{6, true}, {3, false}, {5, false},
	} {
		_, f := b.resume(t, tokens[step.token], 0)
		switch good := f["type"] == "resumed"; {
		case good != step.good || !good && f["code"] != "resume-expired" || good && f["peerId"] != alice.id:
			t.Fatalf("step %d: with token %d: %v", i, step.token, f)
		case good:
			tokens = append(tokens, f["resumeToken"])
		}
	}
	if tokens[0] == tokens[1] || tokens[1] == tokens[3] {
		t.Error("the token stays the same")
	}
}

// Once the client is known to have what came after its new token, the one before is not good.
func TestHub7NewTokenThatHasArrived(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute})
	_, welcome := b.welcomed(t, nil)
	alice, f := b.resume(t, welcome["resumeToken"], 0)
	alice.send("join", frame{"room": "tea"})
	alice.expect("joined")
	alice.send("ping", frame{"received": 1})
	alice.expect("pong")
	if _, f := b.resume(t, welcome["resumeToken"], 1); f["code"] != "resume-expired" {
		t.Errorf("got %v", f)
	}
	if b.inherits(t, welcome["resumeToken"], alice.id) {
		t.Error("the token before is good for the peer id still")
	}
	if _, f := b.resume(t, f["resumeToken"], 1); f["type"] != "resumed" {
		t.Errorf("got %v", f)
	}
}

// A copy of an old token takes neither the session nor its peer id, however its owner got newer
// ones; the owner's takes them back.
func TestHub7NewestOwnerWins(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute, ResumeKey: []byte("key")})
	alice, welcome := b.welcomed(t, frame{"user": "alice"})
	copied := welcome["resumeToken"]
	token := copied
	for range 2 {
		_, f := b.resume(t, token, 0)
		token = f["resumeToken"]
	}
	if b.inherits(t, copied, alice.id) {
		t.Error("a copy from two resumes ago has taken the peer id")
	}
	owner, f := b.resume(t, token, 0)
	if f["type"] != "resumed" {
		t.Fatalf("the copy has ended the session: %v", f)
	}
	token = f["resumeToken"]

	// After a restart the hub knows nobody. The copy comes first, and the owner later.
	b = start(t, signal.Options{Resume: time.Minute, ResumeKey: []byte("key")})
	thief, _ := b.welcomed(t, frame{"replaces": copied})
	if thief.id != owner.id {
		t.Fatal("a token is not good over a restart")
	}
	if !b.inherits(t, token, owner.id) {
		t.Error("the newest token gives way to an old copy")
	}
	thief.expectError(signal.CodeReplaced)
	if b.inherits(t, copied, owner.id) {
		t.Error("the copy has taken the peer id back")
	}
}

// What nobody has renewed for a day is not good for a peer id.
func TestHub7ReplacesEndsAfterADay(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute})
	for age, want := range map[time.Duration]bool{
		time.Hour: true, 23 * time.Hour: true, 25 * time.Hour: false, 1000 * time.Hour: false,
		-time.Hour: true, -25 * time.Hour: false, // the clock was wrong
	} {
		id := "peer-" + age.String()
		if got := b.inherits(t, b.AgedToken(id, "nonce", 3, time.Now().Add(-age)), id); got != want {
			t.Errorf("after %v: %v", age, got)
		}
	}
	// Former versions gave tokens without an issue time.
	if b.inherits(t, b.FormerToken("peer", "nonce"), "peer") {
		t.Error("a token without an issue time is good")
	}
}

// A client that never loses its connection gets newer tokens with its ICE servers; those from
// before stay good.
func TestHub7TokensOfLongConnections(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute, ICE: &issuer{ttl: 3 * time.Second}})
	b.Tweak(func(l *signal.Limits) { l.Renew = 0 })
	alice, welcome := b.welcomed(t, nil)
	alice.expect("ice")
	f := alice.expect("token")
	if f["seq"] != nil || f["resumeToken"] == nil {
		t.Errorf("got %v", f)
	}
	for _, token := range []any{welcome["resumeToken"], f["resumeToken"]} {
		if _, f := b.resume(t, token, 0); f["type"] != "resumed" {
			t.Errorf("got %v", f)
		}
	}
}
