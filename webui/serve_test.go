package webui

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// newServer serves the UI as the appliance mounts it.
func newServer(t *testing.T, opts Options) *httptest.Server {
	t.Helper()
	ui, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for pattern, page := range ui.Pages() {
		// With every method: that pages refuse those that they don't know is tested, too.
		mux.Handle(strings.TrimPrefix(pattern, "GET "), page)
	}
	mux.Handle("/assets/", ui.Assets())
	for _, name := range sdkNames() {
		mux.Handle("/"+name, ui.SDK())
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

var pagePaths = []string{"/", "/call/tea", "/call/apprtc/tea", "/check", "/admin", "/example", "/trust", "/docs/sdk"}

// fetch asks without Go's transparent decompression, so that tests see what a browser gets.
func fetch(t *testing.T, method, url string, header http.Header) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if request.Header.Get("Accept-Encoding") == "" {
		request.Header.Set("Accept-Encoding", "identity")
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, body
}

func get(t *testing.T, url string) (*http.Response, []byte) {
	t.Helper()
	response, body := fetch(t, http.MethodGet, url, nil)
	if response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", url, response.Status)
	}
	return response, body
}

func TestPageHeaders(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{Version: "1.2.3", Trust: true})
	for _, path := range pagePaths {
		response, body := get(t, server.URL+path)
		header := response.Header
		for name, want := range map[string]string{
			"Content-Type":           "text/html; charset=utf-8",
			"Cache-Control":          "no-cache",
			"X-Content-Type-Options": "nosniff",
			"Referrer-Policy":        "no-referrer",
			"X-Frame-Options":        "DENY",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		policy := header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'self'", "frame-ancestors 'none'", "object-src 'none'",
			"base-uri 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy %q lacks %q", path, policy, want)
			}
		}
		for _, never := range []string{"unsafe-inline", "unsafe-eval", "*", "http:"} {
			if strings.Contains(policy, never) {
				t.Errorf("%s: policy %q has %q", path, policy, never)
			}
		}
		for _, device := range []string{"camera=(self)", "microphone=(self)", "display-capture=(self)"} {
			if !strings.Contains(header.Get("Permissions-Policy"), device) {
				t.Errorf("%s: Permissions-Policy lacks %s", path, device)
			}
		}
		if !bytes.Contains(body, []byte(`name="signalbox-version" content="1.2.3"`)) {
			t.Errorf("%s doesn't name the version", path)
		}
	}
}

// The Host header comes from outside: only what is a host goes into the policy.
func TestPolicyNamesOnlyPlainHosts(t *testing.T) {
	t.Parallel()
	for host, named := range map[string]bool{
		"example.org":                true,
		"example.org:8443":           true,
		"192.0.2.1:8080":             true,
		"[2001:db8::1]:8443":         true,
		"example.org; script-src *":  false,
		"*":                          false,
		"example.org *":              false,
		"":                           false,
		"example.org:8443/'unsafe-'": false,
	} {
		policy := contentSecurityPolicy(host)
		if got := strings.Contains(policy, "wss://"); got != named {
			t.Errorf("host %q: policy names a WebSocket origin: %v, want %v", host, got, named)
		}
		if !named && host != "" && strings.Contains(policy, host) {
			t.Errorf("host %q stands in the policy %q", host, policy)
		}
	}
}

// servedPaths are those that aren't pages'.
func servedPaths() []string {
	return []string{
		"/signalbox.js", "/signalbox-data.js", "/signalbox-media.js", "/signalbox-stats.js", "/assets/css/base.css",
	}
}

