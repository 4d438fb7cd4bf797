package cert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"signalbox/internal/netaddr"
	"signalbox/internal/state"
)

const (
	authorityFile = "local-ca.pem"
	authorityName = "signalbox local CA" // with a number behind it
	authorityLife = 10 * 365 * 24 * time.Hour
	// selfSignedLife is the lifetime of the certificates that it signs: the longest that browsers
	// accept.
	selfSignedLife = 397 * 24 * time.Hour
)

// Authority is a certificate authority. It can only sign for names of this box and of local
// networks, and for any address, so trusting it trusts nothing else.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// permits reports whether verifiers accept what the authority signs for name.
func (ca *Authority) permits(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil || len(ca.cert.PermittedDNSDomains) == 0 {
		return true
	}
	name = strings.ToLower(name)
	return slices.ContainsFunc(ca.cert.PermittedDNSDomains, func(domain string) bool {
		return name == domain || strings.HasSuffix(name, "."+domain)
	})
}

// unfit returns why the authority must be replaced; empty: it is fit. host is the name that it must
// be able to sign for, if any.
func (ca *Authority) unfit(now time.Time, host string) string {
	switch {
	case now.Before(ca.cert.NotBefore):
		return "it is not valid yet: the clock was wrong when it was made"
	case ca.cert.NotAfter.Sub(now) <= 2*selfSignedLife:
		return "it expires soon"
	case host != "" && !ca.permits(host):
		return "it can't sign for " + host
	}
	return ""
}

func readAuthority(dir *state.Dir) (*Authority, error) {
	text, err := dir.Read(authorityFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, fmt.Errorf("state: %s: %w: delete the file; a start then makes a new one, which devices must "+
			"trust anew",
			dir.Path(authorityFile), err)
	}
	return &Authority{pair.Leaf, pair.PrivateKey.(crypto.Signer)}, nil
}

// newAuthority makes one for these names.
func newAuthority(now time.Time, names []string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	domains := netaddr.LocalDomains()
	for _, name := range names {
		if _, err := netip.ParseAddr(name); err != nil {
			domains = append(domains, strings.ToLower(name))
		}
	}
	slices.Sort(domains)
	serial := newSerial()
	template := &x509.Certificate{
		SerialNumber: serial,
		// Lists of trusted authorities show the name: two boxes' differ.
		Subject: pkix.Name{CommonName: fmt.Sprintf("%s %x", authorityName, serial.Bytes()[:4])},
		// A box without a clock battery starts in 1970 until it has asked for the time. That must
		// not cost it the trust of all devices.
		NotBefore: time.Unix(0, 0), NotAfter: now.Add(authorityLife),
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		// A constraint on names does not constrain addresses (RFC 5280, section 4.2.1.10), which
		// change and belong to nobody for long.
		PermittedDNSDomains: slices.Compact(domains), PermittedDNSDomainsCritical: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &Authority{cert, key}, err
}

// sign returns a new server certificate and its key, in PEM.
func (ca *Authority) sign(now time.Time, names []string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(),
		Subject:      pkix.Name{CommonName: "signalbox self-signed"},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.Add(selfSignedLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, net.IP(ip.AsSlice()))
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, err
	}
	return encodePair(der, key), nil
}

func newSerial() *big.Int {
	var b [16]byte
	rand.Read(b[:])       //nolint:errcheck // it never fails
	b[0] = b[0]&0x7F | 64 // positive, and of full length
	return new(big.Int).SetBytes(b[:])
}

func (ca *Authority) pem() []byte { return encodePair(ca.cert.Raw, ca.key) }

// encodePair writes a certificate and its key in PEM.
func encodePair(der []byte, key crypto.Signer) []byte {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err) // it is an ECDSA key of ours
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
}

// createAuthority makes the first one, unless another process is faster.
func createAuthority(dir *state.Dir, now time.Time, names []string) (*Authority, error) {
	ca, err := newAuthority(now, names)
	if err != nil {
		return nil, fmt.Errorf("make a certificate authority: %w", err)
	}
	if err := dir.Create(authorityFile, ca.pem()); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readAuthority(dir)
}

// Fingerprint is the authority's SHA-256, as systems show it before they trust one.
func (ca *Authority) Fingerprint() string {
	sum := sha256.Sum256(ca.cert.Raw)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = strings.ToUpper(hex.EncodeToString([]byte{b}))
	}
	return strings.Join(pairs, ":")
}

// Certificate returns the authority's own certificate. It is public; browsers and phones that open
// it offer to trust it.
func (ca *Authority) Certificate() *x509.Certificate { return ca.cert }

// PEM is the authority's certificate as text, without its key.
func (ca *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// IsSelfSigned reports whether a certificate says that some box's own authority has signed it.
func IsSelfSigned(leaf *x509.Certificate) bool {
	return strings.HasPrefix(leaf.Issuer.CommonName, authorityName+" ")
}

// KeptAuthority returns the certificate of the authority kept in a state directory; nil: there is
// none.
func KeptAuthority(dir *state.Dir) *x509.Certificate {
	ca, err := readAuthority(dir)
	if err != nil {
		return nil
	}
	return ca.cert
}
