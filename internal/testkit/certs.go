package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// SelfSignedLife is how long what SelfSigned makes lives.
const SelfSignedLife = 397 * 24 * time.Hour

// SelfSigned returns a certificate for names and addresses that signs itself, and its key, in PEM.
// Its life begins then.
func SelfSigned(then time.Time, names []string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: then.Add(-time.Hour), NotAfter: then.Add(SelfSignedLife),
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...), nil
}

// Certificate is SelfSigned, for a server whose name nobody asks for.
func Certificate(t testing.TB) *tls.Certificate {
	t.Helper()
	text, err := SelfSigned(time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

// Pair is SelfSigned for one name, or more, the certificate and its key apart.
func Pair(t testing.TB, name string, then time.Time, more ...string) (cert, key []byte) {
	t.Helper()
	text, err := SelfSigned(then, append([]string{name}, more...))
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	return pem.EncodeToMemory(block), rest
}

// CertFiles are the paths of a certificate and its key.
type CertFiles struct{ Cert, Key string }

// CertFilesIn names the files. It makes none.
func CertFilesIn(dir string) CertFiles {
	return CertFiles{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
}

// Make writes a new pair for a name.
func (f CertFiles) Make(t testing.TB, name string) {
	t.Helper()
	cert, key := Pair(t, name, time.Now())
	WriteFile(t, f.Cert, cert)
	WriteFile(t, f.Key, key)
}

// WriteFile writes a file that nobody else reads.
func WriteFile(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// ServedTo returns the certificate that a TLS port serves to a client which asks for that name;
// empty: for none.
func ServedTo(t testing.TB, addr, name string) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// Verifies reports whether a client that trusts root takes the certificate for that name.
func Verifies(leaf, root *x509.Certificate, name string) error {
	roots := x509.NewCertPool()
	roots.AddCert(root)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
	return err
}
