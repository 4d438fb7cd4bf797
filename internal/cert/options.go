// Package cert keeps the one certificate that https, wss, TURN over TLS and TURN over DTLS serve.
// It comes from the box's own small authority, from files, or from an ACME directory. New
// handshakes get the certificate in force; connections that began with an older one go on.
package cert

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"os"

	"signalbox/internal/fault"
	"signalbox/internal/state"
)

// The modes: where the certificate comes from.
const (
	Off        = "off" // there is none
	SelfSigned = "self-signed"
	Files      = "files"
	ACME       = "acme"
)

// Options say where the certificate comes from.
type Options struct {
	Mode string
	// Paths are of the certificate and its key, for mode Files.
	Paths [2]string
	ACME  ACMEOptions
	// Host is the name by which others know the box, in the form that Name returns; empty: it has
	// none.
	Host string
	// Names returns the names and addresses of the box for a self-signed certificate.
	Names func() []string
	State *state.Dir
	Log   *slog.Logger
}

// ACMEOptions say which directory to ask for a certificate, and how.
type ACMEOptions struct {
	Email     string
	Directory string // URL
	CAFile    string // PEM file of the authority that signed the directory's own certificate; empty: the system's
	// HTTP and TLS are the addresses of the plain and of the TLS port; the zero AddrPort is off.
	HTTP, TLS netip.AddrPort
}

// Roots returns the authorities that verify the directory's own certificate; nil: the system's.
func (o *ACMEOptions) Roots() (*x509.CertPool, error) {
	if o.CAFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, fault.New("tls.acme_ca_file", "%w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fault.New("tls.acme_ca_file", "%s holds no certificate: want PEM", o.CAFile)
	}
	return roots, nil
}

// Challenges returns the challenges to use. Public authorities connect to port 80 for HTTP-01 and
// to 443 for TLS-ALPN-01, so a listener on one of these ports decides it. Without one, a router
// must forward a port, or the directory must be a private one with its own ports. Then Challenges
// returns all challenges for which the box has a listener, with an error that says so.
func (o *ACMEOptions) Challenges() (viaHTTP, viaALPN bool, unlikely error) {
	viaHTTP, viaALPN = o.HTTP.Port() == 80, o.TLS.Port() == 443
	if viaHTTP || viaALPN {
		return viaHTTP, viaALPN, nil
	}
	return o.HTTP.IsValid(), o.TLS.IsValid(), fault.New("tls.mode",
		`"acme": web.listen is %s and web.tls_listen is %s, but public directories come to port 80 or `+
			`443: listen there, or forward one of them here`, portOr(o.HTTP), portOr(o.TLS))
}

func portOr(at netip.AddrPort) string {
	if !at.IsValid() {
		return "off"
	}
	return fmt.Sprintf("on port %d", at.Port())
}
