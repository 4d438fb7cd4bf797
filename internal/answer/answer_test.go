package answer

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		write  func(http.ResponseWriter)
		status int
		body   string
		retry  string
	}{
		"a value": {func(w http.ResponseWriter) { JSON(w, http.StatusOK, map[string]int{"n": 1}) }, 200, `{"n":1}`, ""},
		"an error": {func(w http.ResponseWriter) { Error(w, http.StatusNotFound, NotFound, "it is off") }, 404,
			`{"code":"not-found","message":"it is off"}`, ""},
		"too many": {func(w http.ResponseWriter) { TooMany(w, "wait") }, 429,
			`{"code":"rate-limited","message":"wait"}`, "1"},
	} {
		w := httptest.NewRecorder()
		c.write(w)
		h := w.Header()
		if w.Code != c.status || strings.TrimSpace(w.Body.String()) != c.body || h.Get("Retry-After") != c.retry {
			t.Errorf("%s: %d %s, Retry-After %q", name, w.Code, w.Body, h.Get("Retry-After"))
		}
		if h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" ||
			h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", name, h)
		}
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Bearer abc": "abc", "bearer abc": "abc", "Basic abc": "", "abc": "", "": "", "Bearer": "", "Bearer ": "",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", header)
		if got := Bearer(r); got != want {
			t.Errorf("%q: %q", header, got)
		}
	}
}
