package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox"
	"signalbox/internal/app"
	"signalbox/internal/config"
	"signalbox/internal/state"
	"signalbox/internal/testkit"
)

// patience bounds every wait in these tests. It is never waited for unless something is broken.
const patience = 30 * time.Second

// TestMain fails when a goroutine of this program outlives the tests.
func TestMain(m *testing.M) { testkit.Main(m, 5*time.Second, "signalbox", "net/http.(*persistConn)") }

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// configuration is one for loopback, at ports of the system's choice.
func configuration(t testing.TB, set ...string) config.Config {
	t.Helper()
	cfg, err := signalbox.Load(signalbox.LoadOptions{Dev: true, Set: append([]string{
		"web.listen=127.0.0.1:0", "web.tls_listen=127.0.0.1:0", "turn.listen=127.0.0.1:0", "metrics.listen=",
	}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// box is a real one, which runs until the test ends.
type box struct {
	app *app.App
	dir string
}

func start(t testing.TB, set ...string) *box {
	t.Helper()
	return startWith(t, configuration(t, set...))
}

func startWith(t testing.TB, cfg config.Config) *box {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	kept, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	running, err := app.New(cfg, kept, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := running.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &box{running, dir}
}

func (b *box) http() string  { return "http://" + b.app.Addrs().Web }
func (b *box) https() string { return "https://" + b.app.Addrs().WebTLS }

// ask examines what is at the URL.
func ask(t testing.TB, at string, o Options) Report {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	o.URL = u
	if o.TLS == nil {
		o.TLS = &tls.Config{}
	}
	if o.Timeout == 0 {
		o.Timeout = patience
	}
	d := New(nil)
	d.Client(deadline(t), o)
	return d.Report()
}

// find returns the check whose name begins so.
func find(t testing.TB, r Report, name string) Check {
	t.Helper()
	for _, c := range r.Checks {
		if strings.HasPrefix(c.Name, name) {
			return c
		}
	}
	t.Fatalf("there is no check %q in %s", name, text(r))
	return Check{}
}

// wants fails unless the check has that verdict and says those words, in its detail or in what to
// do.
func wants(t testing.TB, r Report, name string, v Verdict, words ...string) {
	t.Helper()
	c := find(t, r, name)
	for _, w := range words {
		if !strings.Contains(c.Detail+" -> "+c.Fix, w) {
			t.Errorf("%s does not say %q: %s -> %s", c.Name, w, c.Detail, c.Fix)
		}
	}
	if c.Verdict != v {
		t.Errorf("%s is %s, want %s, in\n%s", c.Name, c.Verdict, v, text(r))
	}
	if (v == Warning || v == Failed) && c.Fix == "" {
		t.Errorf("%s says not what to do", c.Name)
	}
}

func text(r Report) string {
	var b strings.Builder
	for _, c := range r.Checks {
		b.WriteString(string(c.Verdict) + "  " + c.Name + ": " + c.Detail + " -> " + c.Fix + "\n")
	}
	return b.String() + r.Verdict
}

// keyPair writes a self-signed certificate for loopback that ends then, and returns the paths of it
// and of its key.
func keyPair(t testing.TB, ends time.Time) (certPath, keyPath string) {
	t.Helper()
	files := testkit.CertFilesIn(t.TempDir())
	cert, key := testkit.Pair(t, "localhost", ends.Add(-testkit.SelfSignedLife), "127.0.0.1")
	testkit.WriteFile(t, files.Cert, cert)
	testkit.WriteFile(t, files.Key, key)
	return files.Cert, files.Key
}

func rootsOf(t testing.TB, path string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("%s has no certificate", path)
	}
	return &tls.Config{RootCAs: pool}
}
