package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/internal/edge"
	"signalbox/internal/netaddr"
	"signalbox/internal/site"
	"signalbox/internal/state"
	"signalbox/internal/status"

	"github.com/gorilla/websocket"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "about.html"), []byte("<p>about us</p>"), 0o600); err != nil {
		t.Fatal(err)
	}
	app := startApp(t, "web.root="+root)
	c := insecure()
	for _, base := range []string{"http://" + app.Addrs().Web, "https://" + app.Addrs().WebTLS} {
		for path, want := range map[string]string{
			"/": "<!doctype html>", "/call": "<!doctype html>", "/call/": "<!doctype html>",
			"/call/x": "<!doctype html>", "/check": "<!doctype html>", "/admin": "<!doctype html>",
			"/signalbox.js": "export", "/signalbox-data.js": "export",
			"/signalbox-media.js": "export", "/signalbox-stats.js": "export",
			"/healthz": "ok\n", "/readyz": `{"ready":true}`, "/version": `{"version":`,
			"/about.html": "<p>about us</p>",
			"/api/ice":    `"iceServers":[{"urls":["stun:127.0.0.1:`,
		} {
			if code, _, body := get(t, c, base+path); code != http.StatusOK ||
				!strings.Contains(strings.ToLower(body), strings.ToLower(want)) {
				t.Errorf("%s%s: %d %.100q", base, path, code, body)
			}
		}
		if code, _, _ := get(t, c, base+"/nowhere"); code != http.StatusNotFound {
			t.Errorf("%s/nowhere: %d", base, code)
		}
		if code, _, body := get(t, c, base+"/api/ice", "Origin",
			"https://elsewhere.example"); code != http.StatusForbidden {
			t.Errorf("a foreign origin gets %d %s", code, body)
		}
		if code, h, _ := get(t, c, base+"/api/ice", "Origin", base); code != http.StatusOK ||
			h.Get("Access-Control-Allow-Origin") != base {
			t.Errorf("the own origin gets %d %v", code, h)
		}
	}
}

func TestWebRootServesNoMoreThanItsFiles(t *testing.T) {
	t.Parallel()
	outside, root := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		outside + "/secret": "secret", root + "/.env": "secret", root + "/.git/config": "secret", root +
			"/empty/file": "file", root + "/sub/index.html": "sub",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside+"/secret", root+"/link"); err != nil {
		t.Fatal(err)
	}
	app := startApp(t, "web.root="+root)
	for path, want := range map[string]int{
		"/sub/": 200, "/empty/file": 200, "/empty/": 404, "/.env": 404, "/.git/": 404, "/.git/config": 404,
		"/sub/..%2f.env": 404, "/%2e%2e/%2e%2e/etc/passwd": 404, "/..%2f..%2fetc/passwd": 404,
	} {
		if code, _, body := get(t, insecure(), "http://"+app.Addrs().Web+path); code != want ||
			strings.Contains(body, "secret") {
			t.Errorf("%s: %d %q, want %d", path, code, body, want)
		}
	}
	if code, _, body := get(t, insecure(), "http://"+app.Addrs().Web+"/link"); code == 200 ||
		strings.Contains(body, "secret") {
		t.Errorf("a link leads out: %d %q", code, body)
	}
}

// A request that never ends does not hold a connection for ever.
func TestSlowRequestsEnd(t *testing.T) {
	t.Parallel()
	srv := edge.HTTPServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if srv.ReadTimeout == 0 || srv.WriteTimeout == 0 || srv.ReadHeaderTimeout == 0 || srv.IdleTimeout == 0 {
		t.Errorf("a timeout is missing: %+v", srv)
	}
}

func TestPagesOfAllowedOriginsMayUseTheBox(t *testing.T) {
	t.Parallel()
	const friend = "https://app.example.org"
	app := startApp(t, "web.allowed_origins="+friend)
	for _, path := range []string{
		"/signalbox.js", "/signalbox-data.js", "/signalbox-media.js", "/signalbox-stats.js", "/api/ice",
	} {
		for origin, want := range map[string]string{friend: friend, "https://elsewhere.example": "", "": ""} {
			_, h, _ := get(t, insecure(), "http://"+app.Addrs().Web+path, "Origin", origin)
			if got := h.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s for %q: Access-Control-Allow-Origin %q, want %q", path, origin, got, want)
			}
			if !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") {
				t.Errorf("%s: a cache may mix up origins", path)
			}
		}
	}
}

