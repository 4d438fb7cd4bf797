package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"signalbox/internal/site"
	"signalbox/internal/state"
	"signalbox/internal/testkit"
	"signalbox/turnsvc/cred"
)

const testRESTKey = "the key of the other server"

// iceBurst is how many credentials one source gets at once.
const iceBurst = 60

// turnREST is what an answer of /api/turn has in it.
type turnREST struct {
	Username, Password string
	TTL                int
	URIs               []string
	Code, Message      string
}

func askTURNREST(t testing.TB, app *App, method, query, contentType, body string) (int, turnREST) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+app.Addrs().Web+"/api/turn?"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := insecure().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out turnREST
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatalf("%s %s: %s: %v", method, query, resp.Status, err)
	}
	return resp.StatusCode, out
}

// A server gets a credential for its user in every way in which the draft, Janus and others ask for
// it, and the relay takes it.
func TestTURNREST(t *testing.T) {
	t.Parallel()
	app := startApp(t, "compat.turn_rest="+testRESTKey)
	keys, err := credentialKeys(&app.cfg, app.dir)
	if err != nil {
		t.Fatal(err)
	}
	key := url.QueryEscape(testRESTKey)
	const form = "application/x-www-form-urlencoded"
	for name, tc := range map[string]struct{ method, query, contentType, body string }{
		"query":           {http.MethodGet, "service=turn&username=alice&key=" + key, "", ""},
		"as Janus does":   {http.MethodGet, "service=turn&username=alice&api=" + key, "", ""},
		"form":            {http.MethodPost, "", form, "service=turn&username=alice&key=" + key},
		"Janus, form":     {http.MethodPost, "", form, "service=turn&username=alice&api=" + key},
		"query and form":  {http.MethodPost, "service=turn", form, "username=alice&key=" + key},
		"query of a POST": {http.MethodPost, "service=turn&username=alice&key=" + key, "", ""},
		"JSON": {http.MethodPost, "", "application/json; charset=utf-8",
			`{"service":"turn","username":"alice","key":"` + testRESTKey + `"}`},
		"no service": {http.MethodGet, "username=alice&key=" + key, "", ""},
	} {
		code, out := askTURNREST(t, app, tc.method, tc.query, tc.contentType, tc.body)
		stamp, id, _ := strings.Cut(out.Username, ":")
		expires, err := strconv.ParseInt(stamp, 10, 64)
		if code != http.StatusOK || err != nil || id != "alice" || out.TTL != 3600 ||
			time.Until(time.Unix(expires, 0)) > time.Hour {
			t.Errorf("%s: %d %+v", name, code, out)
			continue
		}
		class := cred.Static
		keys.Each(out.Username, func(c cred.Class, password string) bool {
			class = c
			return password == out.Password
		})
		if class != cred.Shared {
			t.Errorf("%s: a credential of class %v", name, class)
		}
		if len(out.URIs) != 2 || !strings.HasPrefix(out.URIs[0], "turn:127.0.0.1:") {
			t.Errorf("%s: %v", name, out.URIs)
		}
	}
	if code, _, body := get(t, insecure(), "http://"+app.Addrs().Web+"/api/turn?username=alice", "Authorization",
		"Bearer "+testRESTKey); code != http.StatusOK {
		t.Errorf("with the key in a header: %d %s", code, body)
	}
	_, out := askTURNREST(t, app, http.MethodGet, "key="+key, "", "")
	_, again := askTURNREST(t, app, http.MethodGet, "key="+key, "", "")
	if out.Username == again.Username || len(out.Username) < 30 {
		t.Errorf("without a username: %q, %q", out.Username, again.Username)
	}
	sdp, end := allocateAs(t, app, out.Username, out.Password)
	defer end()
	if !strings.Contains(sdp, "typ relay") {
		t.Error("the relay does not take the credential")
	}
}

func TestTURNRESTRefuses(t *testing.T) {
	t.Parallel()
	app := startApp(t, "compat.turn_rest="+testRESTKey)
	key := "key=" + url.QueryEscape(testRESTKey)
	for name, tc := range map[string]struct {
		method, query, contentType, body string
		code                             int
		word                             string
	}{
		"no key":          {http.MethodGet, "service=turn", "", "", http.StatusUnauthorized, "compat.turn_rest"},
		"wrong key":       {http.MethodGet, "key=wrong", "", "", http.StatusUnauthorized, "wrong"},
		"another service": {http.MethodGet, key + "&service=stun", "", "", http.StatusBadRequest, "service"},
		"long username": {http.MethodGet, key + "&username=" + strings.Repeat("x", 65), "", "",
			http.StatusBadRequest, "username is longer"},
		"newline in username": {http.MethodGet, key + "&username=a%0Ab", "", "", http.StatusBadRequest,
			"control character"},
		"bytes in username": {http.MethodGet, key + "&username=%ff", "", "", http.StatusBadRequest, "UTF-8"},
		"broken query":      {http.MethodGet, key + "&%zz", "", "", http.StatusBadRequest, "want parameters"},
		"broken JSON":       {http.MethodPost, "", "application/json", "{", http.StatusBadRequest, "want {"},
		"numbers in JSON":   {http.MethodPost, "", "application/json", `{"key":1}`, http.StatusBadRequest, "want {"},
		"long body": {http.MethodPost, "", "application/x-www-form-urlencoded", strings.Repeat("x", 5000),
			http.StatusBadRequest, "4096"},
		"PUT": {http.MethodPut, key, "", "", http.StatusMethodNotAllowed, "use GET"},
	} {
		code, out := askTURNREST(t, app, tc.method, tc.query, tc.contentType, tc.body)
		if code != tc.code || !strings.Contains(out.Message, tc.word) || out.Password != "" {
			t.Errorf("%s: %d %+v", name, code, out)
		}
	}
	var out turnREST
	tooMany := func(key string) func() bool {
		return func() bool {
			var code int
			code, out = askTURNREST(t, app, http.MethodGet, key, "", "")
			return code == http.StatusTooManyRequests
		}
	}
	if !testkit.Limited(guessBurst, tooMany("key=wrong"), tooMany(key)) || out.Password != "" {
		t.Errorf("after too many guesses: %+v", out)
	}
}

