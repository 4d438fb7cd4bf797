package admin

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/internal/source"
	"signalbox/internal/status"
)

const looking = "a-token-that-only-looks"

// box is an API with a hub and a relay of tests.
func box(log *slog.Logger) *API {
	lines := &Lines{}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	a := New(Options{
		Token: token, Hub: sessions{{ID: "1", User: "bob"}}, Relay: credentials{"bob"}, Bans: source.NewBans(),
		Status: func() status.Status { return status.Status{} },
		Vitals: func() *status.Vitals { return &status.Vitals{} },
		Drain:  func() error { return nil }, Config: func() (string, error) { return "a = 1\n", nil },
		Limits: func() Limits { return Limits{Sessions: 1000} },
		Lines:  lines, Log: slog.New(lines.Tee(log.Handler())),
	})
	a.Apply([]Token{{"monitoring", sha256.Sum256([]byte(looking)), Read}})
	return a
}

// send is the answer to a request with these headers, in pairs.
func send(a *API, method, path, body string, header ...string) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	for pattern, h := range a.Routes() {
		mux.Handle(pattern, h)
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

// A token that may only look changes nothing, and bans say whose token made them.
func TestTokensHaveScopes(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	a := box(slog.New(slog.NewTextHandler(&log, nil)))
	for pattern := range a.Routes() {
		method, path, _ := strings.Cut(pattern, " ")
		name := strings.TrimPrefix(path, "/api/admin/")
		if slices.Contains([]string{"events", "login", "logout", "openapi.json", "usage"}, name) {
			continue
		}
		want := http.StatusOK
		if method == http.MethodPost {
			want = http.StatusForbidden
		}
		if w := send(a, method, path, "{}", "Authorization", "Bearer "+looking); w.Code != want {
			t.Errorf("%s with a token that looks: %d %s", pattern, w.Code, w.Body)
		}
		if w := send(a, method, path, "{}"); w.Code != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d", pattern, w.Code)
		}
	}
	if w := send(a, "POST", "/api/admin/kick", `{"user":"bob","ban":"1h","why":"noise"}`, "Authorization",
		"Bearer "+token); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if list := a.o.Bans.List(time.Now()); len(list) != 1 || list[0].Why != "noise" || list[0].By != owner {
		t.Errorf("bans: %+v", list)
	}
	if w := send(a, "POST", "/api/admin/kick", fmt.Sprintf(`{"user":"bob","ban":"1h","why":%q}`,
		strings.Repeat("x", source.MaxWhy+1)), "Authorization", "Bearer "+token); w.Code != http.StatusBadRequest {
		t.Errorf("a long reason: %d", w.Code)
	}
	if strings.Contains(log.String(), looking) || strings.Contains(log.String(), token) {
		t.Errorf("a token stands in the log: %s", &log)
	}
	a.Apply(nil)
	w := send(a, "GET", "/api/admin/bans", "", "Authorization", "Bearer "+looking)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("a token that was taken back: %d", w.Code)
	}
}

// A page's session is in a cookie that scripts and other pages can't use.
func TestPagesHaveSessions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ scheme, login, name, flags string }{
		{"http", `{"token":"` + token + `"}`, "signalbox-admin", "Path=/api/admin; HttpOnly; SameSite=Strict"},
		{"https", `{"code":"%s"}`, "__Host-signalbox-admin", "Path=/; HttpOnly; Secure; SameSite=Strict"},
		{"https", `{"token":"` + looking + `"}`, "__Host-signalbox-admin", "Path=/; HttpOnly; Secure; SameSite=Strict"},
	} {
		a := box(nil)
		body := strings.ReplaceAll(tt.login, "%s", a.Code())
		in := send(a, "POST", "/api/admin/login", body, "X-Forwarded-Proto", tt.scheme)
		cookie, flags, _ := strings.Cut(in.Header().Get("Set-Cookie"), "; ")
		if in.Code != http.StatusOK || !strings.HasPrefix(cookie, tt.name+"=") || flags != tt.flags ||
			strings.Contains(in.Body.String()+cookie, token) {
			t.Fatalf("%s: %d %s, cookie %s; %s", tt.login, in.Code, in.Body, cookie, flags)
		}
		try := func(method, path string, header ...string) int {
			return send(a, method, path, `{"user":"bob"}`, append(header, "X-Forwarded-Proto", tt.scheme)...).Code
		}
		if got := try("GET", "/api/admin/session", "Cookie", cookie); got != http.StatusOK {
			t.Errorf("with the cookie: %d", got)
		}
		if got := try("POST", "/api/admin/kick", "Cookie", cookie); got != http.StatusForbidden {
			t.Errorf("without %s: %d", pageHeader, got)
		}
		want := http.StatusOK
		if strings.Contains(tt.login, looking) {
			want = http.StatusForbidden
		}
		if got := try("POST", "/api/admin/kick", "Cookie", cookie, pageHeader, "1"); got != want {
			t.Errorf("with %s: %d", pageHeader, got)
		}
		for i := len(tt.name) + 1; i < len(cookie); i += 7 {
			other := byte('0')
			if cookie[i] == other {
				other = '1'
			}
			forged := cookie[:i] + string(other) + cookie[i+1:]
			if got := try("GET", "/api/admin/session", "Cookie", forged); got != http.StatusUnauthorized {
				t.Errorf("the cookie %s is as good as %s: %d", forged, cookie, got)
			}
		}
	}
}

// The owner's token has all rights, whatever stands in admin.tokens.
func TestOwnersTokenComesFirst(t *testing.T) {
	t.Parallel()
	a := box(nil)
	a.Apply([]Token{{"other", sha256.Sum256([]byte(token)), Read}})
	if found := a.bearer(token); found == nil || found.Name != owner || found.Scope != Write {
		t.Errorf("found %+v", found)
	}
}
