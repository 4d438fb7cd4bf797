package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"signalbox/internal/admin"
	"signalbox/internal/testkit"
	"signalbox/signal"
	"signalbox/turnsvc/cred"
)

// helloFrom says hello from behind a trusted proxy that gives the client's address as source;
// empty: from here.
func helloFrom(t testing.TB, app *App, source string, hello map[string]any) *session {
	t.Helper()
	s := dialFrom(t, app, source)
	hello["type"] = "hello"
	s.send(hello)
	return s
}

func dialFrom(t testing.TB, app *App, source string) *session {
	t.Helper()
	header := http.Header{}
	if source != "" {
		header.Set("X-Forwarded-For", source)
	}
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+app.Addrs().Web+"/signal", header)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &session{t: t, conn: conn}
}

func (s *session) send(frame map[string]any) {
	s.t.Helper()
	if err := s.conn.WriteJSON(frame); err != nil {
		s.t.Fatal(err)
	}
}

// answer is the next frame.
func (s *session) answer() (frame map[string]json.RawMessage) {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	if err := s.conn.ReadJSON(&frame); err != nil {
		s.t.Fatal(err)
	}
	return frame
}

// refused waits for an error of that code.
func (s *session) refused(code string) {
	s.t.Helper()
	if e := s.expect("error"); string(e["code"]) != `"`+code+`"` {
		s.t.Errorf("refused with %s %s, want %s", e["code"], e["message"], code)
	}
}

// closed waits for the end of the connection with that code.
func (s *session) closed(code int) {
	s.t.Helper()
	for {
		_ = s.conn.SetReadDeadline(time.Now().Add(patience))
		if _, _, err := s.conn.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, code) {
				s.t.Errorf("closed with %v, want %d", err, code)
			}
			return
		}
	}
}

func TestTheHubAsksForThePassword(t *testing.T) {
	t.Parallel()
	app := startApp(t, "auth.mode=password", "auth.password="+testPassword)
	helloFrom(t, app, "", map[string]any{"token": testPassword}).expect("welcome")
	for _, wrong := range []string{"", "wrong"} {
		s := helloFrom(t, app, "", map[string]any{"token": wrong})
		s.refused("unauthorized")
		s.closed(4502)
	}
	var s *session
	code := func(token string) string {
		s = helloFrom(t, app, "", map[string]any{"token": token})
		return string(s.answer()["code"])
	}
	if !testkit.Limited(guessBurst, func() bool { return code("wrong") == `"rate-limited"` },
		func() bool { return code(testPassword) == `"rate-limited"` }) {
		t.Error("guesses are not limited")
	}
	s.closed(4003)
}

// A room token is the bearer's name, and the key to its rooms.
func TestTheHubAsksForRoomTokens(t *testing.T) {
	t.Parallel()
	app := startApp(t, "auth.mode=jwt", "auth.jwt_key="+testSecret)
	s := helloFrom(t, app, "", map[string]any{"name": "Mallory",
		"token": token(t, jwt.MapClaims{"name": "Alice", "user": "alice", "room": "tea", "capacity": 1})})
	if w := s.expect("welcome"); string(w["name"]) != `"Alice"` || string(w["user"]) != `"alice"` {
		t.Errorf("the token's bearer is called %s, @%s", w["name"], w["user"])
	}
	s.send(map[string]any{"type": "join", "room": "tea"})
	if j := s.expect("joined"); string(j["capacity"]) != "1" {
		t.Errorf("a room of %s", j["capacity"])
	}
	s.send(map[string]any{"type": "join", "room": "cake"})
	s.refused("unauthorized")
	s.send(map[string]any{"type": "join", "room": "cake", "token": token(t, jwt.MapClaims{"room": "c*"})})
	s.expect("joined")

	s = helloFrom(t, app, "", map[string]any{"user": "root", "token": token(t, jwt.MapClaims{"room": "tea"})})
	s.refused("unauthorized")
	s.closed(4502)
	s = helloFrom(t, app, "", map[string]any{"token": token(t, jwt.MapClaims{"exp": 1, "room": "tea"})})
	s.refused("unauthorized")
	s.closed(4502)
}

// A ban is for the token, and for a peer's tokens, wherever they come from next.
func TestKickOfATokenAndOfItsBearer(t *testing.T) {
	t.Parallel()
	app := startApp(t, "auth.mode=jwt", "auth.jwt_key="+testSecret, "web.trusted_proxies=127.0.0.1")
	bearer := func(source, id string) *session {
		return helloFrom(t, app, source, map[string]any{"token": token(t, jwt.MapClaims{"jti": id, "room": "*"})})
	}
	first, second := bearer("198.51.100.1", "first"), bearer("198.51.100.2", "second")
	first.expect("welcome")
	var peer string
	if err := json.Unmarshal(second.expect("welcome")["peerId"], &peer); err != nil {
		t.Fatal(err)
	}

	if out, err := app.admin.Kick(admin.Kick{Token: "first", Ban: "1h"}); err != nil || out.Sessions != 1 {
		t.Errorf("kick of a token: %+v, %v", out, err)
	}
	first.refused("kicked")
	bearer("198.51.100.11", "first").refused("kicked")
	bearer("198.51.100.1", "another").expect("welcome") // the address is nobody's fault
	for id, want := range map[string]int{"first": http.StatusUnauthorized, "another": http.StatusOK} {
		url := "http://" + app.Addrs().Web + "/api/ice?token=" + token(t, jwt.MapClaims{"jti": id, "room": "*"})
		if code, _, body := get(t, insecure(), url); code != want {
			t.Errorf("/api/ice with the token %q: %d %s, want %d", id, code, body, want)
		}
	}

	if out, err := app.admin.Kick(admin.Kick{Peer: peer, Ban: "1h"}); err != nil || out.Sessions != 1 {
		t.Errorf("kick of a peer: %+v, %v", out, err)
	}
	second.refused("kicked")
	bearer("198.51.100.22", "second").refused("kicked")
	bearer("198.51.100.2", "third").refused("kicked")
	bearer("198.51.100.22", "third").expect("welcome")
}

