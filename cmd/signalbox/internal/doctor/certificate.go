package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"signalbox/internal/cert"
	"signalbox/internal/trouble"
)

// certificate checks the certificate that the TLS port serves.
func (f *front) certificate(ctx context.Context) Check {
	if f.StandIn {
		return skipped("a stand-in until the ACME directory has issued the first")
	}
	host, port := f.base.Hostname(), f.base.Port()
	if port == "" {
		port = "443"
	}
	name := host
	if f.TLS.ServerName != "" {
		name = f.TLS.ServerName
	}
	conn, err := f.Dial(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return failed(trouble.Unreachable, "run doctor again", "connect: %v", reason(err))
	}
	defer conn.Close()
	conf := f.TLS.Clone()
	conf.ServerName, conf.InsecureSkipVerify, conf.NextProtos = name, true, []string{"http/1.1"}
	secure := tls.Client(conn, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		return failed(trouble.CertificateUnusable, "the box's log may say why; it speaks TLS 1.2 and 1.3", "the TLS "+
			"handshake fails: %v",
			reason(err))
	}
	return judge(secure.ConnectionState().PeerCertificates, name, f.TLS.RootCAs, f.TLS.InsecureSkipVerify, time.Now())
}

// judge verifies a chain as clients do.
func judge(chain []*x509.Certificate, name string, roots *x509.CertPool, insecure bool, now time.Time) Check {
	leaf := chain[0]
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between, CurrentTime: now})
	left := daysLeft(leaf, now)
	if err != nil && !insecure {
		return distrust(leaf, len(chain), name, err, now)
	}
	switch {
	case err != nil:
		return warning(trouble.CertificateUntrusted, "trust its authority with --ca FILE instead of --insecure",
			"not verified, since --insecure is set: %v", reason(err))
	case cert.EndsSoon(leaf, now):
		return warning(trouble.CertificateEndsSoon, "", "for %s, but it ends %s", name, left)
	}
	return ok("for %s, of %s, ends %s", name, issuer(leaf), left)
}

func distrust(leaf *x509.Certificate, chain int, name string, err error, now time.Time) Check {
	var wrongName x509.HostnameError
	var unknown x509.UnknownAuthorityError
	switch {
	case now.After(leaf.NotAfter):
		return failed(trouble.CertificateExpired, "", "it expired on %s",
			leaf.NotAfter.Format(time.DateOnly))
	case now.Before(leaf.NotBefore):
		return failed(trouble.CertificateEarly, "", "it is not valid before %s",
			leaf.NotBefore.Format(time.RFC3339))
	case errors.As(err, &wrongName):
		return failed(trouble.CertificateName, "", "it is not for %s: %v", name,
			reason(err))
	case errors.As(err, &unknown) && cert.IsSelfSigned(leaf):
		return failed(trouble.CertificateUntrusted, "trust the box's own authority with --ca FILE (download it at "+
			"/ca.pem; /trust helps with devices), or get a certificate that browsers trust: tls.mode \"acme\"",
			"browsers warn: it is self-signed, by %s", issuer(leaf))
	case errors.As(err, &unknown) && chain == 1:
		return failed(trouble.CertificateUntrusted, "serve the whole chain (tls.cert = fullchain.pem); if the "+
			"authority is private, name it with --ca FILE",
			"this machine does not know its authority (%s), and the box sends no chain", issuer(leaf))
	case errors.As(err, &unknown):
		return failed(trouble.CertificateUntrusted, "get one from an authority that browsers know; if this one is "+
			"private, name it with --ca FILE",
			"this machine does not know its authority (%s)", issuer(leaf))
	}
	return failed(trouble.CertificateUnusable, "", "clients refuse it: %v", reason(err))
}

func issuer(leaf *x509.Certificate) string {
	if n := leaf.Issuer.CommonName; n != "" {
		return n
	}
	return leaf.Issuer.String()
}

func daysLeft(leaf *x509.Certificate, now time.Time) string {
	days := int(leaf.NotAfter.Sub(now).Hours() / 24)
	return fmt.Sprintf("in %d days, on %s", days, leaf.NotAfter.Format(time.DateOnly))
}
