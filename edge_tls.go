package signalbox

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"
)

// certificate is what the TLS port serves. The zero certificate is none: TLS is off.
type certificate struct {
	pair *tls.Certificate
	// names are those that clients can verify: of a certificate that somebody else signed. Browsers refuse turns: with any other,
	// without a word.
	names []string
	// fresh is a self-signed certificate that was made just now, in PEM, to be kept once the sockets are bound.
	fresh []byte
}

// loadCertificate reads or makes the certificate. names are what a self-signed one is made out to.
func loadCertificate(c *Config, state *State, now time.Time, names []string) (certificate, error) {
	var pair tls.Certificate
	var err error
	var out certificate
	switch c.TLS.Mode {
	case "off":
		return certificate{}, nil
	case "files":
		pair, err = tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
		if errors.Is(err, fs.ErrPermission) {
			return out, fmt.Errorf("tls.cert, tls.key: %w: let this program's user read them (chgrp signalbox FILE; chmod g+r FILE)", err)
		}
		if err != nil {
			return out, fmt.Errorf("tls.cert, tls.key: %w: want PEM files, the certificate with its chain and its private key", err)
		}
		if now.After(pair.Leaf.NotAfter) {
			return out, fmt.Errorf("tls.cert: %s expired on %s: renew it", c.TLS.Cert, pair.Leaf.NotAfter.Format(time.DateOnly))
		}
		out.names = pair.Leaf.DNSNames
		for _, ip := range pair.Leaf.IPAddresses {
			out.names = append(out.names, ip.String())
		}
	default:
		if pair, out.fresh, err = selfSigned(state, now, names); err != nil {
			return out, err
		}
	}
	out.pair = &pair
	return out, nil
}

// covers reports whether clients can verify the certificate for host, a name or an address.
func (c certificate) covers(host string) bool {
	return len(c.names) > 0 && c.pair.Leaf.VerifyHostname(host) == nil
}

// tlsConfig serves the certificate in force, also after a reload. It is nil if TLS is off.
func (a *App) tlsConfig() *tls.Config {
	if a.live.Load().cert.pair == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.live.Load().cert.pair, nil },
		// In order of preference: whoever speaks TURN at all wants TURN (coturn's clients offer http/1.1, too).
		NextProtos: append(slices.Clone(turnProtocols), "h2", "http/1.1"),
	}
}

const (
	selfSignedFile  = "self-signed.pem"
	selfSignedLife  = 397 * 24 * time.Hour // what browsers take at most
	selfSignedRenew = 30 * 24 * time.Hour
)

// selfSigned returns the certificate kept in state, or makes one if there is none, if it ends soon, or if it lacks one of the names; then
// fresh is to be kept. An instance that does not come up must not replace the certificate of one that runs.
func selfSigned(state *State, now time.Time, names []string) (pair tls.Certificate, fresh []byte, err error) {
	text, err := state.read(selfSignedFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return pair, nil, err
	}
	if err == nil {
		pair, err := tls.X509KeyPair(text, text)
		if err == nil && pair.Leaf.NotAfter.After(now.Add(selfSignedRenew)) &&
			!slices.ContainsFunc(names, func(n string) bool { return pair.Leaf.VerifyHostname(n) != nil }) {
			return pair, nil, nil
		}
	}
	if fresh, err = newSelfSigned(now, names); err != nil {
		return pair, nil, fmt.Errorf("make a self-signed certificate: %w", err)
	}
	pair, err = tls.X509KeyPair(fresh, fresh)
	return pair, fresh, err
}

// newSelfSigned returns a certificate and its key in PEM.
func newSelfSigned(now time.Time, names []string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
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
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := pem.Encode(&out, block); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
