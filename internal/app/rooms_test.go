package app

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/internal/config"
	"signalbox/internal/rooms"
	"signalbox/internal/testkit"
)

const (
	apiKey     = "a-key-of-the-tests"
	hookSecret = "a secret of the tests"
)

// api asks the server API.
func api(t testing.TB, app *App, key, method, path, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+app.Addrs().Web+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := insecure().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// knock is hello for somebody with a handle, who may be refused.
func knock(t testing.TB, app *App, name, user string) *session {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+app.Addrs().Web+"/signal", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.WriteJSON(map[string]string{"type": "hello", "name": name, "user": user}); err != nil {
		t.Fatal(err)
	}
	return &session{t: t, conn: conn}
}

func (s *session) join(room string) {
	s.t.Helper()
	s.expect("welcome")
	if err := s.conn.WriteJSON(map[string]string{"type": "join", "room": room}); err != nil {
		s.t.Fatal(err)
	}
	s.expect("joined")
}

// Whom the server API has put out, and the rooms that either API has closed, the admin API's lists
// have no more.
func TestAdminSeesWhatAnAPIDid(t *testing.T) {
	t.Parallel()
	app := startApp(t, "api.keys="+apiKey)
	listed := func() string {
		t.Helper()
		_, _, body := get(t, insecure(), "http://"+app.Addrs().Web+"/api/admin/rooms", "Authorization",
			"Bearer "+adminToken(t, app))
		return body
	}
	for _, who := range []string{"ada", "eve"} {
		knock(t, app, who, who).join("lesson")
	}
	knock(t, app, "bob", "bob").join("break")
	eventually(t, "all are listed", func() bool {
		all := listed()
		return strings.Contains(all, "ada") && strings.Contains(all, "eve") && strings.Contains(all, "bob")
	})
	if status, said := api(t, app, apiKey, "POST", "/api/rooms/lesson/kick", `{"user":"eve"}`); status != 200 {
		t.Fatal(status, said)
	}
	if all := listed(); !strings.Contains(all, "ada") || strings.Contains(all, "eve") {
		t.Errorf("after the kick: %s", all)
	}
	if status, said := api(t, app, apiKey, "DELETE", "/api/rooms/lesson", ""); status >= 300 {
		t.Fatal(status, said)
	}
	if all := listed(); strings.Contains(all, "lesson") {
		t.Errorf("after the end: %s", all)
	}
	close, said := api(t, app, adminToken(t, app), "POST", "/api/admin/close", `{"room":"break"}`)
	if all := listed(); close != 200 || strings.Contains(all, "break") {
		t.Errorf("after %d %s: %s", close, said, all)
	}
}

// The two example programs do what they say, against the real box.
func TestHub13ExamplesOfAnAppsServer(t *testing.T) {
	t.Parallel()
	for tool, file := range map[string]string{"node": "lesson.mjs", "python3": "lesson.py"} {
		t.Run(tool, func(t *testing.T) {
			t.Parallel()
			path := testkit.Need(t, tool)
			at := testkit.FreeAddr(t)
			_, port, _ := strings.Cut(at, ":")
			app := startApp(t, "api.keys="+apiKey, "webhook.secret="+hookSecret, "webhook.url=http://"+at+"/",
				"webhook.connect_url=http://"+at+"/")
			text, err := os.ReadFile("../rooms/examples/" + file)
			if err != nil {
				t.Fatal(err)
			}
			if lines := bytes.Count(text, []byte("\n")); lines > 30 {
				t.Errorf("%s has %d lines", file, lines)
			}
			program := exec.CommandContext(t.Context(), path, "../rooms/examples/"+file)
			program.Env = append(os.Environ(), "BOX=http://"+app.Addrs().Web, "KEY="+apiKey, "SECRET="+hookSecret,
				"PORT="+port, "PYTHONDONTWRITEBYTECODE=1")
			program.Stderr = t.Output()
			if err := program.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = program.Process.Kill() // it is over if this fails
				_ = program.Wait()
			}()
			eventually(t, "the program makes its room", func() bool {
				status, text := api(t, app, apiKey, "GET", "/api/rooms/lesson", "")
				return status == http.StatusOK && strings.Contains(text, `"capacity":2`)
			})

			ada := knock(t, app, "Ada", "ada")
			ada.join("lesson")
			if f := ada.expect("signal"); string(f["data"]) != `{"welcome":"Ada"}` &&
				string(f["data"]) != `{"welcome": "Ada"}` || string(f["from"]) != `"server"` {
				t.Errorf("Ada is told %s from %s", f["data"], f["from"])
			}
			mallory := knock(t, app, "Mallory", "mallory")
			if f := mallory.expect("error"); string(f["code"]) != `"unauthorized"` ||
				!strings.Contains(string(f["message"]), "no lesson for you") {
				t.Errorf("Mallory is told %s %s", f["code"], f["message"])
			}
			eventually(t, "the news are confirmed", func() bool { return app.Status().Webhook.Delivered >= 2 })
			if s := app.Status(); s.Webhook.Admitted != 1 || s.Webhook.Refused != 1 || s.API.Served < 3 {
				t.Errorf("status %+v %+v", s.Webhook, s.API)
			}
		})
	}
}