func TestConditionalRequests(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{Trust: true})
	for _, path := range append(servedPaths(), pagePaths...) {
		for _, encoding := range []string{"identity", "gzip"} {
			header := http.Header{"Accept-Encoding": {encoding}}
			response, _ := fetch(t, http.MethodGet, server.URL+path, header)
			tag := response.Header.Get("ETag")
			if !strings.HasPrefix(tag, `"`) {
				t.Fatalf("%s (%s): ETag %q is not a strong one", path, encoding, tag)
			}
			header.Set("If-None-Match", tag)
			response, body := fetch(t, http.MethodGet, server.URL+path, header)
			if response.StatusCode != http.StatusNotModified || len(body) != 0 {
				t.Errorf("%s (%s): %s with %d bytes for the same ETag, want 304 without a body", path, encoding,
					response.Status, len(body))
			}
			header.Set("If-None-Match", `"other"`)
			if response, _ = fetch(t, http.MethodGet, server.URL+path, header); response.StatusCode != http.StatusOK {
				t.Errorf("%s (%s): %s for another ETag, want 200", path, encoding, response.Status)
			}
		}
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{})
	_, plain := get(t, server.URL+"/signalbox.js")
	for accept, packed := range map[string]bool{
		"gzip":                  true,
		"br;q=1.0, GZIP; q=0.5": true,
		"deflate, br":           false,
		"gzip;q=0":              false,
		"gzip;q=0.000, *":       false,
		"gzip;q=oops":           false,
	} {
		response, body := fetch(t, http.MethodGet, server.URL+"/signalbox.js", http.Header{"Accept-Encoding": {accept}})
		if response.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: no Vary, so a cache would mix the representations", accept)
		}
		if got := response.Header.Get("Content-Encoding") == "gzip"; got != packed {
			t.Errorf("Accept-Encoding %q: compressed is %v, want %v", accept, got, packed)
			continue
		}
		if packed {
			unpacker, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(unpacker); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(body, plain) {
			t.Errorf("Accept-Encoding %q: the body differs", accept)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{Trust: true})
	for _, path := range append(servedPaths(), pagePaths...) {
		response, _ := fetch(t, http.MethodPost, server.URL+path, nil)
		if response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Allow") == "" {
			t.Errorf("POST %s: %s, Allow %q; want 405 with Allow", path, response.Status, response.Header.Get("Allow"))
		}
		response, body := fetch(t, http.MethodHead, server.URL+path, nil)
		if response.StatusCode != http.StatusOK || len(body) != 0 {
			t.Errorf("HEAD %s: %s with %d bytes", path, response.Status, len(body))
		}
	}
}

// Files of the current version may be cached for good; the same files under an older version's name
// may not.
func TestAssetVersions(t *testing.T) {
	t.Parallel()
	ui, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(t, Options{})
	for path, want := range map[string]string{
		ui.assets.prefix() + "/css/base.css":  cacheForever,
		"/assets/v-000000000000/css/base.css": cacheRevalidate,
		"/assets/css/base.css":                cacheRevalidate,
		"/signalbox.js":                       cacheRevalidate,
		"/signalbox-data.js":                  cacheRevalidate,
		"/signalbox-media.js":                 cacheRevalidate,
		"/signalbox-stats.js":                 cacheRevalidate,
	} {
		response, _ := get(t, server.URL+path)
		if got := response.Header.Get("Cache-Control"); got != want {
			t.Errorf("%s: Cache-Control %q, want %q", path, got, want)
		}
	}
	for _, path := range []string{"/assets/", "/assets/css", "/assets/nothing.js", "/assets/v-/", "/assets/..%2fui.go",
		"/assets/v-x/v-x/css/base.css"} {
		if response, _ := fetch(t, http.MethodGet, server.URL+path, nil); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s, want 404", path, response.Status)
		}
	}
}

// Whatever else leads to the SDK's handler is none of its modules.
func TestSDKHasNoOtherModules(t *testing.T) {
	t.Parallel()
	ui, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"/signalbox.js": http.StatusOK, "/under/signalbox-media.js": http.StatusOK,
		"/": http.StatusNotFound, "/favicon.svg": http.StatusNotFound, "/signalbox.d.ts": http.StatusNotFound,
	} {
		recorder := httptest.NewRecorder()
		ui.SDK().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
		if recorder.Code != want {
			t.Errorf("%s: %d, want %d", path, recorder.Code, want)
		}
	}
}

