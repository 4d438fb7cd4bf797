package signalbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// Mode "acme": a certificate for public_host from an ACME directory (RFC 8555), which looks whether
// the name leads here: over HTTP-01 on web.listen or TLS-ALPN-01 on web.tls_listen. certmagic talks
// to the directory, one attempt at a time; when to try is decided here, where a failure shows.
//
// OCSP stapling is off: public authorities have given it up, and it would ask strangers about every
// start. A revocation comes as an earlier date for the renewal (ARI, RFC 9773).

const (
	acmeDir      = "acme"           // in the state directory
	acmeInterval = time.Hour        // between looks at whether it is time to renew
	acmeRetry    = time.Minute      // after the first failure, doubled with each; at most acmeInterval
	acmeTimeout  = 15 * time.Minute // of one attempt
)

// acmePrefix is where an authority looks for the answer to HTTP-01.
const acmePrefix = "/.well-known/acme-challenge/"

// acmeCertificate is the source of mode "acme".
type acmeCertificate struct {
	current
	host     string
	own      *selfSigned // in force until there is a certificate
	edge     *edge
	storage  *certmagic.FileStorage
	template certmagic.ACMEIssuer
	log      *slog.Logger
	every    time.Duration
	retry    time.Duration

	now  chan struct{}                    // asks for a look at once
	open atomic.Pointer[certmagic.Config] // of the order that is under way; nil: none is
}

// openACME takes the certificate that is kept in state, if there is one. One that has expired is
// served on as before the restart: names and chain are right, and what clients are shown is what is
// wrong.
func openACME(c *Config, state *State, own *selfSigned, e *edge, log *slog.Logger) (*acmeCertificate, error) {
	viaHTTP, viaALPN, note := c.acmeChallenges()
	if note != "" {
		log.Warn(note)
	}
	roots, err := c.acmeRoots()
	if err != nil {
		return nil, err
	}
	s := &acmeCertificate{
		host: strings.ToLower(c.PublicHost), own: own, edge: e, log: log, every: acmeInterval, retry: acmeRetry,
		now:     make(chan struct{}, 1),
		storage: &certmagic.FileStorage{Path: filepath.Join(state.dir, acmeDir)},
		template: certmagic.ACMEIssuer{
			CA: c.TLS.ACMEDirectory, Email: c.TLS.ACMEEmail, Agreed: true, TrustedRoots: roots,
			DisableHTTPChallenge: !viaHTTP, DisableTLSALPNChallenge: !viaALPN, DisableDistributedSolvers: true,
			Logger: zap.NewNop(), // what matters comes back as an error
		},
	}
	log.Info("ACME", "name", s.host, "directory", c.TLS.ACMEDirectory, "http-01", viaHTTP, "tls-alpn-01", viaALPN)
	switch cert, err := s.load(); {
	case err == nil:
		s.cert.Store(cert)
	case errors.Is(err, os.ErrNotExist):
		s.report(errNoCertificateYet)
	default:
		s.report(err)
		log.Warn("the certificate that is kept can't be used", "err", err)
	}
	return s, nil
}

// errTornPair is what is left if power fails between certmagic's writes of the key and of the
// certificate.
var errTornPair = errors.New("there is no usable pair of certificate and key of")

var errNoCertificateYet = errors.New("there is no certificate from the ACME directory yet: a self-signed one is served")

// acmeRoots are the authorities that the directory's own certificate is verified with; nil: the
// system's.
func (c *Config) acmeRoots() (*x509.CertPool, error) {
	if c.TLS.ACMECAFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.TLS.ACMECAFile)
	if err != nil {
		return nil, fmt.Errorf("tls.acme_ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("tls.acme_ca_file: %s holds no certificate: want PEM", c.TLS.ACMECAFile)
	}
	return roots, nil
}

// acmeChallenges tells which challenges are taken. Authorities come to port 80 for HTTP-01 and to
// 443 for TLS-ALPN-01, so one that the box has settles it. With neither, ports must be forwarded,
// or the directory be a private one with ports of its own: then whatever listens may be asked.
func (c *Config) acmeChallenges() (viaHTTP, viaALPN bool, note string) {
	at := func(listen string, port uint16) bool {
		addr, err := listenAddr(listen)
		return err == nil && addr.Port() == port
	}
	viaHTTP, viaALPN = at(c.Web.Listen, 80), at(c.Web.TLSListen, 443)
	if viaHTTP || viaALPN {
		return viaHTTP, viaALPN, ""
	}
	return c.Web.Listen != "", c.Web.TLSListen != "", fmt.Sprintf(
		`tls.mode "acme": web.listen is %q and web.tls_listen %q, but public directories come to port 80 or 443: `+
			`listen there, or forward one of them here`,
		c.Web.Listen, c.Web.TLSListen)
}

// inForce is a self-signed certificate until there is a real one.
func (s *acmeCertificate) inForce() *certificate {
	if c := s.cert.Load(); c != nil {
		return c
	}
	return s.own.inForce()
}

func (s *acmeCertificate) bound() error { return s.own.bound() }

// reload tries again at once what has failed before: whoever reloads may have mended it.
func (s *acmeCertificate) reload(*Config) (commit func(), err error) {
	return func() {
		select {
		case s.now <- struct{}{}:
		default:
		}
	}, nil
}

