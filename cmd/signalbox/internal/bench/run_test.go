package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v4"

	"signalbox"
	"signalbox/internal/app"
	"signalbox/internal/state"
	"signalbox/internal/testkit"
	"signalbox/internal/turnclient"
)

// patience bounds every wait in these tests. It is never waited for unless something is broken.
const patience = 30 * time.Second

// TestMain fails when a goroutine of this program outlives the tests.
func TestMain(m *testing.M) { testkit.Main(m, 5*time.Second, "signalbox") }

// startBox runs a box on loopback and returns its addresses.
func startBox(t *testing.T, dev bool, set ...string) app.Addrs {
	t.Helper()
	cfg, err := signalbox.Load(signalbox.LoadOptions{Dev: dev, Set: append([]string{
		"web.listen=127.0.0.1:0", "web.tls_listen=127.0.0.1:0", "turn.listen=127.0.0.1:0", "metrics.listen=",
		`turn.users=[{name="u", password="p"}]`,
	}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	box, err := app.New(cfg, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- box.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return box.Addrs()
}

// options are those of a short run against an address.
func options(transport, addr string) Options {
	return Options{
		Server: turnclient.Address{Relays: true, Transport: transport, Host: "127.0.0.1",
			Addr: netip.MustParseAddrPort(addr)},
		TLS:        &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the box's certificate is its own
		Credential: func(int) (string, string, error) { return "u", "p", nil },
		Clients:    4, Direction: Both, Size: 1200, Burst: 9, Rate: 1000,
		WarmUp: 150 * time.Millisecond, Duration: 400 * time.Millisecond,
	}
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestAgainstTheBox(t *testing.T) {
	t.Parallel()
	at := startBox(t, true)
	for name, change := range map[string]func(*Options){
		"bursts":          func(*Options) {},
		"singles":         func(o *Options) { o.Size, o.Burst, o.NoSegments, o.Direction = 161, 1, true, Down },
		"a peer each":     func(o *Options) { o.Peers = 4 },
		"relay to relay":  func(o *Options) { o.Size, o.ToRelay = 161, true },
		"indications":     func(o *Options) { o.Send, o.Size, o.NoSegments = true, 161, true },
		"tcp":             func(o *Options) { o.Server, o.Size = options("tcp", at.TURN[0]).Server, 161 },
		"tcp indications": func(o *Options) { o.Server, o.Send = options("tcp", at.TURN[0]).Server, true },
		"tls, relay to relay": func(o *Options) {
			o.Server, o.ToRelay = options("tls", at.WebTLS).Server, true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options("udp", at.TURN[0])
			if change(&o); runtime.GOOS == "linux" {
				o.PID = os.Getpid()
			}
			var phases []string
			o.Progress = func(p Progress) {
				if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
					phases = append(phases, p.Phase)
				}
			}
			r, err := Run(deadline(t), o)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(phases, " "); got != "set-up warm-up measuring closing" {
				t.Errorf("phases are %s", got)
			}
			plausible(t, r, &o)
		})
	}
}

// As fast as possible is faster than any box: of its own, so that it starves no other test.
func TestFullSpeed(t *testing.T) {
	t.Parallel()
	o := options("udp", startBox(t, true).TURN[0])
	o.Rate, o.Direction, o.Duration = 0, Up, time.Second
	r, err := Run(deadline(t), o)
	if err != nil {
		t.Fatal(err)
	}
	plausible(t, r, &o)
}

// plausible checks figures that a busy machine may make bad, but not wrong.
func plausible(t *testing.T, r *Report, o *Options) {
	t.Helper()
	if len(r.Ways) != len(o.directions()) {
		t.Fatalf("%d directions", len(r.Ways))
	}
	for i, w := range r.Ways {
		if w.Direction != o.directions()[i] || w.Received == 0 || w.Received > w.Sent || w.Lost != w.Sent-w.Received {
			t.Errorf("%+v", w)
		}
		if o.Rate > 0 && w.Sent > int64(float64(o.Rate)*(o.Duration+slack).Seconds())+int64(o.Burst) {
			t.Errorf("%d packets were sent, at a rate of %d", w.Sent, o.Rate)
		}
		if w.P50 <= 0 || w.P50 > w.P99 || w.P99 > w.P999 || w.P999 > w.Max {
			t.Errorf("latencies are %v, %v, %v, %v", w.P50, w.P99, w.P999, w.Max)
		}
	}
	if r.Control.Received == 0 || r.Control.P50 <= 0 {
		t.Errorf("past the server: %+v", r.Control)
	}
	if r.Strange != 0 || r.SetUp.PerSecond <= 0 || len(r.Samples) == 0 {
		t.Errorf("%d strange datagrams, set-up %+v, %d samples", r.Strange, r.SetUp, len(r.Samples))
	}
}

// A report can be read, as a table and as a page.
func TestReportIsComplete(t *testing.T) {
	t.Parallel()
	o := options("udp", startBox(t, true).TURN[0])
	r, err := Run(deadline(t), o)
	if err != nil {
		t.Fatal(err)
	}
	r.Process = &Process{PID: 1, Name: "<turnserver>", User: 1, System: 2, Cores: 0.5, Resident: 1 << 20}
	var text, page bytes.Buffer
	if err := errors.Join(r.Text(&text), r.Page(&page)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"bursts of 9 x 1200 bytes", "latency p50", "\n       up ", "\n     down ",
		"\n  past it ", "3.00 us of CPU for each packet received, 1.00 user and 2.00 system"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &text)
		}
	}
	for _, want := range []string{"&lt;turnserver&gt;", "prefers-color-scheme: dark", "width=device-width",
		"Latency over time", "Cores that the server takes"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(page.String(), "<svg"); n != 4 {
		t.Errorf("the page has %d plots, want 4", n)
	}
	for _, never := range []string{"http:", "https:", "src=", "url(", "NaN", "Inf", "ZgotmplZ"} {
		if strings.Contains(page.String(), never) {
			t.Errorf("the page has %q", never)
		}
	}
	if bad := regexp.MustCompile(`<svg[^>]*>[^\0]*?</svg>`).FindAllString(page.String(), -1); len(bad) != 4 {
		t.Errorf("%d plots end", len(bad))
	}
}

// Each refusal says what to do.
func TestRefusalsSayWhatToDo(t *testing.T) {
	t.Parallel()
	// No peer has a port of its relays, to which a permission would be granted.
	box := startBox(t, false, "turn.relay_ports=61000-65535")
	small := startBox(t, false, "turn.limits.per_user=3")
	nobody, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	for name, tc := range map[string]struct {
		change func(*Options)
		want   []string
	}{
		"password": {func(o *Options) {
			o.Credential = func(int) (string, string, error) { return "u", "q", nil }
		}, []string{"401", "--password", "--secret"}},
		"its own address": {func(*Options) {},
			[]string{"403", "--dev", "allow-loopback-peers", "--to relay"}},
		"peer": {func(o *Options) { o.PeerIP = netip.MustParseAddr("192.0.2.1") },
			[]string{"403", "turn.allow_peers", "allowed-peer-ip", "--to relay"}},
		"quota": {func(o *Options) { o.Server, o.Clients = options("udp", small.TURN[0]).Server, 4 },
			[]string{"486", "turn.limits.per_user", "user-quota"}},
		"nobody": {func(o *Options) { o.Server.Addr = netip.MustParseAddrPort(nobody.LocalAddr().String()) },
			[]string{"nothing listens", "--server"}},
		"certificate": {func(o *Options) { o.Server, o.TLS = options("tls", box.WebTLS).Server, &tls.Config{} },
			[]string{"--ca", "--insecure"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options("udp", box.TURN[0])
			o.Clients = 1
			tc.change(&o)
			_, err := Run(deadline(t), o)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nlacks %q", err, want)
				}
			}
		})
	}
}