// Resume tokens are signed with a key that is kept: who comes back to a box that was restarted is
// who it was.
func TestPeerIDsOutliveARestart(t *testing.T) {
	t.Parallel()
	app := newApp(t)
	peers := make([]string, 2)
	hello := map[string]any{}
	for i := range peers {
		if err := app.Listen(); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- app.Run(ctx) }()
		w := helloFrom(t, app, "", hello).expect("welcome")
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		var token string
		if err := json.Unmarshal(w["resumeToken"], &token); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(w["peerId"], &peers[i]); err != nil {
			t.Fatal(err)
		}
		if string(w["resumeSeconds"]) != "60" {
			t.Errorf("sessions wait for %s seconds", w["resumeSeconds"])
		}
		hello["replaces"] = token
		var err error
		if app, err = New(app.cfg, app.dir, nil); err != nil {
			t.Fatal(err)
		}
	}
	if peers[0] != peers[1] {
		t.Errorf("%s is %s after a restart", peers[0], peers[1])
	}
}

// Whoever holds a token is one user to the relay, however many credentials it asks for; guests of a
// token without a user are told apart by where they are. Without a token each credential is
// another's: people behind one NAT don't share the limits of one user.
func TestAttackF7CredentialsOfOneTokenAreOneUser(t *testing.T) {
	t.Parallel()
	issued := func(app *App, query, from string) string {
		t.Helper()
		code, _, body := get(t, insecure(), "http://"+app.Addrs().Web+"/api/ice"+query, "X-Forwarded-For", from)
		var got struct{ ICEServers []signal.ICEServer }
		if err := json.Unmarshal([]byte(body), &got); err != nil || code != http.StatusOK || len(got.ICEServers) < 2 {
			t.Fatalf("/api/ice: %d %s", code, body)
		}
		_, id, ok := cred.NewKeys(testSecret).Parse(cred.ICE, got.ICEServers[1].Username)
		if !ok || id == "" || strings.Contains(id, "bob") || strings.Contains(id, from) {
			t.Errorf("/api/ice issues for %q", got.ICEServers[1].Username)
		}
		return id
	}
	const here, there = "198.51.100.1", "198.51.100.2"
	app := startApp(t, "auth.mode=jwt", "auth.jwt_key="+testSecret, "web.trusted_proxies=127.0.0.1")
	guest := "?token=" + token(t, jwt.MapClaims{"jti": "guests", "room": "*"})
	bob := "?token=" + token(t, jwt.MapClaims{"jti": "one", "user": "bob", "room": "*"})
	again := "?token=" + token(t, jwt.MapClaims{"jti": "two", "user": "bob", "room": "*"})
	at := issued(app, guest, here)
	if issued(app, guest, here) != at {
		t.Error("one guest is many users")
	}
	if issued(app, guest, there) == at {
		t.Error("guests at two places are one user")
	}
	if u := issued(app, bob, here); u == at || issued(app, again, there) != u {
		t.Error("a user of two tokens is not one user")
	}
	open := startApp(t, "web.trusted_proxies=127.0.0.1")
	if one, other := issued(open, "", here), issued(open, "", here); one == other {
		t.Error("all who are behind one NAT are one user")
	}
}

// No ICE credential outlives the token that it was issued for, and with auth.end_at_exp no session
// does.
func TestHub6NothingOutlivesTheToken(t *testing.T) {
	t.Parallel()
	app := startApp(t, "auth.mode=jwt", "auth.jwt_key="+testSecret, "auth.end_at_exp=true")
	exp := time.Now().Add(2 * time.Minute).Unix()
	brief := token(t, jwt.MapClaims{"exp": exp, "rooms": "tea"})
	w := helloFrom(t, app, "", map[string]any{"token": brief}).expect("welcome")
	if got := string(w["iceExpiresAt"]); got != fmt.Sprint(exp*1000) {
		t.Errorf("the welcome's credential ends at %s, the token at %d000", got, exp)
	}
	_, _, body := get(t, insecure(), "http://"+app.Addrs().Web+"/api/ice?token="+brief)
	if !strings.Contains(body, fmt.Sprintf(`"username":"%d:`, exp)) ||
		!strings.Contains(body, fmt.Sprintf(`"iceExpiresAt":%d`, exp*1000)) {
		t.Errorf("/api/ice: %s", body)
	}
	long := token(t, jwt.MapClaims{"exp": exp + 1e9})
	w = helloFrom(t, app, "", map[string]any{"token": long}).expect("welcome")
	var ends int64
	if err := json.Unmarshal(w["iceExpiresAt"], &ends); err != nil || ends > time.Now().Add(25*time.Hour).UnixMilli() {
		t.Errorf("with a long token: %d, %v", ends, err)
	}
	over := token(t, jwt.MapClaims{"exp": time.Now().Add(4 * time.Second).Unix()})
	s := helloFrom(t, app, "", map[string]any{"token": over})
	s.expect("welcome")
	s.refused("unauthorized")
	s.closed(4502)
}
