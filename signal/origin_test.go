package signal_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"signalbox/internal/testkit"
	"signalbox/signal"
)

func TestOriginRule(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		allowed []string
		host    string
		origins []string
		want    bool
	}{
		{name: "no page", host: "box.example.org", want: true},
		{name: "own page", host: "box.example.org", origins: []string{"https://box.example.org"}, want: true},
		{name: "own page over http", host: "box.example.org", origins: []string{"http://box.example.org"}, want: true},
		{name: "own page with a port", host: "box.example.org:8443", origins: []string{"https://box.example.org:8443"},
			want: true},
		{name: "own page by address", host: "[2001:db8::1]:8080", origins: []string{"http://[2001:db8::1]:8080"},
			want: true},
		{name: "another case", host: "Box.Example.org", origins: []string{"https://box.example.ORG"}, want: true},
		{name: "default port in the host", host: "box.example.org:443", origins: []string{"https://box.example.org"},
			want: true},
		{name: "default port of another scheme", host: "box.example.org:443",
			origins: []string{"http://box.example.org"}},
		{name: "another port", host: "box.example.org:8443", origins: []string{"https://box.example.org"}},
		{name: "another host", host: "box.example.org", origins: []string{"https://evil.example"}},
		{name: "a host that ends alike", host: "example.org", origins: []string{"https://evil-example.org"}},
		{name: "a host below", host: "example.org", origins: []string{"https://box.example.org"}},
		{name: "nobody's page", host: "box.example.org", origins: []string{"null"}},
		{name: "nonsense", host: "box.example.org", origins: []string{"box.example.org"}},
		{name: "empty", host: "box.example.org", origins: []string{""}},
		{name: "a path", host: "box.example.org", origins: []string{"https://box.example.org/call"}},
		{name: "a user", host: "box.example.org", origins: []string{"https://x@box.example.org"}},
		{name: "twice", host: "box.example.org",
			origins: []string{"https://box.example.org", "https://box.example.org"}},
		{name: "allowed", allowed: []string{"https://app.example"}, host: "box",
			origins: []string{"https://app.example"}, want: true},
		{name: "allowed in another spelling", allowed: []string{"HTTPS://App.example:443"}, host: "box",
			origins: []string{"https://app.example"}, want: true},
		{name: "allowed with another scheme", allowed: []string{"https://app.example"}, host: "box",
			origins: []string{"http://app.example"}},
		{name: "own beside allowed", allowed: []string{"https://app.example"}, host: "box",
			origins: []string{"http://box"}, want: true},
		{name: "an app's scheme", allowed: []string{"capacitor://localhost"}, host: "box",
			origins: []string{"capacitor://localhost"}, want: true},
		{name: "any", allowed: []string{"*"}, host: "box", origins: []string{"https://evil.example"}, want: true},
		{name: "any and nobody's", allowed: []string{"*"}, host: "box", origins: []string{"null"}, want: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, signal.Options{AllowedOrigins: test.allowed})
			r := httptest.NewRequest(http.MethodGet, "/signal", nil)
			r.Host = test.host
			for _, origin := range test.origins {
				r.Header.Add("Origin", origin)
			}
			if got := h.OriginAllowed(r); got != test.want {
				t.Errorf("host %s, origins %q, allowed %q: %v", test.host, test.origins, test.allowed, got)
			}
		})
	}
}

// A page whose own name leads to the box (DNS rebinding) sends the same name as Host and as Origin:
// that makes it no page of the box.
func TestHub9OtherNamesHaveNoOwnPages(t *testing.T) {
	t.Parallel()
	h := newHub(t, signal.Options{
		AllowedOrigins: []string{"https://call.example.org"},
		OwnHost:        func(host string) bool { return host == "192.0.2.7:8080" || host == "call.example.org" },
	})
	for _, test := range []struct {
		host, origin string
		want         bool
	}{
		{"192.0.2.7:8080", "http://192.0.2.7:8080", true},
		{"call.example.org", "https://call.example.org", true},
		{"127.0.0.1:8080", "https://call.example.org", true}, // a proxy has rewritten Host
		{"evil.example:8080", "http://evil.example:8080", false},
		{"192.0.2.7:8080", "http://evil.example:8080", false},
		{"call.example.org", "https://call.example.org:9000", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/signal", nil)
		r.Host = test.host
		r.Header.Set("Origin", test.origin)
		if got := h.OriginAllowed(r); got != test.want {
			t.Errorf("host %s, origin %s: %v", test.host, test.origin, got)
		}
	}
}

func TestForeignOriginIsRefused(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	_, response, err := b.tryDial(http.Header{"Origin": {"https://evil.example"}})
	if err == nil || response == nil || response.StatusCode != http.StatusForbidden {
		t.Fatalf("got %v, %v", response, err)
	}
	if n := b.Snapshot().Counters.ForeignOrigins; n != 1 {
		t.Errorf("%d foreign origins counted", n)
	}
	ws, _, err := b.tryDial(http.Header{"Origin": {b.server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	b.client(t, ws).settle()
}

func TestWrongOptions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		opts signal.Options
		want string
	}{
		{signal.Options{AllowedOrigins: []string{"app.example"}}, `"app.example"`},
		{signal.Options{AllowedOrigins: []string{"https://app.example/"}}, `"https://app.example/"`},
		{signal.Options{AllowedOrigins: []string{"https://*.example"}}, `"https://*.example"`},
		{signal.Options{RoomCapacity: -1}, "RoomCapacity"},
		{signal.Options{Heartbeat: -1}, "Heartbeat"},
		{signal.Options{Rate: -1}, "Rate"},
	} {
		if _, err := signal.New(test.opts); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test.opts, err)
		}
	}
}

// Whoever embeds the box in another page reads in the log which key to set, once for each page.
func TestTheLogNamesARefusedOrigin(t *testing.T) {
	t.Parallel()
	var log testkit.Log
	hub, err := signal.New(signal.Options{ResumeKey: make([]byte, 32), Log: log.Logger()})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r := httptest.NewRequest(http.MethodGet, "http://box.example.org/signal", nil)
		r.Header.Set("Origin", "https://app.example.org")
		if !hub.RefusesOrigin(httptest.NewRecorder(), r) {
			t.Fatal("the page is let in")
		}
	}
	if n := log.Count("web.allowed_origins"); n != 1 || log.Count("https://app.example.org") != 1 {
		t.Errorf("the log says so %d times", n)
	}
}
