package doctor

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"strings"
	"time"

	"signalbox/internal/app"
	"signalbox/internal/cert"
	"signalbox/internal/config"
	"signalbox/internal/state"
	"signalbox/internal/trouble"
)

// keptCertificate judges the certificate that a start would serve, as clients would.
func keptCertificate(c config.Config, dir *state.Dir, roots *x509.CertPool) Check {
	switch c.TLS.Mode {
	case "acme":
		return skipped("with tls.mode \"acme\" the running box fetches it")
	case "self-signed":
		roots = trusting(roots, cert.KeptAuthority(dir))
	}
	pair, err := app.KeptCertificate(&c, dir)
	switch {
	case errors.Is(err, fs.ErrPermission) && c.TLS.Mode == "self-signed":
		// With "files" the service, too, may be unable to read it.
		return skipped("this user may not read it: %v", reason(err))
	case err != nil:
		return failed(trouble.CertificateUnusable, "the box does not start without it", "%v", err)
	case pair == nil:
		return ok("none yet: a start makes a self-signed one")
	}
	var chain []*x509.Certificate
	for _, der := range pair.Certificate {
		if cert, err := x509.ParseCertificate(der); err == nil {
			chain = append(chain, cert)
		}
	}
	return judge(chain, servedName(c, chain[0]), roots, false, time.Now())
}

// servedName returns the name that the certificate must be for, as clients see it.
func servedName(c config.Config, leaf *x509.Certificate) string {
	switch {
	case c.PublicHost != "":
		return string(c.PublicHost)
	case c.TLS.Mode == "self-signed" || leaf == nil:
		return "localhost"
	case len(leaf.DNSNames) > 0:
		return strings.Replace(leaf.DNSNames[0], "*", "any", 1)
	case len(leaf.IPAddresses) > 0:
		return leaf.IPAddresses[0].String()
	}
	return "localhost"
}

// trusting adds a certificate to roots, nil for the system's.
func trusting(roots *x509.CertPool, ca *x509.Certificate) *x509.CertPool {
	if ca == nil {
		return roots
	}
	if roots == nil {
		system, err := x509.SystemCertPool()
		if err != nil {
			system = x509.NewCertPool()
		}
		roots = system
	}
	roots = roots.Clone()
	roots.AddCert(ca)
	return roots
}
