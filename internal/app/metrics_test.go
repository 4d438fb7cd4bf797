package app

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"signalbox/internal/config"
	"signalbox/internal/edge"
	"signalbox/internal/metrics"
	"signalbox/internal/status"

	"github.com/pion/stun/v3"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

const metricsOn = "metrics.listen=127.0.0.1:0"

// scrape reads the metrics as Prometheus does: values by name and labels.
func scrape(t testing.TB, app *App) map[string]float64 {
	t.Helper()
	code, h, text := get(t, insecure(), "http://"+app.Addrs().Metrics+"/metrics")
	if code != http.StatusOK || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
		t.Fatalf("%d %s %s", code, h, text)
	}
	values := map[string]float64{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64)
		if _, twice := values[line[:at]]; err != nil || twice {
			t.Fatalf("line %q: %v", line, err)
		}
		values[line[:at]] = value
	}
	return values
}

func wantMetrics(t testing.TB, got, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s is %v (%v), want %v", name, v, ok, value)
		}
	}
}

// turnClient is a TURN client on UDP, as the static user "u".
type turnClient struct {
	t     testing.TB
	conn  net.Conn
	nonce stun.Nonce
}

func dialTURN(t testing.TB, app *App) *turnClient {
	t.Helper()
	conn, err := net.Dial("udp", app.Addrs().TURN[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &turnClient{t: t, conn: conn}
}

// request sends a request, answers the challenge, and returns what comes then, with its error code;
// 0: none.
func (c *turnClient) request(method stun.Method, attrs ...stun.Setter) (*stun.Message, stun.ErrorCode) {
	c.t.Helper()
	for {
		m := stun.MustBuild(append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)},
			attrs...)...)
		if c.nonce != nil {
			for _, a := range []stun.Setter{stun.NewUsername("u"), stun.NewRealm("signalbox"), c.nonce,
				stun.NewLongTermIntegrity("u", "signalbox", "p")} {
				if err := a.AddTo(m); err != nil {
					c.t.Fatal(err)
				}
			}
		}
		if _, err := c.conn.Write(m.Raw); err != nil {
			c.t.Fatal(err)
		}
		answer := &stun.Message{Raw: c.read()}
		if err := answer.Decode(); err != nil || answer.TransactionID != m.TransactionID {
			c.t.Fatalf("answer %v: %v", answer, err)
		}
		var code stun.ErrorCodeAttribute
		if code.GetFrom(answer) == nil && code.Code == stun.CodeUnauthorized && c.nonce == nil {
			if err := c.nonce.GetFrom(answer); err != nil {
				c.t.Fatal(err)
			}
			continue
		}
		return answer, code.Code
	}
}

func (c *turnClient) read() []byte {
	c.t.Helper()
	buf := make([]byte, 2048)
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := c.conn.Read(buf)
	if err != nil {
		c.t.Fatal(err)
	}
	return buf[:n]
}

func (c *turnClient) ok(method stun.Method, attrs ...stun.Setter) *stun.Message {
	c.t.Helper()
	m, code := c.request(method, attrs...)
	if code != 0 {
		c.t.Fatalf("%s: %d", method, code)
	}
	return m
}

var requestUDP = stun.RawAttribute{Type: stun.AttrRequestedTransport, Value: []byte{17, 0, 0, 0}}

// allocate makes an allocation and returns its relayed transport address.
func (c *turnClient) allocate() netip.AddrPort {
	c.t.Helper()
	var relayed stun.XORMappedAddress
	if err := relayed.GetFromAs(c.ok(stun.MethodAllocate, requestUDP), stun.AttrXORRelayedAddress); err != nil {
		c.t.Fatal(err)
	}
	ip, _ := netip.AddrFromSlice(relayed.IP)
	return netip.AddrPortFrom(ip.Unmap(), uint16(relayed.Port))
}

func (c *turnClient) end() {
	c.t.Helper()
	c.ok(stun.MethodRefresh, stun.RawAttribute{Type: stun.AttrLifetime, Value: make([]byte, 4)})
}

type xorPeer netip.AddrPort

func (p xorPeer) AddTo(m *stun.Message) error {
	at := netip.AddrPort(p)
	return stun.XORMappedAddress{IP: at.Addr().AsSlice(), Port: int(at.Port())}.AddToAs(m, stun.AttrXORPeerAddress)
}