func TestAdminNeedsItsTokenAndTheLinkWorksOnce(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	base, c := "http://"+app.Addrs().Web, insecure()
	for _, header := range []string{"", "Bearer ", "Bearer wrong", adminToken(t, app)} {
		if code, _, _ := get(t, c, base+"/api/admin/status", "Authorization", header); code != http.StatusUnauthorized {
			t.Errorf("Authorization %q gets %d", header, code)
		}
	}
	login := func(code string) (int, string) {
		return adminPost(t, app, "login", fmt.Sprintf(`{"code":%q}`, code), "")
	}
	link := app.admin.Code()
	if code, _ := login("wrong"); code != http.StatusUnauthorized {
		t.Errorf("a wrong code gets %d", code)
	}
	code, cookie := login(link)
	if code != http.StatusOK {
		t.Fatalf("the link gets %d", code)
	}
	if code, _ := login(link); code != http.StatusUnauthorized {
		t.Errorf("a used link gets %d", code)
	}
	_, _, body := get(t, c, base+"/api/admin/status", "Cookie", cookie)
	var status status.Status
	if err := json.Unmarshal([]byte(body), &status); err != nil || status.Version == "" || status.TURN.Drops == nil {
		t.Errorf("status %s: %v", body, err)
	}
}

// adminPost returns the status of an answer of the admin API, and the cookie that it sets.
func adminPost(t *testing.T, app *App, what, body, cookie string) (status int, next string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+app.Addrs().Web+"/api/admin/"+what, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", cookie)
	req.Header.Set("X-Signalbox-Admin", "1")
	resp, err := insecure().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	next, _, _ = strings.Cut(resp.Header.Get("Set-Cookie"), ";")
	return resp.StatusCode, next
}

// Whoever logs out of /admin is out, also after a restart of the box; other pages stay in.
func TestAdminLogoutOutlivesARestart(t *testing.T) {
	t.Parallel()
	app := newApp(t)
	stop := listenAndRun(t, app)
	body := fmt.Sprintf(`{"token":%q}`, adminToken(t, app))
	_, stays := adminPost(t, app, "login", body, "")
	_, leaves := adminPost(t, app, "login", body, "")
	want := map[string]int{stays: http.StatusOK, leaves: http.StatusOK}
	for restart := range 2 {
		for cookie, want := range want {
			if code, _, _ := get(t, insecure(), "http://"+app.Addrs().Web+"/api/admin/session", "Cookie",
				cookie); code != want {
				t.Errorf("restart %d: %d, want %d", restart, code, want)
			}
		}
		if restart == 0 {
			if code, _ := adminPost(t, app, "logout", "", leaves); code != http.StatusNoContent {
				t.Fatalf("logout: %d", code)
			}
			want[leaves] = http.StatusUnauthorized
		}
		stop()
		var err error
		if app, err = New(app.cfg, app.dir, nil); err != nil {
			t.Fatal(err)
		}
		stop = listenAndRun(t, app)
	}
}

// Two pion peers get their servers from the hub and are told to use nothing but the relay: the
// whole way, over UDP and TCP.
func TestTheHubsCredentialsOpenTheRelay(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			a, b := relayOnly(t, app, transport, "room of "+transport), relayOnly(t, app, "udp", "room of "+transport)
			echo(t, a, b)
			if n := app.turn.Allocations(); n < 2 {
				t.Errorf("%d allocations for two relayed peers", n)
			}
		})
	}
}

