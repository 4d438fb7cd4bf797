package app

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pion/stun/v3"
	"github.com/pion/webrtc/v4"

	"signalbox/internal/config"
	"signalbox/internal/state"
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
	cfg, err := load(config.LoadOptions{Dev: true, Set: append([]string{
		"web.listen=127.0.0.1:0", "web.tls_listen=127.0.0.1:0", "turn.listen=127.0.0.1:0",
		`turn.users=[{name="u",password="p"}]`,
	}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	app, err := New(cfg, kept, log)
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
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(engine)).NewPeerConnection(webrtc.Configuration{
		ICEServers: servers, ICETransportPolicy: webrtc.ICETransportPolicyRelay,
	})
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

// load reads a configuration as the program does.
func load(o config.LoadOptions) (config.Config, error) {
	defaults, err := os.ReadFile("../../config.toml")
	if err != nil {
		return config.Config{}, err
	}
	return config.Load(string(defaults), o)
}

// eventually waits for something that must come.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	testkit.Eventually(t, patience, what, done)
}

// adminToken is the token that opens the admin API.
func adminToken(t testing.TB, app *App) string {
	t.Helper()
	token, err := app.dir.ExistingSecret(state.AdminToken)
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

// iceURLs are those that a client is handed who came to that host: STUN's first.
func iceURLs(app *App, host string) (urls []string) {
	servers, _ := app.ice.ICEServers(signal.ICERequest{Host: host, PeerID: "peer"})
	for _, s := range servers {
		urls = append(urls, s.URLs...)
	}
	return urls
}

// warnings is what signalbox check says of a configuration.
func warnings(t testing.TB, c *config.Config) string {
	t.Helper()
	var lines []string
	for _, w := range CheckHost(t.Context(), c) {
		lines = append(lines, w.String())
	}
	return strings.Join(lines, "\n")
}

// bind asks for a STUN Binding and waits that long for the answer.
func bind(conn net.Conn, wait time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	request := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
	if _, err := conn.Write(request.Raw); err != nil {
		return err
	}
	answer := &stun.Message{Raw: make([]byte, 0, 100)}
	if _, err := answer.ReadFrom(conn); err != nil {
		return err
	}
	if answer.Type != stun.BindingSuccess || answer.TransactionID != request.TransactionID {
		return fmt.Errorf("answered with %s", answer)
	}
	return nil
}