// relay makes an allocation, relays so many packets of that size both ways, one at a time, and ends
// it.
func relay(t testing.TB, app *App, packets, size int) {
	t.Helper()
	c := dialTURN(t, app)
	relayed := c.allocate()
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	_ = peer.SetReadDeadline(time.Now().Add(time.Minute))
	c.ok(stun.MethodChannelBind, stun.RawAttribute{Type: stun.AttrChannelNumber, Value: []byte{0x40, 0, 0, 0}},
		xorPeer(peer.LocalAddr().(*net.UDPAddr).AddrPort()))
	frame := binary.BigEndian.AppendUint16([]byte{0x40, 0}, uint16(size))
	frame = append(frame, make([]byte, size)...)
	buf := make([]byte, 2048)
	for range packets {
		if _, err := c.conn.Write(frame); err != nil {
			t.Fatal(err)
		}
		if n, _, err := peer.ReadFromUDPAddrPort(buf); n != size {
			t.Fatalf("%d bytes reach the peer, want %d: %v", n, size, err)
		}
		if _, err := peer.WriteToUDPAddrPort(buf[:size-1], relayed); err != nil {
			t.Fatal(err)
		}
		if n := len(c.read()); n != size-1+4 {
			t.Fatalf("%d bytes come back", n)
		}
	}
	c.end()
}