func TestOnePortServesHTTPSWebSocketAndTURN(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	addr := app.Addrs().WebTLS
	if code, _, _ := get(t, insecure("http/1.1"), "https://"+addr+"/healthz"); code != http.StatusOK {
		t.Errorf("https, HTTP/1.1: %d", code)
	}
	resp, err := insecure().Get("https://" + addr + "/healthz")
	if err != nil || resp.ProtoMajor != 2 {
		t.Errorf("https, h2: %v %v", resp, err)
	} else {
		resp.Body.Close()
	}
	hello(t, "wss://"+addr+"/signal")
	for _, alpn := range [][]string{{"stun.turn"}, nil, {"http/1.1", "stun.turn", "stun.nat-discovery"}} {
		conn := dialTLS(t, addr, alpn)
		stunRoundTrip(t, conn)
	}
	// Without ALPN, HTTP is told by its first letter.
	conn := dialTLS(t, addr, nil)
	fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Errorf("http without ALPN: %q %v", line, err)
	}
	// Silent, half-handshaken and garbled connections don't keep the box from serving, or from
	// stopping.
	for _, junk := range []string{"", "\x16\x03\x01", "garbage garbage garbage"} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		io.WriteString(c, junk) //nolint:errcheck
	}
	dialTLS(t, addr, nil)
}

func TestListenBindsAllOrNothing(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	app := newApp(t, "turn.listen="+taken.Addr().String())
	err = app.Listen()
	if err == nil || !strings.Contains(err.Error(), "another program has that port") {
		t.Fatalf("error %v", err)
	}
	if _, err := os.Stat(app.dir.Path("self-signed.pem")); err == nil {
		t.Error("an instance that does not come up replaces the certificate of one that may be running")
	}
	web := app.edge.Web().Addr().String()
	if l, err := net.Listen("tcp", web); err != nil {
		t.Errorf("%s is still bound after Listen failed: %v", web, err)
	} else {
		l.Close()
	}
}

func TestTenAppliancesInOneProcess(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for range 10 {
		app := startApp(t)
		wg.Go(func() {
			if code, _, _ := get(t, insecure(), "http://"+app.Addrs().Web+"/readyz"); code != http.StatusOK {
				t.Errorf("readyz %d", code)
			}
		})
	}
	wg.Wait()
}

func TestAbuse34DrainRefusesNewWork(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	pc := relayOnly(t, app, "udp", "x")
	gatherAll(t, pc)
	if app.turn.Allocations() != 1 {
		t.Fatalf("%d allocations", app.turn.Allocations())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	app.Drain(ctx)
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Error("drain did not wait for the allocation")
	}
	if code, _, _ := get(t, insecure(), "http://"+app.Addrs().Web+"/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("readyz %d while draining", code)
	}
	if app.turn.Allocations() != 1 {
		t.Error("drain ended a running allocation")
	}
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+app.Addrs().Web+"/signal", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	late := &session{t: t, conn: conn}
	if err := conn.WriteJSON(map[string]string{"type": "hello"}); err != nil {
		t.Fatal(err)
	}
	if e := late.expect("error"); string(e["code"]) != `"shutting-down"` {
		t.Errorf("a new session gets %s while draining", e["code"])
	}
	sdp, end := allocateAs(t, app, "u", "p")
	defer end()
	if strings.Contains(sdp, "typ relay") || app.turn.Allocations() != 1 {
		t.Error("a new allocation was made while draining")
	}
	pc.Close()
	app.Drain(t.Context())
}

func TestSecretsSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var first [4][]byte
	for i := range 2 {
		app := newAppIn(t, dir, nil)
		if err := app.Listen(); err != nil {
			t.Fatal(err)
		}
		if err := app.Close(); err != nil {
			t.Fatal(err)
		}
		for j, name := range []string{state.TURNSecret, state.AdminToken, state.ResumeKey, "self-signed.pem"} {
			path := filepath.Join(dir, name)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if info, _ := os.Stat(path); runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", name, info.Mode())
			}
			if i == 0 {
				first[j] = data
			} else if !bytes.Equal(first[j], data) {
				t.Errorf("%s was made again", name)
			}
		}
	}
}