// A reload changes keys and hooks at once; a token of the API opens the door; pages of the box
// can't use the API, since no key is the admin token, and the admin token is no key.
func TestHub13ReloadOfKeysAndHooks(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var kinds []string
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var d struct{ Events []struct{ Type string } }
		if err := json.NewDecoder(r.Body).Decode(&d); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, e := range d.Events {
			kinds = append(kinds, e.Type)
		}
	}))
	defer web.Close()
	jwt := []string{"auth.mode=jwt", "auth.jwt_key=0123456789abcdef0123456789abcdef", "signal.calls=true", metricsOn}
	app := startApp(t, jwt...)
	if status, _ := api(t, app, apiKey, "GET", "/api/rooms", ""); status != http.StatusNotFound {
		t.Errorf("without keys the API answers %d", status)
	}
	reload := func(set ...string) {
		t.Helper()
		cfg, err := load(config.LoadOptions{Dev: true, Set: append([]string{
			"web.listen=127.0.0.1:0", "web.tls_listen=127.0.0.1:0", "turn.listen=127.0.0.1:0",
			`turn.users=[{name="u",password="p"}]`}, append(jwt, set...)...)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := app.Reload(cfg, true); err != nil {
			t.Fatal(err)
		}
	}
	reload(`api.keys=["`+apiKey+`", {key = "another-key-of-the-tests", may = "read"}]`, "webhook.url="+web.URL,
		"webhook.secret="+hookSecret)
	if status, _ := api(t, app, adminToken(t, app), "GET", "/api/rooms", ""); status != http.StatusUnauthorized {
		t.Errorf("the admin token gets %d", status)
	}
	if code, _, _ := get(t, insecure(), "http://"+app.Addrs().Web+"/api/admin/status", "Authorization",
		"Bearer "+apiKey); code != http.StatusUnauthorized {
		t.Errorf("a key gets %d of the admin API", code)
	}
	if status, _ := api(t, app, "another-key-of-the-tests", "POST", "/api/tokens", "{}"); status != 403 {
		t.Errorf("a key that only reads gets %d", status)
	}
	var sessions []*session
	for _, user := range []string{"ada", "bob"} {
		status, text := api(t, app, apiKey, "POST", "/api/tokens", `{"rooms":["tea"],"user":"`+user+`"}`)
		var token struct{ Token string }
		if err := json.Unmarshal([]byte(text), &token); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		s := knockWith(t, app, token.Token)
		s.join("tea")
		sessions = append(sessions, s)
	}
	if err := sessions[0].conn.WriteJSON(map[string]any{"type": "signal", "to": "@bob", "data": 1}); err != nil {
		t.Fatal(err)
	}
	sessions[1].expect("signal")
	if status, text := api(t, app, apiKey, "DELETE", "/api/rooms/tea", ""); status != http.StatusNoContent {
		t.Errorf("%d %s", status, text)
	}
	for _, s := range sessions {
		if f := s.expect("left"); string(f["reason"]) != `"kicked"` {
			t.Errorf("told %s", f["reason"])
		}
	}
	want := "room-opened peer-joined peer-joined call-started peer-left peer-left room-closed"
	eventually(t, "all is told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(kinds, " ") == want
	})
	eventually(t, "the deliveries are counted", func() bool { return app.Status().Webhook.Delivered == 7 })
	wantMetrics(t, scrape(t, app), map[string]float64{
		`signalbox_webhook_events_total{result="delivered"}`: 7,
		`signalbox_api_requests_total{result="served"}`:      3,
		`signalbox_api_requests_total{result="failed"}`:      1,
		`signalbox_api_requests_total{result="wrong"}`:       1,
		"signalbox_webhook_waiting":                          0,
	})
	reload()
	if status, _ := api(t, app, apiKey, "GET", "/api/rooms", ""); status != http.StatusNotFound {
		t.Errorf("a key that was taken out gets %d", status)
	}
}

func knockWith(t testing.TB, app *App, token string) *session {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+app.Addrs().Web+"/signal", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.WriteJSON(map[string]string{"type": "hello", "token": token}); err != nil {
		t.Fatal(err)
	}
	return &session{t: t, conn: conn}
}

// An app's server that is down holds up whoever says hello for as long as was configured, and
// nobody else.
func TestHub13ConnectHookThatIsDown(t *testing.T) {
	t.Parallel()
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer hangs.Close()
	for answer, want := range map[string]string{"refuse": "error", "admit": "welcome"} {
		app := startApp(t, "webhook.connect_url="+hangs.URL, "webhook.secret="+hookSecret,
			"webhook.connect_timeout=100ms", "webhook.connect_unanswered="+answer)
		began := time.Now()
		f := knock(t, app, "Ada", "").expect(want)
		if waited := time.Since(began); waited < 100*time.Millisecond {
			t.Errorf("%s after %v", want, waited)
		}
		if answer == "refuse" && string(f["code"]) != `"internal"` {
			t.Errorf("told %s", f["code"])
		}
		if n := app.Status().Webhook.Unanswered; n != 1 {
			t.Errorf("%d clients without an answer", n)
		}
	}
}

// The rights that a config may name are those that the API asks for: a bare key has them all.
func TestKeysMayWhatTheAPIKnows(t *testing.T) {
	t.Parallel()
	c, err := load(config.LoadOptions{Set: []string{"api.keys=" + apiKey}})
	if err != nil {
		t.Fatal(err)
	}
	if may := roomsOptions(&c).Keys[0].May; !slices.Equal(may, rooms.Rights()) {
		t.Errorf("it may %v, and there are %v", may, rooms.Rights())
	}
}
