package signalbox

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// newSelfSigned returns a certificate and its key, in PEM.
func newSelfSigned(now time.Time, names []string) ([]byte, error) {
	ca, err := newLocalCA(now, names)
	if err != nil {
		return nil, err
	}
	return ca.sign(now, names)
}

// servedTo returns the certificate that the TLS port serves to a client which asks for that name;
// empty: for none.
func servedTo(t testing.TB, app *App, name string) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", app.Addrs().WebTLS, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// verifies tells whether a client that trusts root takes the certificate for that name.
func verifies(leaf, root *x509.Certificate, name string, chain ...*x509.Certificate) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root)
	for _, c := range chain {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: name})
	return err
}

// logged is a log to look into.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// count is how many lines have that word.
func (l *logged) count(word string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, word) {
			n++
		}
	}
	return n
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
		if got := (&certificate{pair: &tls.Certificate{Leaf: leaf}}).endsSoon(now); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