// ICE servers are those that are served, on the address that serves them.
func TestICEServersAreWhereTURNListens(t *testing.T) {
	t.Parallel()
	app := startApp(t, `turn.listen=["127.0.0.2:0", "127.0.0.3:0"]`, "public_ip=198.51.100.7",
		"turn.relay_ip=127.0.0.1")
	addrs := app.Addrs().TURN
	for host, want := range map[string]string{
		"127.0.0.1:8080": addrs[0], "127.0.0.3:8080": addrs[1], "127.0.0.2": addrs[0],
		"call.example.org": "call.example.org:" + strconv.Itoa(int(app.edge.TURN()[0].Addr.Port())),
	} {
		if got := iceURLs(app, host)[0]; got != "stun:"+want {
			t.Errorf("Host %s: %s, want stun:%s", host, got, want)
		}
	}
}

func TestPlainHTTPRedirectsWhereTheCertificateIsReal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, err := newSelfSigned(time.Now(), []string{"call.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/both.pem", text, 0o600); err != nil {
		t.Fatal(err)
	}
	set := []string{"tls.mode=files", "tls.cert=" + dir + "/both.pem", "tls.key=" + dir + "/both.pem",
		"public_host=call.example.org"}
	app := startApp(t, set...)
	port := netaddr.Port(app.edge.WebTLS().Addr())
	handler := site.New(app.siteOptions()).Plain()
	for _, tc := range []struct {
		from, path string
		code       int
		location   string
	}{
		{"192.0.2.1:5", "/call/x?relay=1", http.StatusTemporaryRedirect, "https://call.example.org:" + port +
			"/call/x?relay=1"},
		{"192.0.2.1:5", "x:@evil.example/", http.StatusBadRequest, ""},
		{"192.0.2.1:5", "/healthz", http.StatusOK, ""},
		{"127.0.0.1:5", "/call/x", http.StatusOK, ""},
		// this machine itself, by another of its addresses
		{"198.51.100.7:5", "/api/admin/status", http.StatusUnauthorized, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, tc.path, nil)
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey,
			net.Addr(&net.TCPAddr{IP: net.IPv4(198, 51, 100, 7), Port: 8080})))
		r.RemoteAddr = tc.from
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != tc.code || w.Header().Get("Location") != tc.location {
			t.Errorf("%s of %s: %d %q", tc.path, tc.from, w.Code, w.Header().Get("Location"))
		}
	}
	if urls := iceURLs(app, "x")[1:]; len(urls) != 3 || urls[2] != "turns:call.example.org:"+port+"?transport=tcp" {
		t.Errorf("TURN URLs %v", urls)
	}
	cfg := app.cfg
	cfg.Dev = false // then a listener on loopback is for a proxy
	served, err := New(cfg, app.dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := served.Listen(); err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	if urls := iceURLs(served, "x")[1:]; len(urls) != 2 {
		t.Errorf("TURN URLs %v, and nobody reaches the last", urls)
	}
}

func TestICEHosts(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	for host, want := range map[string]string{
		"localhost:8080": "127.0.0.1", "192.0.2.7:8443": "192.0.2.7", "[2001:db8::1]:8443": "2001:db8::1",
		"call.example.org": "call.example.org",
		"evil/../x":        "127.0.0.1", "a b": "127.0.0.1", "": "127.0.0.1", "[fe80::1%25eth0]": "127.0.0.1",
	} {
		if got := app.ice.Host(host); got != want {
			t.Errorf("Host %q: %q, want %q", host, got, want)
		}
	}
}

// An appliance that could not listen does so as a whole once it can.
func TestListenAgain(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	app := newApp(t, `turn.listen=["127.0.0.1:0", "`+taken.Addr().String()+`"]`)
	if err := app.Listen(); err == nil {
		t.Fatal("two programs have one port")
	}
	taken.Close()
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	if n := len(app.Addrs().TURN); n != 2 {
		t.Errorf("TURN listens %d times", n)
	}
	runApp(t, app)
	conn, err := net.Dial("udp", app.Addrs().TURN[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := bind(conn, patience); err != nil {
		t.Errorf("over UDP: %v", err)
	}
}
