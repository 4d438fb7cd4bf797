package app

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"signalbox/internal/admin"
	"signalbox/internal/admission"
	"signalbox/internal/source"
	"signalbox/internal/state"
)

// unquoted is a text in a frame.
func unquoted(t testing.TB, text json.RawMessage) (s string) {
	t.Helper()
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func listenAndRun(t testing.TB, app *App) (stop func()) {
	t.Helper()
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	return runApp(t, app)
}

// A banned peer does not return from its next address with its resume token, and a restart forgets
// no ban.
func TestHub5BannedPeersStayOut(t *testing.T) {
	t.Parallel()
	app := newApp(t, "web.trusted_proxies=127.0.0.1")
	first, next := "198.51.100.1", "198.51.100.2"
	var token, peer string
	for restart := range 2 {
		stop := listenAndRun(t, app)
		if restart == 0 {
			w := helloFrom(t, app, first, map[string]any{}).expect("welcome")
			token, peer = unquoted(t, w["resumeToken"]), unquoted(t, w["peerId"])
			out, err := app.Kick(admin.Kick{Peer: peer, Ban: "1h"})
			if err != nil || out.Sessions != 1 || out.Warning != "" {
				t.Fatalf("%+v, %v", out, err)
			}
		}
		s := helloFrom(t, app, next, map[string]any{"replaces": token})
		s.refused("kicked")
		s.closed(4504)
		helloFrom(t, app, first, map[string]any{}).refused("kicked")
		code, _, body := get(t, insecure(), "http://"+app.Addrs().Web+"/api/ice", "X-Forwarded-For", first)
		if code != http.StatusUnauthorized || !strings.Contains(body, "operator") {
			t.Errorf("/api/ice: %d %s", code, body)
		}
		helloFrom(t, app, next, map[string]any{}).expect("welcome")
		stop()
		var err error
		if app, err = New(app.cfg, app.dir, nil); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(app.dir.Path(bansFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}

	defer listenAndRun(t, app)()
	if out, err := app.admin.Unban(admin.Unban{Peer: peer}); err != nil || out.Lifted != 2 {
		t.Errorf("%+v, %v", out, err)
	}
	if w := helloFrom(t, app, first, map[string]any{"replaces": token}).expect("welcome"); unquoted(t,
		w["peerId"]) != peer {
		t.Error("it is another peer")
	}
}

// A lost session of a banned peer is not resumed either, from wherever.
func TestHub5BannedPeersDoNotResume(t *testing.T) {
	t.Parallel()
	app := startApp(t, "web.trusted_proxies=127.0.0.1")
	s := helloFrom(t, app, "198.51.100.1", map[string]any{})
	w := s.expect("welcome")
	// As if the ban and the loss of the connection met.
	if err := app.bans.Add(time.Now(), source.Ban{Peer: unquoted(t, w["peerId"]),
		Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	s.conn.Close()
	back := dialFrom(t, app, "198.51.100.2")
	back.send(map[string]any{"type": "resume", "token": unquoted(t, w["resumeToken"])})
	back.refused("kicked")
}

// /api/turn issues nothing for a banned user, nor to a banned address.
func TestHub5TURNRESTObeysBans(t *testing.T) {
	t.Parallel()
	app := startApp(t, "web.trusted_proxies=127.0.0.1", "compat.turn_rest=0123456789abcdef")
	for _, k := range []admin.Kick{{User: "eve", Ban: "1h"}, {Source: "198.51.100.0/24", Ban: "1h"}} {
		if _, err := app.Kick(k); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		user, from string
		want       int
	}{
		{"ann", "192.0.2.1", http.StatusOK}, {"eve", "192.0.2.1", http.StatusUnauthorized},
		{"ann", "198.51.100.7", http.StatusUnauthorized},
	} {
		url := "http://" + app.Addrs().Web + "/api/turn?service=turn&key=0123456789abcdef&username=" + c.user
		if code, _, body := get(t, insecure(), url, "X-Forwarded-For", c.from); code != c.want {
			t.Errorf("%s from %s: %d %s", c.user, c.from, code, body)
		}
	}
}

// When there are too many bans, the operator is told, and nobody is said to be banned.
func TestHub5FullBansAreAnError(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	list := make([]source.Ban, 10_000)
	for i := range list {
		ip := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		list[i] = source.Ban{Source: netip.PrefixFrom(ip, 32), Until: time.Now().Add(time.Hour)}
	}
	if err := app.bans.Add(time.Now(), list...); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+app.Addrs().Web+"/api/admin/kick",
		strings.NewReader(`{"source":"192.0.2.7","ban":"1h"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken(t, app))
	resp, err := insecure().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusInsufficientStorage {
		t.Error(resp.Status)
	}
	client, err := NewAdmin(&app.cfg, app.dir, "http://"+app.Addrs().Web, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := client.Unban(context.Background(), admin.Unban{Source: "10.0.0.1"}); err != nil || out.Lifted != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := client.Kick(context.Background(), admin.Kick{Source: "192.0.2.7", Ban: "1h"}); err != nil {
		t.Error(err)
	}
	if bans, err := client.Bans(context.Background()); err != nil || len(bans) != 10_000 {
		t.Errorf("%d bans, %v", len(bans), err)
	}
}

// A broken file costs no more than what can't be read of it, and is said.
func TestHub5BrokenBansFile(t *testing.T) {
	t.Parallel()
	app := newApp(t)
	for text, want := range map[string]int{
		`[{"user":"eve","until":"2999-01-01T00:00:00Z"},{"user":7},` +
			`{"source":"10.0.0.0/8","until":"2999-01-01T00:00:00Z"}]`: 2,
		`[{"user":"eve","until":"2999-01-01T00:0`: 0,
		``: 0,
	} {
		if err := app.dir.Write(bansFile, []byte(text)); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		bans := readBans(app.dir, time.Now(), slog.New(slog.NewTextHandler(&said, nil)))
		if n := len(bans.List(time.Now())); n != want || !strings.Contains(said.String(), "can't read all bans") {
			t.Errorf("%q: %d bans, %s", text, n, &said)
		}
		if copied, err := app.dir.Read(brokenBans); err != nil || string(copied) != text {
			t.Errorf("the copy is %q, %v", copied, err)
		}
		if err := bans.Add(time.Now(), source.Ban{User: "x", Until: time.Now().Add(time.Hour)}); err != nil {
			t.Error(err)
		}
	}
}

// The operator names a user as the page shows it: the session is the same in every normalization
// form, and so is the ban.
func TestHub8OperatorsNameUsersAsTheySeeThem(t *testing.T) {
	t.Parallel()
	app := startApp(t, "web.trusted_proxies=127.0.0.1")
	const composed, decomposed, invisible = "ren\u00e9", "rene\u0301", "ren\u00e9\u200b"
	for _, typed := range []string{decomposed, invisible} {
		helloFrom(t, app, "198.51.100.1", map[string]any{"user": composed}).expect("welcome")
		if out, err := app.Kick(admin.Kick{User: typed, Ban: "1h"}); err != nil || out.Sessions != 1 {
			t.Fatalf("%q: %+v, %v", typed, out, err)
		}
		helloFrom(t, app, "198.51.100.2", map[string]any{"user": composed}).refused("kicked")
		if out, err := app.admin.Unban(admin.Unban{User: typed}); err != nil || out.Lifted == 0 {
			t.Fatalf("%q: %+v, %v", typed, out, err)
		}
		eventually(t, "the name is free", func() bool { return app.hub.Snapshot().Users == 0 })
	}
}

// A ban of a user is about every token for it, however the token's maker writes the name.
func TestHub5ABanIsAboutTheNameInATokenAsPeopleSeeIt(t *testing.T) {
	t.Parallel()
	const key = "a secret of the tests, of 32 bytes"
	app := startApp(t, "auth.mode=jwt", "auth.jwt_key="+key)
	if _, err := app.Kick(admin.Kick{User: "bob", Ban: "1h"}); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]int{"bob": 401, "bo\u200bb": 401, "eve": 200} {
		token, err := admission.Mint(key, admission.TokenRequest{User: user, TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		code, _, body := get(t, insecure(), "http://"+app.Addrs().Web+"/api/ice",
			"Authorization", "Bearer "+token.Token)
		if code != want {
			t.Errorf("%q: %d %s", user, code, body)
		}
	}
}

// Behind a proxy that the box has not been told to trust, everybody comes from one address of this
// machine: a ban of one peer does not ban them all, and says so.
func TestHub5ABanBehindAnUntrustedProxyIsNotForAll(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	w := helloFrom(t, app, "198.51.100.1", map[string]any{}).expect("welcome")
	out, err := app.Kick(admin.Kick{Peer: unquoted(t, w["peerId"]), Ban: "1h"})
	if err != nil || out.Sessions != 1 || !strings.Contains(out.Warning, "web.trusted_proxies") {
		t.Errorf("%+v, %v", out, err)
	}
	helloFrom(t, app, "198.51.100.2", map[string]any{}).expect("welcome")
	helloFrom(t, app, "198.51.100.1", map[string]any{"replaces": unquoted(t, w["resumeToken"])}).refused("kicked")
}

// A list that can't be read at all, here since it is a directory, is not overwritten by the next
// ban, but kept beside.
func TestHub5UnreadableBansAreKeptBeside(t *testing.T) {
	t.Parallel()
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir.Path(bansFile, "old"), 0o700); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	bans := readBans(dir, now, slog.New(slog.DiscardHandler))
	for _, user := range []string{"eve", "mallory"} {
		if err := bans.Add(now, source.Ban{User: user, Until: now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(dir.Path(brokenBans, "old")); err != nil {
		t.Error(err)
	}
	if n := len(readBans(dir, now, slog.New(slog.DiscardHandler)).List(now)); n != 2 {
		t.Errorf("%d bans are kept", n)
	}
}

// A ban of a user reaches credentials that the user got without a session before, from wherever
// they are used, and what was allocated with them; so it does after a restart.
func TestHub13ABanReachesCredentialsWithoutASession(t *testing.T) {
	t.Parallel()
	const key = "a secret of the tests, of 32 bytes"
	app := newApp(t, "auth.mode=jwt", "auth.jwt_key="+key)
	stop := listenAndRun(t, app)
	credential := func(user string) (name, password string) {
		t.Helper()
		token, err := admission.Mint(key, admission.TokenRequest{User: user, TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		_, _, body := get(t, insecure(), "http://"+app.Addrs().Web+"/api/ice", "Authorization", "Bearer "+token.Token)
		var ice struct {
			ICEServers []struct{ Username, Credential string }
		}
		if err := json.Unmarshal([]byte(body), &ice); err != nil || len(ice.ICEServers) < 2 {
			t.Fatalf("%v: %s", err, body)
		}
		return ice.ICEServers[1].Username, ice.ICEServers[1].Credential
	}
	relayed := func(name, password string) bool {
		t.Helper()
		sdp, end := allocateAs(t, app, name, password)
		t.Cleanup(end)
		return strings.Contains(sdp, "typ relay")
	}
	bob, bobs := credential("bo\u200bb")
	ann, anns := credential("ann")
	if !relayed(bob, bobs) {
		t.Fatal("the relay refuses who is not banned")
	}
	if out, err := app.Kick(admin.Kick{User: "bob", Ban: "1h"}); err != nil || out.Allocations != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	for run := range 2 {
		if relayed(bob, bobs) {
			t.Errorf("run %d: the relay serves a banned user", run)
		}
		if !relayed(ann, anns) {
			t.Errorf("run %d: the relay refuses another user", run)
		}
		stop()
		var err error
		if app, err = New(app.cfg, app.dir, nil); err != nil {
			t.Fatal(err)
		}
		stop = listenAndRun(t, app)
	}
	if out, err := app.admin.Unban(admin.Unban{User: "bob"}); err != nil || out.Lifted != 1 || !relayed(bob, bobs) {
		t.Errorf("after the ban: %+v, %v", out, err)
	}
}
