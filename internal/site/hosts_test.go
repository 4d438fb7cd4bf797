package site

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What only the box, or only a network of its own, can be called is known; every other name might
// be that of a page which leads it here.
func TestHosts(t *testing.T) {
	t.Parallel()
	h := Hosts{Cert: func(host string) bool { return host == "cert.example.org" }}
	h.Apply([]string{"call.example.org", "app.example.org"})
	for host, want := range map[string]bool{
		"call.example.org": true, "Call.Example.Org:8443": true, "call.example.org.": true, "app.example.org": true,
		"cert.example.org:443": true, "127.0.0.1:8080": true, "[::1]:8080": true, "[2001:db8::1]": true, "::1": true,
		"198.51.100.7": true, "localhost:8080": true, "box:8080": true, "box.local:8080": true, "box.lan": true,

		"evil.example": false, "evil.example:8080": false, "call.example.org.evil.example": false,
		"xcall.example.org": false, "box.local.evil.example": false, "127.0.0.1.evil.example": false,
		"127.0.0.1.nip.io:8080": false, "": false, ":8080": false, "[::1": true, "evil.example:": false,
		"127.0.0.1@evil.example": false,
	} {
		if got := h.Knows(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

// An operator whose box answers under a name that nobody has told it learns that from the log, and
// a stranger who makes up names doesn't fill it.
func TestRefusedHostsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	h := &Hosts{Cert: func(string) bool { return false }, Log: slog.New(slog.NewTextHandler(&said, nil))}
	only := h.Only(http.NotFoundHandler())
	const few = 16
	for i := range 3 * few {
		for range 2 {
			r := httptest.NewRequest(http.MethodGet, "/api/ice", nil)
			r.Host = fmt.Sprintf("%d.example", i)
			w := httptest.NewRecorder()
			only.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden {
				t.Fatal(w.Code)
			}
		}
	}
	if n := strings.Count(said.String(), "public_host"); n == 0 || n > few {
		t.Errorf("%d lines:\n%s", n, said.String())
	}
	if !strings.Contains(said.String(), "host=0.example path=/api/ice") {
		t.Error(said.String())
	}
}
