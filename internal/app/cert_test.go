package app

import (
	"crypto/x509"
	"testing"
	"time"

	"signalbox/internal/testkit"
)

// newSelfSigned returns a certificate and its key, in PEM.
func newSelfSigned(now time.Time, names []string) ([]byte, error) {
	return testkit.SelfSigned(now, names)
}

// servedTo returns the certificate that the TLS port serves to a client which asks for that name;
// empty: for none.
func servedTo(t testing.TB, app *App, name string) *x509.Certificate {
	t.Helper()
	return testkit.ServedTo(t, app.Addrs().WebTLS, name)
}

// verifies reports whether a client that trusts root takes the certificate for that name.
func verifies(leaf, root *x509.Certificate, name string) error {
	return testkit.Verifies(leaf, root, name)
}
