package signalbox

import (
	"context"
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
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Mode "self-signed": a small certificate authority of this box's own, which devices on a LAN can
// be told to trust, signs a certificate for every name and address of the box. Both are kept in the
// state directory, so that trust once given holds.
//
// turns: stays out of ICE servers in this mode. A browser that does not trust the authority fails
// on it without a word, and nothing tells us which do.

const (
	localCAFile = "local-ca.pem"
	localCALife = 10 * 365 * 24 * time.Hour

	selfSignedFile  = "self-signed.pem"
	selfSignedLife  = 397 * 24 * time.Hour // what browsers take at most
	selfSignedRenew = 30 * 24 * time.Hour
)

// localCA is a certificate authority. It can only sign for names of this box and of local networks,
// and for any address: who trusts it trusts it with nothing else.
type localCA struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// localDomains are what names in local networks end with: multicast DNS (RFC 6762), routers, RFC
// 8375, and what ICANN has set aside.
var localDomains = []string{"localhost", "local", "lan", "home.arpa", "internal"}

// permits reports whether verifiers accept what the authority signs for name.
func (ca *localCA) permits(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil || len(ca.cert.PermittedDNSDomains) == 0 {
		return true
	}
	name = strings.ToLower(name)
	return slices.ContainsFunc(ca.cert.PermittedDNSDomains, func(domain string) bool {
		return name == domain || strings.HasSuffix(name, "."+domain)
	})
}

// unfit says why the authority can't go on; empty: it can. host is the name that it must be able to
// sign for, if any.
func (ca *localCA) unfit(now time.Time, host string) string {
	switch {
	case now.Before(ca.cert.NotBefore):
		return "it is not valid yet: the clock was wrong when it was made"
	case ca.cert.NotAfter.Sub(now) <= 2*selfSignedLife:
		return "its time is nearly over"
	case host != "" && !ca.permits(host):
		return "it can't sign for " + host
	}
	return ""
}

func readLocalCA(state *State) (*localCA, error) {
	text, err := state.read(localCAFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, fmt.Errorf("state: %s: %w: delete the file and a new one is made, which devices have to be told "+
			"to trust again",
			filepath.Join(state.dir, localCAFile), err)
	}
	return &localCA{pair.Leaf, pair.PrivateKey.(crypto.Signer)}, nil
}

// newLocalCA makes one for these names.
func newLocalCA(now time.Time, names []string) (*localCA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	domains := slices.Clone(localDomains)
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
		Subject: pkix.Name{CommonName: fmt.Sprintf("signalbox local CA %x", serial.Bytes()[:4])},
		// A box without a battery starts in 1970 until it has asked for the time: that must not
		// cost the trust of all devices.
		NotBefore: time.Unix(0, 0), NotAfter: now.Add(localCALife),
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		// A constraint on names is none on addresses (RFC 5280, section 4.2.1.10), which change and
		// belong to nobody for long.
		PermittedDNSDomains: slices.Compact(domains), PermittedDNSDomainsCritical: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &localCA{cert, key}, err
}

// sign returns a new server certificate and its key, in PEM.
func (ca *localCA) sign(now time.Time, names []string) ([]byte, error) {
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

func (ca *localCA) pem() []byte { return encodePair(ca.cert.Raw, ca.key) }

// encodePair writes a certificate and its key in PEM.
func encodePair(der []byte, key crypto.Signer) []byte {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err) // it is an ECDSA key of ours
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
}

// selfSigned is the source of mode "self-signed", and what mode "acme" serves at first.
type selfSigned struct {
	current
	authority atomic.Pointer[localCA]
	state     *State
	host      string          // the name by which the box is known to others, if it has one
	wants     func() []string // the names and addresses of the box
	log       *slog.Logger

	unsaved map[string][]byte // files of state that are in force and not stored yet
}

func (s *selfSigned) ca() *localCA { return s.authority.Load() }

// openSelfSigned takes the authority and the certificate kept in state, or makes those that will
// not do. It stores nothing but the very first authority: two processes that start at once have the
// same one.
func openSelfSigned(state *State, now time.Time, host string, wants func() []string, log *slog.Logger) (*selfSigned,
	error) {
	s := &selfSigned{state: state, host: host, wants: wants, log: log, unsaved: map[string][]byte{}}
	ca, err := readLocalCA(state)
	if errors.Is(err, fs.ErrNotExist) {
		ca, err = createLocalCA(state, now, wants())
	}
	if err != nil {
		return nil, err
	}
	s.authority.Store(ca)
	text, err := state.read(selfSignedFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		if pair, err := tls.X509KeyPair(text, text); err == nil {
			s.cert.Store(&certificate{pair: &pair})
		}
	}
	return s, s.renew(now)
}

// createLocalCA makes the first one, unless another process is faster.
func createLocalCA(state *State, now time.Time, names []string) (*localCA, error) {
	ca, err := newLocalCA(now, names)
	if err != nil {
		return nil, fmt.Errorf("make a certificate authority: %w", err)
	}
	if err := state.create(localCAFile, ca.pem()); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readLocalCA(state)
}

// names are those of the box that its authority can sign for. This machine's own name may change by
// itself, in a container with every start: that is no reason for another authority, which all
// devices would have to be told of.
func (s *selfSigned) names() []string {
	return slices.DeleteFunc(slices.Clone(s.wants()), func(name string) bool { return !s.ca().permits(name) })
}

// willDo reports whether a certificate is the authority's, is in its time and not about to end, and
// has every name that the box wants.
func (s *selfSigned) willDo(c *certificate, now time.Time) bool {
	if c == nil || !c.lives(now) || !c.lives(now.Add(selfSignedRenew)) ||
		c.pair.Leaf.CheckSignatureFrom(s.ca().cert) != nil {
		return false
	}
	has := c.names()
	return !slices.ContainsFunc(s.names(), func(name string) bool { return !slices.Contains(has, name) })
}

// renew replaces what will not do any more: the certificate, and the authority if it must.
func (s *selfSigned) renew(now time.Time) error {
	if why := s.ca().unfit(now, s.host); why != "" {
		ca, err := newLocalCA(now, s.wants())
		if err != nil {
			return fmt.Errorf("make a certificate authority: %w", err)
		}
		s.log.Warn("the certificate authority is replaced: devices have to be told to trust the new one", "reason", why,
			"notAfter", s.ca().cert.NotAfter)
		s.authority.Store(ca)
		s.unsaved[localCAFile] = ca.pem()
	}
	if s.willDo(s.inForce(), now) {
		return nil
	}
	text, err := s.ca().sign(now, s.names())
	if err != nil {
		return fmt.Errorf("make a self-signed certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return fmt.Errorf("make a self-signed certificate: %w", err)
	}
	s.unsaved[selfSignedFile] = text
	if out := slices.DeleteFunc(slices.Clone(s.wants()), s.ca().permits); len(out) > 0 {
		s.log.Info("names are left out of the certificate, since its authority can't sign for them: delete its file "+
			"and restart for another authority",
			"names", out, "file", filepath.Join(s.state.dir, localCAFile))
	}
	if s.cert.Swap(&certificate{pair: &pair}) != nil {
		logNew(s.log, s.inForce())
	}
	return nil
}

// save stores what is not stored yet.
func (s *selfSigned) save() error {
	for _, name := range []string{localCAFile, selfSignedFile} {
		if text, ok := s.unsaved[name]; ok {
			if err := s.state.write(name, text); err != nil {
				return err
			}
			delete(s.unsaved, name)
		}
	}
	return nil
}

// bound looks once more: Listen may have found out addresses of which the welcome and the QR code
// tell.
func (s *selfSigned) bound() error {
	if err := s.renew(time.Now()); err != nil {
		return err
	}
	return s.save()
}

// keep looks as often as addresses are looked at, since the certificate names them.
func (s *selfSigned) keep(ctx context.Context) { every(ctx, addressInterval, s.look) }

// look renews what will not do any more.
func (s *selfSigned) look(now time.Time) {
	err := s.renew(now)
	if err == nil {
		err = s.save()
	}
	if s.report(err) {
		s.log.Warn("renew the self-signed certificate", "err", err)
	}
}

func (*selfSigned) reload(*Config) (func(), error) { return func() {}, nil }

// fingerprint is the authority's SHA-256, as systems show it before they trust one.
func (ca *localCA) fingerprint() string {
	sum := sha256.Sum256(ca.cert.Raw)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = strings.ToUpper(hex.EncodeToString([]byte{b}))
	}
	return strings.Join(pairs, ":")
}

// serveDER and servePEM hand out the authority's certificate. It is public; browsers and phones
// that open it offer to trust it.
func (s *selfSigned) serveDER(w http.ResponseWriter, _ *http.Request) {
	serveCertificate(w, "application/x-x509-ca-cert", s.ca().cert.Raw)
}

func (s *selfSigned) servePEM(w http.ResponseWriter, _ *http.Request) {
	serveCertificate(w, "application/x-pem-file",
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.ca().cert.Raw}))
}

func serveCertificate(w http.ResponseWriter, contentType string, data []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(data) //nolint:errcheck // the client is gone
}

// serveTrust says what a page needs that helps to trust the authority.
func (a *App) serveTrust(own *selfSigned) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		ca := own.ca()
		writeJSON(w, http.StatusOK, struct {
			Name        string   `json:"name"` // under which devices list it
			Fingerprint string   `json:"fingerprint"`
			NotAfter    int64    `json:"notAfter"`
			URLs        []string `json:"urls"` // of this box, for other devices; http first, which needs no trust yet
		}{ca.cert.Subject.CommonName, ca.fingerprint(), ca.cert.NotAfter.UnixMilli(), a.sharedURLs()})
	}
}
