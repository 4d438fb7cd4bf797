package signalbox

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pion/stun/v3"
	"github.com/pion/webrtc/v4"

	"signalbox/internal/testkit"
	"signalbox/signal"
)

// patience bounds every wait for something that must come. It is never waited for unless something
// is broken.
const patience = time.Minute

// TestMain fails the run if a goroutine of the appliance outlives its test.
func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if code == 0 {
		if stacks := testkit.Leaked(patience, "signalbox"); stacks != "" {
			fmt.Fprintln(os.Stderr, "goroutines left behind:\n\n"+stacks)
			code = 1
		}
	}
	os.Exit(code)
}

// newApp makes an appliance of its own that is to listen on loopback, at ports of the system's
// choice.
func newApp(t testing.TB, set ...string) *App {
	t.Helper()
	return newAppIn(t, t.TempDir(), nil, set...)
}

// newAppIn is newApp with a state directory and a log.
func newAppIn(t testing.TB, dir string, log *slog.Logger, set ...string) *App {
	t.Helper()
	cfg, err := Load(LoadOptions{Dev: true, Set: append([]string{
		"web.listen=127.0.0.1:0", "web.tls_listen=127.0.0.1:0", "turn.listen=127.0.0.1:0",
		`turn.users=[{name="u",password="p"}]`,
	}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	state, err := OpenState(dir)
	if err != nil {
		t.Fatal(err)
	}
	app, err := New(cfg, state, log)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// startApp runs what newApp makes, until the test ends.
func startApp(t testing.TB, set ...string) *App {
	t.Helper()
	app := newApp(t, set...)
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	runApp(t, app)
	return app
}

// runApp runs what listens already, until the test ends or stop is called.
func runApp(t testing.TB, app *App) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// insecure is an HTTP client that takes the self-signed certificate.
func insecure(protocols ...string) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, NextProtos: protocols},
		ForceAttemptHTTP2: protocols == nil, DisableKeepAlives: true,
	}}
}

func get(t testing.TB, c *http.Client, url string, header ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

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
			"/signalbox.js": "export", "/healthz": "ok\n", "/readyz": `{"ready":true}`, "/version": `{"version":`,
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
	app := startApp(t)
	srv := app.httpServer(http.NotFoundHandler())
	if srv.ReadTimeout == 0 || srv.WriteTimeout == 0 || srv.ReadHeaderTimeout == 0 || srv.IdleTimeout == 0 {
		t.Errorf("a timeout is missing: %+v", srv)
	}
}

