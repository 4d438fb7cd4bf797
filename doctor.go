package signalbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// What `signalbox doctor` asks of a configuration and a state directory, whether a box runs with
// them or not. Nothing here changes anything.

// HostRelay is where a box would relay in one address family.
type HostRelay struct {
	Bind, Public netip.Addr // what relay sockets are bound to, and what clients are told
	Why          string     // Public was chosen
	Note         string     // says where Public can't be reached from; empty: it is an address of the internet
}

// HostRelays says where the box would relay on this machine. It looks up names and asks stun.probe,
// like a start does.
func HostRelays(ctx context.Context, c Config) ([]HostRelay, error) {
	where, err := relayAddresses(&c, nil, nil)
	if err != nil {
		return nil, err
	}
	names, lookupErr := c.resolve(ctx, outside{lookupHost, probeSTUN}, where, nil)
	if where, err = relayAddresses(&c, names, nil); err != nil {
		return nil, errors.Join(err, lookupErr)
	}
	out := make([]HostRelay, len(where))
	for i, r := range where {
		out[i] = HostRelay{Bind: r.bind.ip, Public: r.public.ip, Why: r.public.why, Note: scopeNote(r.public.ip)}
	}
	return out, nil
}

// RelayPorts is the range of turn.relay_ports.
func RelayPorts(c Config) (first, last uint16, err error) { return c.relayPorts() }

// KeptCertificate reads the certificate that a box with tls.mode "files" or "self-signed" would
// serve now. It is nil if there is none yet, or none of that kind.
func KeptCertificate(c Config, state *State) (*tls.Certificate, error) {
	switch c.TLS.Mode {
	case "files":
		cert, err := readPair([2]string{c.TLS.Cert, c.TLS.Key})
		if err != nil {
			return nil, err
		}
		return cert.pair, nil
	case "self-signed":
		text, err := state.read(selfSignedFile)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // a start makes one
		}
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(text, text)
		if err != nil {
			return nil, fmt.Errorf("state: %s: %w", selfSignedFile, err)
		}
		return &pair, nil
	}
	return nil, nil
}

// KeptAuthority is the certificate of the box's own authority; nil: there is none.
func KeptAuthority(state *State) *x509.Certificate {
	ca, err := readLocalCA(state)
	if err != nil {
		return nil
	}
	return ca.cert
}

// CertificateEndsSoon reports whether a certificate should have been renewed by now. The log and
// the status warn by the same rule.
func CertificateEndsSoon(leaf *x509.Certificate, now time.Time) bool {
	return (&certificate{pair: &tls.Certificate{Leaf: leaf}}).endsSoon(now)
}

// URL is where the appliance is asked.
func (a *Admin) URL() string { return a.base }

// Dial connects to the appliance as the requests of a do.
func (a *Admin) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if t, ok := a.http.Transport.(*http.Transport); ok && t.DialContext != nil {
		return t.DialContext(ctx, network, addr)
	}
	return (&net.Dialer{}).DialContext(ctx, network, addr)
}