func TestMetricsAreWhatHappened(t *testing.T) {
	t.Parallel()
	app := startApp(t, metricsOn, "turn.limits.allocations=1", "turn.limits.total_per_month=1GB",
		"turn.relay_ports=40000-40999")
	before := scrape(t, app)
	wantMetrics(t, before, map[string]float64{
		`signalbox_build_info{version="` + status.Version() + `"}`: 1, "signalbox_ready": 1, "signalbox_draining": 0,
		`signalbox_certificate_problem{mode="self-signed"}`: 0, "signalbox_signal_sessions": 0,
		"signalbox_turn_month_limit_bytes":                            1e9,
		`signalbox_turn_relayed_bytes_total{direction="from-client"}`: 0,
		`signalbox_turn_drops_total{reason="malformed"}`:              0,
		`signalbox_turn_relay_ports{family="ipv4"}`:                   1000,
		`signalbox_turn_relay_ports_in_use{family="ipv4"}`:            0,
	})
	if started := time.Unix(0, int64(before["signalbox_start_time_seconds"]*1e9)); time.Since(started) > time.Minute ||
		started.After(time.Now()) {
		t.Errorf("started %v", started)
	}
	leaf := dialTLS(t, app.Addrs().WebTLS, nil).ConnectionState().PeerCertificates[0]
	expiry := before[`signalbox_certificate_expiry_timestamp_seconds{mode="self-signed"}`]
	if got := expiry; got != float64(leaf.NotAfter.Unix()) {
		t.Errorf("the certificate ends at %v, and the one that is served at %v", got, leaf.NotAfter.Unix())
	}

	// Signaling: two sessions in a room, one that says nothing sensible.
	a, b := hello(t, "ws://"+app.Addrs().Web+"/signal"), hello(t, "ws://"+app.Addrs().Web+"/signal")
	for _, s := range []*session{a, b} {
		if err := s.conn.WriteJSON(map[string]string{"type": "join", "room": "tea"}); err != nil {
			t.Fatal(err)
		}
		s.expect("joined")
	}
	for _, frame := range []any{
		map[string]any{"type": "broadcast", "room": "tea", "data": 1},
		map[string]string{"type": "join", "room": "\x00"},
	} {
		if err := a.conn.WriteJSON(frame); err != nil {
			t.Fatal(err)
		}
	}
	b.expect("broadcast")
	a.expect("error")
	get(t, insecure(), "http://"+app.Addrs().Web+"/signal", "Origin", "https://elsewhere.example", "Connection",
		"Upgrade", "Upgrade", "websocket",
		"Sec-Websocket-Version", "13", "Sec-Websocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")

	// TURN: one allocation that carries, one that is one too many, a STUN Binding.
	relay(t, app, 20, 1000)
	c := dialTURN(t, app)
	c.allocate()
	if _, code := dialTURN(t, app).request(stun.MethodAllocate, requestUDP); code != stun.CodeInsufficientCapacity {
		t.Fatalf("one too many gets %d", code)
	}
	stunRoundTrip(t, dialTLS(t, app.Addrs().WebTLS, nil))

	got := scrape(t, app)
	for deadline := time.Now().Add(time.Minute); got[`signalbox_turn_relay_ports_in_use{family="ipv4"}`] != 1 &&
		time.Now().Before(deadline); {
		got = scrape(t, app) // the books tell of ports when they have answered
	}
	status := app.Status()
	counted := status.Signal.Counters
	if status.Signal.Refusals["bad-frame"] != 1 {
		t.Errorf("hub refusals: %v", status.Signal.Refusals)
	}
	wantMetrics(t, got, map[string]float64{
		"signalbox_signal_connections": 2, "signalbox_signal_sessions": 2, "signalbox_signal_users": 0,
		"signalbox_signal_rooms": 1, "signalbox_signal_room_members": 2,
		"signalbox_signal_sessions_opened_total": 2, "signalbox_signal_broadcasts_total": 1,
		"signalbox_signal_foreign_origins_total":                                   1,
		`signalbox_signal_refusals_total{code="bad-frame"}`:                        1,
		`signalbox_signal_frames_total{direction="in"}`:                            float64(counted.FramesIn),
		`signalbox_signal_frames_total{direction="out"}`:                           float64(counted.FramesOut),
		`signalbox_signal_frame_bytes_total{direction="in"}`:                       float64(counted.BytesIn),
		"signalbox_stun_bindings_total":                                            1,
		`signalbox_turn_relayed_bytes_total{direction="from-client"}`:              20_000,
		`signalbox_turn_relayed_bytes_total{direction="to-client"}`:                19_980,
		`signalbox_turn_relayed_packets_total{direction="from-client"}`:            20,
		`signalbox_turn_relayed_packets_total{direction="to-client"}`:              20,
		"signalbox_turn_month_relayed_bytes":                                       39_980 + 20*(28+32), // headers
		`signalbox_turn_allocations{class="static",family="ipv4",transport="udp"}`: 1,
		`signalbox_turn_allocations{class="hub",family="ipv6",transport="tls"}`:    0,
		`signalbox_turn_refusals_total{class="static",code="508"}`:                 1,
		`signalbox_turn_refusals_total{class="none",code="401"}`:                   3,
		`signalbox_turn_refusals_total{class="hub",code="508"}`:                    0,
		`signalbox_turn_relay_ports_in_use{family="ipv4"}`:                         1,
	})

	if code, _, _ := get(t, insecure(), "http://"+app.Addrs().Web+"/api/admin/status", "Authorization",
		"Bearer wrong"); code != http.StatusUnauthorized {
		t.Errorf("a wrong admin token: %d", code)
	}
	wantMetrics(t, scrape(t, app), map[string]float64{
		`signalbox_admin_logins_refused_total{reason="wrong"}`:   1,
		`signalbox_admin_logins_refused_total{reason="limited"}`: 0,
	})
	if got := app.Status().Admin.Wrong; got != 1 {
		t.Errorf("the status counts %d wrong logins", got)
	}

	// What ends takes nothing with it, and counters only grow.
	c.end()
	relay(t, app, 1, 500)
	a.conn.Close()
	b.conn.Close()
	after := scrape(t, app)
	wantMetrics(t, after, map[string]float64{
		`signalbox_turn_relayed_bytes_total{direction="from-client"}`:              20_500,
		`signalbox_turn_relayed_bytes_total{direction="to-client"}`:                20_479,
		`signalbox_turn_allocations{class="static",family="ipv4",transport="udp"}`: 0,
	})
	for name, value := range got {
		if strings.Contains(name, "_total") && after[name] < value {
			t.Errorf("%s falls from %v to %v", name, value, after[name])
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	app.Drain(ctx)
	wantMetrics(t, scrape(t, app), map[string]float64{"signalbox_ready": 0, "signalbox_draining": 1})
}

// Prometheus' own linter has nothing to say, neither of the metrics nor of the text that is served.
func TestMetricsAreWellMade(t *testing.T) {
	t.Parallel()
	app := startApp(t, metricsOn, "turn.limits.total_per_month=1GB", "notify.self_test=12h")
	awaitSelfTest(t, app, func(status.SelfTest) bool { return true })
	dialTURN(t, app).allocate() // of a static user, who has metrics then
	problems, err := testutil.GatherAndLint(metrics.NewRegistry(app.vitals))
	if err != nil || len(problems) != 0 {
		t.Errorf("%v %v", problems, err)
	}
	_, _, text := get(t, insecure(), "http://"+app.Addrs().Metrics+"/metrics")
	if problems, err := promlint.New(strings.NewReader(text)).Lint(); err != nil || len(problems) != 0 {
		t.Errorf("%v %v", problems, err)
	}
	for _, name := range metrics.Names() {
		if !strings.Contains(text, "# HELP "+name+" ") {
			t.Errorf("%s is not there", name)
		}
	}
	for _, name := range []string{"go_goroutines", "process_open_fds"} {
		if !strings.Contains(text, "\n"+name+" ") && (name[0] == 'g' || runtime.GOOS == "linux") { // it reads /proc
			t.Errorf("%s is not there", name)
		}
	}
}

func TestMetricsHaveAPortOfTheirOwn(t *testing.T) {
	t.Parallel()
	app := startApp(t, metricsOn)
	own := "http://" + app.Addrs().Metrics
	for url, want := range map[string]int{
		own + "/metrics": 200, own + "/": 200, own + "/healthz": 404, own + "/api/admin/status": 404, own +
			"/signal": 404, own + "/debug/pprof/": 404,
		"http://" + app.Addrs().Web + "/metrics": 404, "https://" + app.Addrs().WebTLS + "/metrics": 404,
	} {
		if code, _, _ := get(t, insecure(), url); code != want {
			t.Errorf("%s: %d, want %d", url, code, want)
		}
	}
	if _, _, text := get(t, insecure(), own+"/"); !strings.Contains(text, "/metrics") {
		t.Errorf("%q", text)
	}
	if resp, err := insecure().Post(own+"/metrics", "text/plain", nil); err != nil ||
		resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v %v", resp, err)
	} else {
		resp.Body.Close()
	}
	if srv := metrics.Server(app.vitals, app.log); srv.ReadTimeout == 0 || srv.WriteTimeout == 0 ||
		srv.ReadHeaderTimeout == 0 ||
		srv.IdleTimeout == 0 || srv.MaxHeaderBytes == 0 {
		t.Errorf("a limit is missing: %+v", srv)
	}
	var text strings.Builder
	if err := app.Welcome(&text); err != nil || !strings.Contains(text.String(), own+"/metrics") {
		t.Errorf("the welcome does not tell: %s %v", text.String(), err)
	}

	off := startApp(t)
	text.Reset()
	if err := off.Welcome(&text); err != nil || strings.Contains(text.String(), "metrics") ||
		off.Addrs().Metrics != "" {
		t.Errorf("they are on: %s %v", text.String(), err)
	}
	if _, err := off.Reload(app.cfg, true); err == nil || !strings.Contains(err.Error(), "a restart is needed") ||
		!strings.Contains(err.Error(), "metrics.listen") {
		t.Errorf("a reload turns them on: %v", err)
	}
}

// Idle connections hold nothing up: beyond so many they are closed, and those that end make room.
func TestScrapersAreFew(t *testing.T) {
	t.Parallel()
	app := startApp(t, metricsOn)
	var idle []net.Conn
	for range metrics.MaxScrapers {
		conn, err := net.Dial("tcp", app.Addrs().Metrics)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil { // it is counted in
			t.Fatal(err)
		}
		idle = append(idle, conn)
	}
	_, err := insecure().Get("http://" + app.Addrs().Metrics + "/")
	if err == nil {
		t.Fatal("one more is served")
	}
	idle[0].Close()
	for deadline := time.Now().Add(time.Minute); ; {
		resp, err := insecure().Get("http://" + app.Addrs().Metrics + "/")
		if err == nil {
			resp.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestMetricsAreBoundWithTheOthersOrNotAtAll(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	app := newApp(t, "metrics.listen="+taken.Addr().String())
	if err := app.Listen(); !errors.Is(err, edge.ErrInUse) ||
		!strings.Contains(err.Error(), "choose another for metrics.listen") {
		t.Fatalf("error %v", err)
	}
	if l, err := net.Listen("tcp", app.Addrs().Web); err != nil {
		t.Errorf("the web port is still bound: %v", err)
	} else {
		l.Close()
	}
	app = newApp(t, metricsOn)
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	app.Close()
	if l, err := net.Listen("tcp", app.Addrs().Metrics); err != nil {
		t.Errorf("it is still bound: %v", err)
	} else {
		l.Close()
	}
}

// An operator who opens the metrics to others gets a warning.
func TestOpenMetricsAreSaid(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]bool{"": false, "127.0.0.1:0": false, "[::1]:0": false, "127.9.9.9:0": false,
		"[::ffff:127.0.0.1]:0": false,
		":0":                   true, "0.0.0.0:0": true, "192.0.2.1:9641": true, "[2001:db8::1]:9641": true} {
		cfg, err := load(config.LoadOptions{Dev: true, Set: []string{"metrics.listen=" + listen}})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(warnings(t, &cfg),
			"anybody who reaches it can read the metrics"); got != want {
			t.Errorf("%q: warned: %v", listen, got)
		}
	}
	for listen, want := range map[string]bool{"127.0.0.1:0": false, ":0": true} {
		var text bytes.Buffer
		app := newAppIn(t, t.TempDir(), slog.New(slog.NewTextHandler(&text, nil)), "metrics.listen="+listen)
		if err := app.Listen(); err != nil {
			t.Fatal(err)
		}
		app.Close()
		if got := strings.Contains(text.String(), "level=WARN msg=configuration key=metrics.listen "); got != want {
			t.Errorf("%q: the log warns: %v\n%s", listen, got, text.String())
		}
	}
}

func TestMetricsFollowTheCertificate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "both.pem")
	now := time.Now()
	write := func(at time.Time) {
		t.Helper()
		text, err := newSelfSigned(at, []string{"box.example.org"})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(now.Add(-time.Hour))
	app := newApp(t, "tls.mode=files", "tls.cert="+file, "tls.key="+file)
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	for range 2 {
		expiry := app.certs.InForce().Pair.Leaf.NotAfter
		if err := testutil.GatherAndCompare(metrics.NewRegistry(app.vitals), strings.NewReader(
			"# HELP signalbox_certificate_expiry_timestamp_seconds When the served certificate expires, in "+
				"Unix seconds. Absent if TLS is off, and until an ACME directory has issued the first.\n"+
				"# TYPE signalbox_certificate_expiry_timestamp_seconds gauge\n"+
				`signalbox_certificate_expiry_timestamp_seconds{mode="files"} `+
				strconv.FormatInt(expiry.Unix(), 10)+"\n"),
			"signalbox_certificate_expiry_timestamp_seconds"); err != nil {
			t.Error(err)
		}
		write(now)
		if _, err := app.Reload(app.cfg, true); err != nil {
			t.Fatal(err)
		}
		if renewed := app.certs.InForce().Pair.Leaf.NotAfter; renewed.Before(expiry) {
			t.Fatal("it was not renewed")
		}
	}

	off := newApp(t, "tls.mode=off")
	if n, err := testutil.GatherAndCount(metrics.NewRegistry(off.vitals),
		"signalbox_certificate_expiry_timestamp_seconds", "signalbox_certificate_problem"); n != 0 || err != nil {
		t.Errorf("%d metrics of a certificate that there is not, %v", n, err)
	}
}

// A scrape through HTTP, with ten thousand allocations and their sockets.
func BenchmarkScrape(b *testing.B) {
	app := startApp(b, metricsOn, "turn.limits.per_user=0", "turn.limits.per_source=0",
		"turn.limits.unauthorized_per_source=0")
	for app.turn.Allocations() < 10_000 {
		c := dialTURN(b, app)
		c.request(stun.MethodAllocate, requestUDP) // 437 where the system gives a port a second time
		c.conn.Close()
	}
	for b.Loop() {
		if code, _, _ := get(b, insecure(), "http://"+app.Addrs().Metrics+"/metrics"); code != http.StatusOK {
			b.Fatal(code)
		}
	}
	b.ReportMetric(float64(app.turn.Allocations()), "allocations")
}