func TestPagesOfAllowedOriginsMayUseTheBox(t *testing.T) {
	t.Parallel()
	const friend = "https://app.example.org"
	app := startApp(t, "web.allowed_origins="+friend)
	for _, path := range []string{"/signalbox.js", "/api/ice"} {
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
	for _, header := range []string{"", "Bearer ", "Bearer wrong", app.admin.token} {
		if code, _, _ := get(t, c, base+"/api/admin/status", "Authorization", header); code != http.StatusUnauthorized {
			t.Errorf("Authorization %q gets %d", header, code)
		}
	}
	login := func(code string) (int, string) {
		resp, err := c.Post(base+"/api/admin/login", "application/json",
			strings.NewReader(fmt.Sprintf(`{"code":%q}`, code)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var out struct{ Token string }
		_ = json.NewDecoder(resp.Body).Decode(&out)
		return resp.StatusCode, out.Token
	}
	link := app.admin.code
	if code, _ := login("wrong"); code != http.StatusUnauthorized {
		t.Errorf("a wrong code gets %d", code)
	}
	code, token := login(link)
	if code != http.StatusOK {
		t.Fatalf("the link gets %d", code)
	}
	if code, _ := login(link); code != http.StatusUnauthorized {
		t.Errorf("a used link gets %d", code)
	}
	_, _, body := get(t, c, base+"/api/admin/status", "Authorization", "Bearer "+token)
	var status Status
	if err := json.Unmarshal([]byte(body), &status); err != nil || status.Version == "" || status.TURN.Drops == nil {
		t.Errorf("status %s: %v", body, err)
	}
}

// session is a client of the hub.
type session struct {
	t    testing.TB
	conn *websocket.Conn
	ice  []signal.ICEServer
}

func hello(t testing.TB, url string) *session {
	t.Helper()
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	conn, _, err := dialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &session{t: t, conn: conn}
	if err := conn.WriteJSON(map[string]string{"type": "hello", "name": "test"}); err != nil {
		t.Fatal(err)
	}
	welcome := s.expect("welcome")
	if err := json.Unmarshal(welcome["iceServers"], &s.ice); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *session) expect(typ string) map[string]json.RawMessage {
	s.t.Helper()
	for {
		var frame map[string]json.RawMessage
		_ = s.conn.SetReadDeadline(time.Now().Add(patience))
		if err := s.conn.ReadJSON(&frame); err != nil {
			s.t.Fatalf("waiting for %s: %v", typ, err)
		}
		if string(frame["type"]) == `"`+typ+`"` {
			return frame
		}
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

// relayOnly is a session in a room, with a peer connection that uses nothing but the relay.
func relayOnly(t testing.TB, app *App, transport, room string) *webrtc.PeerConnection {
	t.Helper()
	s := hello(t, "ws://"+app.Addrs().Web+"/signal")
	if err := s.conn.WriteJSON(map[string]string{"type": "join", "room": room}); err != nil {
		t.Fatal(err)
	}
	s.expect("joined")
	var servers []webrtc.ICEServer
	for _, server := range s.ice {
		for _, url := range server.URLs {
			if strings.HasSuffix(url, "transport="+transport) {
				servers = append(servers, webrtc.ICEServer{URLs: []string{url}, Username: server.Username,
					Credential: server.Credential})
			}
		}
	}
	var engine webrtc.SettingEngine
	engine.SetIncludeLoopbackCandidate(true)
	engine.SetRelayAcceptanceMinWait(0)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(engine)).NewPeerConnection(webrtc.Configuration{ICEServers: servers, ICETransportPolicy: webrtc.ICETransportPolicyRelay})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc
}

// echo connects two peers and sends a message there and back.
func echo(t testing.TB, a, b *webrtc.PeerConnection) {
	t.Helper()
	back := make(chan string, 1)
	b.OnDataChannel(func(d *webrtc.DataChannel) {
		d.OnMessage(func(m webrtc.DataChannelMessage) { _ = d.SendText(string(m.Data) + " and back") })
	})
	channel, err := a.CreateDataChannel("echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	channel.OnOpen(func() { _ = channel.SendText("there") })
	channel.OnMessage(func(m webrtc.DataChannelMessage) { back <- string(m.Data) })
	describe := func(from, to *webrtc.PeerConnection, create func() (webrtc.SessionDescription, error)) {
		gathered := webrtc.GatheringCompletePromise(from)
		d, err := create()
		if err == nil {
			err = from.SetLocalDescription(d)
		}
		if err == nil {
			<-gathered
			err = to.SetRemoteDescription(*from.LocalDescription())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	describe(a, b, func() (webrtc.SessionDescription, error) { return a.CreateOffer(nil) })
	describe(b, a, func() (webrtc.SessionDescription, error) { return b.CreateAnswer(nil) })
	select {
	case got := <-back:
		if got != "there and back" {
			t.Errorf("got %q", got)
		}
	case <-time.After(patience):
		t.Fatal("nothing came back through the relay")
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

func dialTLS(t testing.TB, addr string, alpn []string) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: alpn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func stunRoundTrip(t testing.TB, conn net.Conn) {
	t.Helper()
	request := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
	if _, err := conn.Write(request.Raw); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 20)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatalf("no STUN answer: %v", err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[2:]))
	if _, err := io.ReadFull(conn, body); err != nil {
		t.Fatal(err)
	}
	answer := &stun.Message{Raw: append(head, body...)}
	if err := answer.Decode(); err != nil || answer.Type != stun.BindingSuccess ||
		answer.TransactionID != request.TransactionID {
		t.Errorf("answer %v: %v", answer, err)
	}
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
	if _, err := os.Stat(filepath.Join(app.state.Dir(), selfSignedFile)); err == nil {
		t.Error("an instance that does not come up replaces the certificate of one that may be running")
	}
	web := app.edge.web.Addr().String()
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
		state, err := OpenState(dir)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(LoadOptions{Dev: true})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Web.Listen, cfg.Web.TLSListen, cfg.TURN.Listen = "127.0.0.1:0", "127.0.0.1:0", List{"127.0.0.1:0"}
		app, err := New(cfg, state, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := app.Listen(); err != nil {
			t.Fatal(err)
		}
		if err := app.Close(); err != nil {
			t.Fatal(err)
		}
		for j, name := range []string{turnSecretFile, adminTokenFile, resumeKeyFile, selfSignedFile} {
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
		"call.example.org": "call.example.org:" + portOf(app.edge.turnTCP[0].Addr()),
	} {
		if got := app.stunURLs(host)[0]; got != "stun:"+want {
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
	app := startApp(t, "tls.mode=files", "tls.cert="+dir+"/both.pem", "tls.key="+dir+"/both.pem",
		"public_host=call.example.org")
	port := portOf(app.edge.webTLS.Addr())
	handler := app.redirectToTLS(http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	for _, tc := range []struct {
		from, path string
		code       int
		location   string
	}{
		{"192.0.2.1:5", "/call/x?relay=1", http.StatusTemporaryRedirect, "https://call.example.org:" + port +
			"/call/x?relay=1"},
		{"192.0.2.1:5", "/healthz", http.StatusTeapot, ""},
		{"127.0.0.1:5", "/call/x", http.StatusTeapot, ""},
		// this machine itself, by another of its addresses
		{"198.51.100.7:5", "/api/admin/status", http.StatusTeapot, ""},
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
	if urls := app.turnURLs("x"); len(urls) != 3 || urls[2] != "turns:call.example.org:"+port+"?transport=tcp" {
		t.Errorf("TURN URLs %v", urls)
	}
	app.cfg.Dev = false // then a listener on loopback is for a proxy
	if urls := app.turnURLs("x"); len(urls) != 2 {
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
		if got := app.iceHost(host); got != want {
			t.Errorf("Host %q: %q, want %q", host, got, want)
		}
	}
}