// The TLS port is known only after listening, and a page asks for it each time.
func TestHTTPSPort(t *testing.T) {
	t.Parallel()
	port := 0
	ui, err := New(Options{HTTPSPort: func() int { return port }})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, want := range []string{`content="0"`, `content="8443"`, `content="8443"`} {
		recorder := httptest.NewRecorder()
		ui.Pages()["GET /call/{room}"].ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/call/tea", nil))
		if !strings.Contains(recorder.Body.String(), `name="signalbox-https-port" `+want) {
			t.Errorf("the page doesn't have %s", want)
		}
		seen[recorder.Header().Get("ETag")] = true
		port = 8443
	}
	if len(seen) != 2 {
		t.Errorf("%d ETags for two renderings", len(seen))
	}
}

// Only a box that is its own certificate authority has the page /trust, and links to it.
func TestPagesLinkToTrustWhereItIs(t *testing.T) {
	t.Parallel()
	for _, trust := range []bool{true, false} {
		server := newServer(t, Options{Trust: trust})
		for _, page := range []string{"/", "/call/tea", "/check"} {
			if _, body := get(t, server.URL+page); strings.Contains(string(body), `href="/trust"`) != trust {
				t.Errorf("%s links to /trust: %v, want %v", page, !trust, trust)
			}
		}
		response, _ := fetch(t, http.MethodGet, server.URL+"/trust", nil)
		if served := response.StatusCode == http.StatusOK; served != trust {
			t.Errorf("GET /trust: %s; whether it is there should be %v", response.Status, trust)
		}
	}
}

// A call needs a room: without a name, there is the start page, which makes one.
func TestCallWithoutRoomLeadsToTheStart(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{})
	for _, path := range []string{"/call", "/call/"} {
		response, _ := fetch(t, http.MethodGet, server.URL+path, nil)
		if response.StatusCode != http.StatusFound || response.Header.Get("Location") != "/" {
			t.Errorf("GET %s: %s to %q", path, response.Status, response.Header.Get("Location"))
		}
	}
}

// A slash at the end of a page's path is as good as none. What is escaped stays so.
func TestSlashAtTheEnd(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{Trust: true})
	for path, want := range map[string]string{
		"/check/":                  "/check",
		"/trust/":                  "/trust",
		"/call/tea/":               "/call/tea",
		"/call/tea/?relay=1&name=": "/call/tea?relay=1&name=",
		"/call/a%2Fb%3F/":          "/call/a%2Fb%3F",
		"/call/%2Fevil/":           "/call/%2Fevil",
		"/call/%E8%8C%B6/":         "/call/%E8%8C%B6",
	} {
		response, _ := fetch(t, http.MethodGet, server.URL+path, nil)
		if response.StatusCode != http.StatusMovedPermanently || response.Header.Get("Location") != want {
			t.Errorf("GET %s: %s to %q, not to %q", path, response.Status, response.Header.Get("Location"), want)
		}
	}
}

// Who has mistyped an address is led on, and programs aren't sent a page.
func TestNothingThere(t *testing.T) {
	t.Parallel()
	ui, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(ui.Missing(http.NotFoundHandler()))
	t.Cleanup(server.Close)
	response, body := fetch(t, http.MethodGet, server.URL+"/chek", http.Header{"Accept": {"text/html, */*;q=0.8"}})
	if response.StatusCode != http.StatusNotFound || !strings.Contains(string(body), `href="/"`) ||
		!strings.Contains(response.Header.Get("Content-Security-Policy"), "default-src 'self'") {
		t.Errorf("a browser gets %s with %q and\n%s", response.Status, response.Header, body)
	}
	response, body = fetch(t, http.MethodGet, server.URL+"/chek", http.Header{"Accept": {"*/*"}})
	if response.StatusCode != http.StatusNotFound || strings.Contains(string(body), "<") {
		t.Errorf("a program gets %s with\n%s", response.Status, body)
	}
	response, body = fetch(t, http.MethodHead, server.URL+"/chek", http.Header{"Accept": {"text/html"}})
	if response.StatusCode != http.StatusNotFound || len(body) != 0 {
		t.Errorf("HEAD: %s with %d bytes", response.Status, len(body))
	}
}