// otherServer is one that is not ours. It announces that it relays at the given address.
func otherServer(t *testing.T, relay string) string {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other, err := turn.NewServer(turn.ServerConfig{
		Realm:         "other",
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard},
		AuthHandler: func(user, realm string, _ net.Addr) ([]byte, bool) {
			return turn.GenerateAuthKey(user, realm, "p"), true
		},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: conn,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{RelayAddress: net.ParseIP(relay),
				Address: "127.0.0.1"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	return conn.LocalAddr().String()
}

func TestAgainstAnotherServer(t *testing.T) {
	t.Parallel()
	for name, relay := range map[string]bool{"peer": false, "relay": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options("udp", otherServer(t, "127.0.0.1"))
			o.ToRelay = relay
			r, err := Run(deadline(t), o)
			if err != nil {
				t.Fatal(err)
			}
			plausible(t, r, &o)
		})
	}
}

// A server whose relays can't be reached lets nothing arrive.
func TestSilenceIsExplained(t *testing.T) {
	t.Parallel()
	o := options("udp", otherServer(t, "127.0.0.77"))
	o.Direction = Down
	if _, err := Run(deadline(t), o); err == nil || !strings.Contains(err.Error(), "nothing arrives (down)") ||
		!strings.Contains(err.Error(), "127.0.0.77") {
		t.Errorf("%v", err)
	}
}

// A run that is interrupted ends at once, and closes its allocations.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	o := options("udp", startBox(t, true).TURN[0])
	o.Duration = MaxDuration
	ctx, cancel := context.WithCancel(deadline(t))
	o.Progress = func(p Progress) {
		if p.Phase == "measuring" {
			cancel()
		}
	}
	began := time.Now()
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it took %v", took)
	}
}

func TestOptionsAreBounded(t *testing.T) {
	t.Parallel()
	for flag, change := range map[string]func(*Options){
		"clients":   func(o *Options) { o.Clients = MaxClients + 1 },
		"direction": func(o *Options) { o.Direction = "in" },
		"size":      func(o *Options) { o.Size = 15 }, "burst": func(o *Options) { o.Burst = 0 },
		"peers": func(o *Options) { o.Peers = o.Clients + 1 },
		"rate":  func(o *Options) { o.Rate = -1 }, "duration": func(o *Options) { o.Duration = time.Hour },
		"warm-up": func(o *Options) { o.WarmUp = 0 }, "pairs": func(o *Options) { o.Clients, o.ToRelay = 3, true },
	} {
		o := options("udp", "127.0.0.1:1")
		change(&o)
		if _, err := Run(deadline(t), o); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}
