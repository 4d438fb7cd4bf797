package app

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/internal/config"
	"signalbox/internal/testkit"

	"github.com/pion/webrtc/v4"
)

func writeCertificate(t testing.TB, path, name string) {
	t.Helper()
	text, err := newSelfSigned(time.Now(), []string{name})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// served is the name in the certificate that a client gets.
func served(t testing.TB, app *App) string {
	t.Helper()
	conn := dialTLS(t, app.Addrs().WebTLS, nil)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
}

// Line 33 of the abuse list: a reload under load loses no allocation, and the renewed certificate
// is served.
func TestAbuse33ReloadUnderLoad(t *testing.T) {
	t.Parallel()
	pemFile := filepath.Join(t.TempDir(), "both.pem")
	writeCertificate(t, pemFile, "old.example.org")
	set := []string{
		"web.listen=127.0.0.1:0", "web.tls_listen=127.0.0.1:0", "turn.listen=127.0.0.1:0", "tls.mode=files",
		"tls.cert=" + pemFile, "tls.key=" + pemFile,
		"turn.secret=a secret of the tests",
	}
	app := startApp(t, set...)
	if got := served(t, app); got != "old.example.org" {
		t.Fatalf("served %s", got)
	}

	a, b := relayOnly(t, app, "udp", "tea"), relayOnly(t, app, "tcp", "tea")
	got := stream(t, a, b)
	before := app.turn.Allocations()

	load := func(more ...string) config.Config { return loadWith(t, set, more) }
	rotated := []string{`turn.users=[{name="u",password="p"}]`, "turn.secret=the next secret of the tests",
		"turn.old_secrets=a secret of the tests"}
	writeCertificate(t, pemFile, "new.example.org")
	for range 20 {
		if _, err := app.Reload(load(rotated...), true); err != nil {
			t.Fatal(err)
		}
		got.more(t, 5)
	}
	if got := served(t, app); got != "new.example.org" {
		t.Errorf("after the reload %s is served", got)
	}
	if n := app.turn.Allocations(); n != before {
		t.Errorf("%d allocations are left of %d", n, before)
	}
	// The old secret's credentials still work, and new ones are of the new secret.
	echo(t, relayOnly(t, app, "udp", "cake"), relayOnly(t, app, "udp", "cake"))

	// A broken certificate keeps the old one in force, and a key that needs a restart changes
	// nothing.
	if err := os.WriteFile(pemFile, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := app.Reload(load(rotated...), true); err != nil ||
		!strings.Contains(app.Status().Certificate.Problem, "tls.cert") {
		t.Errorf("a broken certificate: %v, status %+v", err, app.Status().Certificate)
	}
	if _, err := app.Reload(load(append(rotated, "tls.key="+pemFile+".gone")...), true); err == nil ||
		!strings.Contains(err.Error(), "tls.key") {
		t.Errorf("another key that is not there: %v", err)
	}
	if _, err := app.Reload(load(append(rotated, "turn.realm=other", "turn.limits.per_user=1")...), true); err == nil ||
		!strings.Contains(err.Error(), "a restart is needed to change turn.realm") {
		t.Errorf("a key that needs a restart: %v", err)
	}
	if got := served(t, app); got != "new.example.org" {
		t.Errorf("a refused reload changed the certificate to %s", got)
	}
	writeCertificate(t, pemFile, "third.example.org")

	// A static user who is gone loses its allocations.
	_, stop := allocateAs(t, app, "u", "p")
	defer stop()
	if n := app.turn.Allocations(); n <= before {
		t.Fatalf("%d allocations", n)
	}
	with := app.turn.Allocations()
	if _, err := app.Reload(load(rotated[1:]...), true); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); app.turn.Allocations() >= with; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a removed user keeps its allocation")
		}
	}
	got.more(t, 5)
}

// allocateAs has a peer connection gather a relay candidate, and so an allocation, as a static
// user. sdp has the candidates.
func allocateAs(t testing.TB, app *App, user, password string) (sdp string, end func()) {
	t.Helper()
	var engine webrtc.SettingEngine
	engine.SetIncludeLoopbackCandidate(true)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(engine)).NewPeerConnection(webrtc.Configuration{
		ICEServers: []webrtc.ICEServer{{URLs: []string{"turn:" + app.Addrs().TURN[0]}, Username: user,
			Credential: password}},
		ICETransportPolicy: webrtc.ICETransportPolicyRelay,
	})
	if err != nil {
		t.Fatal(err)
	}
	gatherAll(t, pc)
	return pc.LocalDescription().SDP, func() { pc.Close() }
}

func gatherAll(t testing.TB, pc *webrtc.PeerConnection) {
	t.Helper()
	if _, err := pc.CreateDataChannel("x", nil); err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	offer, err := pc.CreateOffer(nil)
	if err == nil {
		err = pc.SetLocalDescription(offer)
	}
	if err != nil {
		t.Fatal(err)
	}
	<-gathered
}

// flow counts messages that come through.
type flow struct {
	mu sync.Mutex
	n  int
}

// stream connects two peers and has the one send to the other until the test ends.
func stream(t testing.TB, a, b *webrtc.PeerConnection) *flow {
	t.Helper()
	echo(t, a, b)
	f := &flow{}
	b.OnDataChannel(func(d *webrtc.DataChannel) {
		if d.Label() == "flow" {
			d.OnMessage(func(webrtc.DataChannelMessage) {
				f.mu.Lock()
				f.n++
				f.mu.Unlock()
			})
		}
	})
	channel, err := a.CreateDataChannel("flow", nil)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	channel.OnOpen(func() {
		go func() {
			defer close(done)
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					if channel.SendText("x") != nil {
						return
					}
				}
			}
		}()
	})
	t.Cleanup(func() {
		close(stop)
		<-done
	})
	f.more(t, 1)
	return f
}

