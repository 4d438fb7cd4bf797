package cert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/internal/state"
	"signalbox/internal/testkit"
)

// patience bounds every wait for something that must come. It is never waited for unless something
// is broken.
const patience = time.Minute

// TestMain fails the run if a goroutine of this package outlives its test.
func TestMain(m *testing.M) { testkit.Main(m, patience, "signalbox") }

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	testkit.Eventually(t, patience, what, done)
}

func newState(t testing.TB) *state.Dir {
	t.Helper()
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// box serves what a Keeper has on two ports of loopback, as the appliance does.
type box struct {
	*Keeper
	web    net.Listener // answers challenges
	webTLS net.Listener // echoes
}

// openBox opens a Keeper and listens. The addresses, if any, are those of web and webTLS.
func openBox(t testing.TB, o Options, at ...string) *box {
	t.Helper()
	listen := func(i int) net.Listener {
		addr := "127.0.0.1:0"
		if i < len(at) {
			addr = at[i]
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	b := &box{web: listen(0), webTLS: listen(1)}
	o.ACME.HTTP, o.ACME.TLS = b.web.Addr().(*net.TCPAddr).AddrPort(), b.webTLS.Addr().(*net.TCPAddr).AddrPort()
	if o.Names == nil {
		o.Names = func() []string { return []string{"localhost"} }
	}
	if o.State == nil {
		o.State = newState(t)
	}
	var err error
	if b.Keeper, err = Open(o); err != nil {
		t.Fatal(err)
	}
	b.UseSocket(o.ACME.TLS)
	b.Bound()
	return b
}

// run serves, until the test ends or stop is called.
func (b *box) run(t testing.TB) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { b.Keep(ctx) })
	srv := &http.Server{Handler: b.Challenges(http.NotFoundHandler()), ReadHeaderTimeout: patience}
	wg.Go(func() { srv.Serve(b.web) }) //nolint:errcheck // it is closed
	wg.Go(func() {
		conf := b.TLSConfig("h2", "http/1.1")
		for {
			conn, err := b.webTLS.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				secure := tls.Server(conn, conf)
				io.Copy(secure, secure) //nolint:errcheck // the client is gone
			})
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		srv.Close()
		b.webTLS.Close()
		wg.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// servedTo returns the certificate that a client gets which asks for that name.
func (b *box) servedTo(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	return testkit.ServedTo(t, b.webTLS.Addr().String(), name)
}

// served is the name in the certificate that a client gets.
func (b *box) served(t testing.TB) string {
	t.Helper()
	return b.servedTo(t, "").DNSNames[0]
}

func TestCertificateThatEndsSoon(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := time.Now()
	for name, tc := range map[string]struct {
		life, left time.Duration
		want       bool
	}{
		"fresh":               {90 * day, 60 * day, false},
		"two weeks":           {90 * day, 13 * day, true},
		"over":                {90 * day, -day, true},
		"six days, renewable": {6 * day, 2 * day, false},
		"six days, late":      {6 * day, day, true},
	} {
		leaf := &x509.Certificate{NotBefore: now.Add(tc.left - tc.life), NotAfter: now.Add(tc.left)}
		if got := (&Certificate{Pair: &tls.Certificate{Leaf: leaf}}).EndsSoon(now); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// A certificate is of no use for turns: from the moment on at which it expires.
func TestOnlyACertificateInItsTimeIsUsable(t *testing.T) {
	t.Parallel()
	now := time.Now()
	text, err := testkit.SelfSigned(now, []string{"call.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	both, err := tls.X509KeyPair(text, text)
	if err != nil {
		t.Fatal(err)
	}
	c := &Certificate{Pair: &both, Signed: true}
	for at, want := range map[time.Time]bool{
		both.Leaf.NotBefore.Add(-time.Second): false, both.Leaf.NotBefore: true, now: true,
		both.Leaf.NotAfter: true, both.Leaf.NotAfter.Add(time.Second): false,
	} {
		if got := c.Usable(at); got != want {
			t.Errorf("at %s: %t", at, got)
		}
	}
	if (&Certificate{Pair: &both}).Usable(now) {
		t.Error("one that nobody trusted has signed is usable")
	}
}

func TestNamesOfACertificate(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"Call.example.org.": "call.example.org", "2001:DB8::7": "2001:db8::7", "::ffff:192.0.2.1": "192.0.2.1",
		"a..b": "", ".a": "", "": "",
		strings.Repeat("a", 64) + ".org": "", "my_box": "my_box",
	} {
		if got := Name(host); got != want {
			t.Errorf("%q is %q in a certificate, want %q", host, got, want)
		}
	}
}

// A box without TLS has a nil Keeper, which every caller may ask.
func TestWithoutTLSThereIsNothingToKeep(t *testing.T) {
	t.Parallel()
	k, err := Open(Options{Mode: Off})
	if k != nil || err != nil {
		t.Fatalf("%v, %v", k, err)
	}
	k.UseSocket(netip.AddrPort{})
	k.Keep(t.Context())
	commit, err := k.Prepare([2]string{"cert.pem", "key.pem"})
	if err != nil {
		t.Fatal(err)
	}
	k.Bound()
	commit()
	if k.TLSConfig("h2") != nil || k.Covers("localhost") || k.Usable() || k.Authority() != nil || k.Status() != nil {
		t.Error("it has a certificate")
	}
}