// load reads what an earlier order has stored.
func (s *acmeCertificate) load() (*certificate, error) {
	key := s.template.IssuerKey()
	var text [2][]byte
	for i, name := range []string{certmagic.StorageKeys.SiteCert(key, s.host),
		certmagic.StorageKeys.SitePrivateKey(key, s.host)} {
		var err error
		if text[i], err = s.storage.Load(context.Background(), name); err != nil {
			return nil, fmt.Errorf("state: %w", err)
		}
	}
	pair, err := tls.X509KeyPair(text[0], text[1])
	if err != nil {
		return nil, fmt.Errorf("state: %w %s in %s: %w", errTornPair, s.host, s.storage.Path, err)
	}
	return &certificate{pair: &pair, signed: true}, nil
}

func (s *acmeCertificate) keep(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.own.keep(ctx) })
	retry := s.retry
	for {
		err := s.manage(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := s.every
		if err == nil {
			retry = s.retry
			s.report(nil)
		} else {
			wait, retry = retry, min(2*retry, acmeInterval)
			s.report(err)
			s.log.Warn("no new certificate from the ACME directory: the present one is served on", "err", err, "next",
				wait.String())
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.now:
		}
		timer.Stop()
	}
}

// manage makes sure that there is a certificate and that it does not end soon, in one attempt, and
// puts a new one into force.
func (s *acmeCertificate) manage(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, acmeTimeout)
	defer cancel()
	if err := s.dropTornPair(ctx); err != nil {
		return err
	}
	if err := s.order(ctx); err != nil {
		return err
	}
	cert, err := s.load()
	if err != nil {
		return err
	}
	if old := s.cert.Swap(cert); old == nil || !old.pair.Leaf.Equal(cert.pair.Leaf) {
		logNew(s.log, cert)
	}
	return nil
}

// dropTornPair deletes what certmagic would stumble over for ever. What merely can't be read just
// now stays.
func (s *acmeCertificate) dropTornPair(ctx context.Context) error {
	_, err := s.load()
	if !errors.Is(err, errTornPair) {
		return nil
	}
	s.log.Warn("the certificate that is kept is deleted and another is ordered", "err", err)
	return s.storage.Delete(ctx, certmagic.StorageKeys.CertsSitePrefix(s.template.IssuerKey(), s.host))
}

// order has certmagic do it.
func (s *acmeCertificate) order(ctx context.Context) error {
	var magic *certmagic.Config
	// The cache is certmagic's idea of what it is to keep. It lives for one attempt: with it ends a
	// goroutine that would renew out of our sight.
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
		RenewCheckInterval: acmeInterval, Logger: zap.NewNop(),
	})
	defer cache.Stop()
	magic = certmagic.New(cache, certmagic.Config{
		Storage: s.storage, Logger: zap.NewNop(), OCSP: certmagic.OCSPConfig{DisableStapling: true},
		KeySource: certmagic.StandardKeyGenerator{KeyType: certmagic.P256},
	})
	// certmagic listens on the port of a challenge unless somebody does already. We do: it is told
	// a socket of ours, whichever, and so opens none.
	host, port := s.socket()
	template := s.template
	template.ListenHost, template.AltHTTPPort, template.AltTLSALPNPort = host, port, port
	magic.Issuers = []certmagic.Issuer{quietIssuer{certmagic.NewACMEIssuer(magic, template)}}
	s.open.Store(magic)
	defer s.open.Store(nil)
	return magic.ManageSync(ctx, []string{s.host})
}

// socket is one on which the box listens.
func (s *acmeCertificate) socket() (host string, port int) {
	l := s.edge.webTLS
	if l == nil {
		l = s.edge.web
	}
	addr := l.Addr().(*net.TCPAddr)
	return addr.IP.String(), addr.Port
}

// quietIssuer does not ask for an e-mail address on the terminal.
type quietIssuer struct{ *certmagic.ACMEIssuer }

func (q quietIssuer) PreCheck(ctx context.Context, names []string, _ bool) error {
	return q.ACMEIssuer.PreCheck(ctx, names, false)
}

// certificateFor is the certificate in force, or the answer to TLS-ALPN-01 (RFC 8737) while there
// is an order.
func (s *acmeCertificate) certificateFor(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if !slices.Equal(hello.SupportedProtos, []string{acmeProtocol}) {
		return s.inForce().pair, nil
	}
	if magic := s.open.Load(); magic != nil && strings.EqualFold(hello.ServerName, s.host) {
		return magic.GetCertificate(hello)
	}
	return nil, errors.New("there is no challenge to answer")
}

// acmeHTTP answers HTTP-01 while there is an order.
func (a *App) acmeHTTP(next http.Handler) http.Handler {
	s, ok := a.certs.(*acmeCertificate)
	if !ok {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, acmePrefix) {
			s.serveChallenge(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serveChallenge answers the challenge of the order that is under way, and nothing else.
// certmagic's own handler would answer any token for any host, which RFC 8555 (section 8.3) warns
// of: it takes what it does not know for another instance's.
func (s *acmeCertificate) serveChallenge(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	challenge, ok := certmagic.GetACMEChallenge(s.host)
	if !ok || challenge.Type != "http-01" || r.Method != http.MethodGet || !strings.EqualFold(host, s.host) ||
		r.URL.Path != challenge.HTTP01ResourcePath() {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	io.WriteString(w, challenge.KeyAuthorization) //nolint:errcheck // the client is gone
}