// more waits until n more messages have come.
func (f *flow) more(t testing.TB, n int) {
	t.Helper()
	count := func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.n
	}
	start := count()
	for deadline := time.Now().Add(patience); count() < start+n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the call has stopped")
		}
	}
}

// 11 of the operators' reports: the keys that are changed on a running box are live, and one that
// needs a restart is named and blocks no other, unless the reload is strict.
func TestReloadChangesWhatItCan(t *testing.T) {
	t.Parallel()
	set := []string{"web.listen=127.0.0.1:0", "web.tls_listen=", "turn.listen=127.0.0.1:0",
		"public_host=box.example.org"}
	app := startApp(t, set...)
	load := func(more ...string) config.Config { return loadWith(t, set, more) }
	const origin = "https://app.example.org"
	ask := func(path, origin string) int {
		t.Helper()
		code, _, _ := get(t, insecure(), "http://"+app.Addrs().Web+path, "Origin", origin)
		return code
	}
	next := []string{"web.allowed_origins=" + origin, "turn.urls=turns:{host}:443", "turn.peers=any",
		"turn.static_peers=any", "signal.room_capacity=2", "compat.turn_rest=" + testRESTKey, "log.level=debug",
		"log.format=json"}
	fixed := []string{"turn.realm=elsewhere", "drain.timeout=3s"}
	if _, err := app.Reload(load(append(next, fixed...)...), true); err == nil ||
		!strings.Contains(err.Error(), "a restart is needed to change turn.realm, drain.timeout") {
		t.Errorf("strict: %v", err)
	}
	if code := ask("/api/ice", origin); code != 403 {
		t.Errorf("a strict reload that was refused let an origin in: %d", code)
	}
	if _, err := app.Reload(load(), true); err != nil { // what the harness has set besides
		t.Fatal(err)
	}
	done, err := app.Reload(load(append(next, fixed...)...), false)
	if err != nil || !slices.Equal(done.NeedRestart, []string{"turn.realm", "drain.timeout"}) ||
		len(done.Changed) != len(next) {
		t.Fatalf("%+v, %v", done, err)
	}
	if app.loaded.TURN.Realm != app.cfg.TURN.Realm {
		t.Error("the realm has changed")
	}
	if code := ask("/api/ice", origin); code != 200 {
		t.Errorf("a new origin: %d", code)
	}
	if code := ask("/api/turn?service=turn", ""); code != 401 {
		t.Errorf("/api/turn without its new key: %d", code)
	}
	if urls := iceURLs(app, "box.example.org"); !slices.Equal(urls, []string{"turns:box.example.org:443"}) {
		t.Errorf("new URLs: %v", urls)
	}
	var full []*session
	for range 3 {
		full = append(full, hello(t, "ws://"+app.Addrs().Web+"/signal"))
	}
	for i, s := range full {
		if err := s.conn.WriteJSON(map[string]string{"type": "join", "room": "tea"}); err != nil {
			t.Fatal(err)
		}
		want := "joined"
		if i == 2 {
			want = "error"
		}
		s.expect(want)
	}
	// Named again as long as they wait, and nothing once they are as they were.
	if done, err = app.Reload(load(append(next, fixed...)...), false); err != nil || len(done.Changed) != 0 ||
		len(done.NeedRestart) != 2 {
		t.Errorf("again: %+v, %v", done, err)
	}
	if done, err = app.Reload(load(next...), true); err != nil || len(done.Changed)+len(done.NeedRestart) != 0 {
		t.Errorf("taken back: %+v, %v", done, err)
	}
	if _, err = app.Reload(load(), true); err != nil || ask("/api/ice", origin) != 403 {
		t.Errorf("an origin that was taken away is let in: %v", err)
	}
}

// loadWith is a configuration for development, with keys set on the command line.
func loadWith(t *testing.T, set, more []string) config.Config {
	t.Helper()
	cfg, err := load(config.LoadOptions{Dev: true, Set: slices.Concat(set, more)})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// A reload says what a start would say: that of the new configuration, and each time, since it is
// about what is in force.
func TestIssue16ReloadWarnsOfTheNewConfiguration(t *testing.T) {
	t.Parallel()
	var log testkit.Log
	set := []string{"web.listen=127.0.0.1:0", "web.tls_listen=", "turn.listen=127.0.0.1:0"}
	app := newApp(t, set...)
	app.log = log.Logger()
	const short = "key=turn.secret"
	for i, more := range [][]string{nil, {"turn.secret=fifteen letters"}, {"turn.secret=fifteen letters"}, nil} {
		if _, err := app.Reload(loadWith(t, set, more), false); err != nil {
			t.Fatal(err)
		}
		if n, want := log.Count(short), []int{0, 1, 2, 2}[i]; n != want {
			t.Errorf("after %d reloads %d warnings, want %d:\n%s", i+1, n, want, log.String())
		}
	}
}

// Who narrows turn.peers to "signaled" while calls run keeps them at the addresses that candidates
// have claimed before: the relay has been told of them. With "room" it never is.
func TestIssue16ClaimsCountBeforePeersAreNarrowed(t *testing.T) {
	t.Parallel()
	for peers, want := range map[string]bool{"room": false, "signaled": true, "public": true, "any": true} {
		c, err := load(config.LoadOptions{Set: []string{"turn.peers=" + peers}})
		if err != nil {
			t.Fatal(err)
		}
		if got := hubLive(&c).Claims; got != want {
			t.Errorf("%s: the hub tells of claims: %v", peers, got)
		}
	}
}