func TestTURNRESTIssuesNoEndOfCredentials(t *testing.T) {
	t.Parallel()
	app := startApp(t, "compat.turn_rest="+testRESTKey)
	codes := map[int]int{}
	// a slow machine earns some more meanwhile
	for n := 0; codes[http.StatusTooManyRequests] == 0 && n < 10*iceBurst; n++ {
		code, _ := askTURNREST(t, app, http.MethodGet, "key="+url.QueryEscape(testRESTKey), "", "")
		codes[code]++
	}
	if codes[http.StatusOK] < iceBurst || codes[http.StatusTooManyRequests] == 0 {
		t.Errorf("answers by code: %v", codes)
	}
}

// It is off unless its key stands in the configuration; --dev, which makes it loopback's alone,
// opens it.
func TestTURNRESTIsOffByDefault(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		dev    bool
		key    state.Secret // empty: as it is by default
		target string
		code   int
		word   string
	}{
		{"off", false, "", "/api/turn?service=turn&username=alice&key=off", http.StatusNotFound, "compat.turn_rest"},
		{"--dev", true, "", "/api/turn?username=alice", http.StatusOK, ":alice"},
		{"--dev with a key", true, testRESTKey, "/api/turn?username=alice", http.StatusUnauthorized, ""},
	} {
		made := newApp(t)
		cfg := made.cfg
		if cfg.Dev = tc.dev; tc.key != "" {
			cfg.Compat.TURNREST = tc.key
		}
		app, err := New(cfg, made.dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := app.Listen(); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "http://localhost"+tc.target, nil)
		site.New(app.siteOptions()).Secure().ServeHTTP(w, r)
		if w.Code != tc.code || !strings.Contains(w.Body.String(), tc.word) {
			t.Errorf("%s: %d %s", tc.name, w.Code, w.Body)
		}
		app.Close()
	}
}

// Line 35 of the abuse list: nobody gets credentials without end.
func TestAbuse35IssuingIsLimited(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	codes := map[int]int{}
	// a slow machine earns some more meanwhile
	for n := 0; codes[http.StatusTooManyRequests] == 0 && n < 10*iceBurst; n++ {
		code, h, _ := get(t, insecure(), "http://"+app.Addrs().Web+"/api/ice")
		codes[code]++
		if code == http.StatusTooManyRequests && h.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	}
	if codes[http.StatusOK] < iceBurst || codes[http.StatusTooManyRequests] == 0 {
		t.Errorf("answers by code: %v", codes)
	}
}

// 3 of the operators' reports: whoever asks, and whatever for, is told turn.urls.
func TestTURNURLsEverywhere(t *testing.T) {
	t.Parallel()
	app := startApp(t, "public_host=call.example.org", "compat.turn_rest="+testRESTKey,
		`turn.urls=["stun:{host}:3479", "turns:{host}:443?transport=tcp"]`)
	const stun, turns = "stun:call.example.org:3479", "turns:call.example.org:443?transport=tcp"
	_, _, ice := get(t, insecure(), "http://"+app.Addrs().Web+"/api/ice")
	session := hello(t, "ws://"+app.Addrs().Web+"/signal")
	_, rest := askTURNREST(t, app, http.MethodGet, "service=turn&key="+url.QueryEscape(testRESTKey), "", "")
	var welcome strings.Builder
	if err := app.Welcome(&welcome); err != nil {
		t.Fatal(err)
	}
	switch {
	case !strings.Contains(ice, stun), !strings.Contains(ice, turns), strings.Count(ice, `"urls"`) != 2:
		t.Error(ice)
	case len(session.ice) != 2 || session.ice[0].URLs[0] != stun || session.ice[1].URLs[0] != turns:
		t.Errorf("%+v", session.ice)
	case len(rest.URIs) != 1 || rest.URIs[0] != turns:
		t.Errorf("%+v", rest)
	case !strings.Contains(welcome.String(), stun+" "+turns):
		t.Error(&welcome)
	}
}
