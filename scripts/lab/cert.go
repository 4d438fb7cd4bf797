//go:build linux

package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// ServerName is a name for the server that its certificate is made for, too. It
// leads there where [Namespace.Resolve] says so.
const ServerName = "signalbox.test"

// CertificateConfig returns the section of a configuration that names
// a [Certificate]. The box takes it for one that clients can verify, as the
// browsers of a lab, which verify none, do; only then it offers TURN over TLS.
func CertificateConfig(t testing.TB) string {
	t.Helper()
	cert, key := Certificate(t)
	return fmt.Sprintf("[tls]\nmode = \"files\"\ncert = %q\nkey = %q\n", cert, key)
}

// Certificate makes a certificate for the server's addresses, in any lab, and
// for [ServerName]. It returns the paths of the certificate and of its key.
func Certificate(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{ServerName},
		IPAddresses: []net.IP{
			net.ParseIP(AddrServer), net.ParseIP(AddrServer2), net.ParseIP(globalNet + "10"),
			net.ParseIP(globalNet + "11"),
		},
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", certDER), write("key.pem", "PRIVATE KEY", keyDER)
}
