package cert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/state"

	"github.com/caddyserver/certmagic"
	acmeclient "github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// Mode "acme": a certificate for public_host from an ACME directory (RFC 8555), which verifies that
// the name leads here: by HTTP-01 on web.listen or by TLS-ALPN-01 on web.tls_listen. certmagic
// talks to the directory, one attempt at a time. This file decides when to try, so that failures
// show.
//
// OCSP stapling is off: public authorities have given it up, and it would contact strangers at
// every start. A revocation comes as an earlier renewal date (ARI, RFC 9773).

const (
	acmeDir      = "acme"           // in the state directory
	acmeInterval = time.Hour        // between looks at whether it is time to renew
	acmeRetry    = time.Minute      // after the first failure, doubled with each; at most acmeInterval
	acmeRefused  = 15 * time.Minute // after what the directory has refused; see wait
	acmeTimeout  = 15 * time.Minute // of one attempt
)

// ChallengePath is where an authority looks for the answer to HTTP-01 (RFC 8555 §8.3).
const ChallengePath = "/.well-known/acme-challenge/"

// ALPNChallenge is the protocol by which the directory asks for TLS-ALPN-01 (RFC 8737); the
// connection ends after the handshake.
const ALPNChallenge = "acme-tls/1"

// acme is the source of mode "acme".
type acme struct {
	current
	host     string
	own      *local // in force until there is a certificate
	socket   netip.AddrPort
	state    *state.Dir
	storage  *certmagic.FileStorage // in it
	template certmagic.ACMEIssuer
	log      *slog.Logger
	every    time.Duration
	retry    time.Duration
	refused  time.Duration
	lookup   func(ctx context.Context, host string) error // says if the name leads nowhere; nil: isn't asked

	now  chan struct{}                    // asks for a look at once
	open atomic.Pointer[certmagic.Config] // of the order under way; nil: none
}

// openACME takes the certificate kept in the state directory, if there is one. It serves an expired
// one as before the restart: its names and chain are right, and clients then see what is wrong.
func openACME(o *Options, own *local) (*acme, error) {
	viaHTTP, viaALPN, unlikely := o.ACME.Challenges()
	if unlikely != nil {
		o.Log.Warn(unlikely.Error())
	}
	roots, err := o.ACME.Roots()
	if err != nil {
		return nil, err
	}
	s := &acme{
		host: strings.ToLower(o.Host), own: own, log: o.Log, every: acmeInterval, retry: acmeRetry,
		refused: acmeRefused,
		now:     make(chan struct{}, 1),
		state:   o.State,
		storage: &certmagic.FileStorage{Path: o.State.Path(acmeDir)},
		template: certmagic.ACMEIssuer{
			CA: o.ACME.Directory, Email: o.ACME.Email, Agreed: true, TrustedRoots: roots,
			DisableHTTPChallenge: !viaHTTP, DisableTLSALPNChallenge: !viaALPN, DisableDistributedSolvers: true,
			Logger: zap.NewNop(), // what matters comes back as an error
		},
	}
	if o.ACME.CAFile == "" { // a private directory may know names that nobody else does
		s.lookup = leadsSomewhere
	}
	s.log.Info("ACME", "name", s.host, "directory", o.ACME.Directory, "http-01", viaHTTP, "tls-alpn-01", viaALPN)
	switch cert, err := s.load(); {
	case err == nil:
		s.cert.Store(cert)
	case errors.Is(err, os.ErrNotExist):
		s.report(errNoCertificateYet)
	default:
		s.report(err)
		s.log.Warn("the kept certificate can't be used", "err", err)
	}
	return s, nil
}

// errTornPair: power failed between certmagic's writes of the key and of the certificate.
var errTornPair = errors.New("there is no usable pair of certificate and key of")

var errNoCertificateYet = errors.New("no certificate from the ACME directory yet: the box serves a self-signed one")

// inForce is a self-signed certificate until there is a real one.
func (s *acme) inForce() *Certificate {
	if c := s.cert.Load(); c != nil {
		return c
	}
	return s.own.inForce()
}

func (s *acme) bound() { s.own.bound() }

// prepare tries again at once after a failure: the operator may have fixed the cause before the
// reload.
func (s *acme) prepare([2]string) (commit func(), err error) {
	return func() {
		select {
		case s.now <- struct{}{}:
		default:
		}
	}, nil
}

// load reads the certificate that an earlier order has stored.
func (s *acme) load() (*Certificate, error) {
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
	return &Certificate{Pair: &pair, Signed: true}, nil
}

func (s *acme) keep(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.own.keep(ctx) })
	failures := 0
	if pause, why := s.rest(time.Now()); pause > 0 {
		s.report(why)
		s.log.Warn(why.Error())
		s.sleep(ctx, pause)
	}
	for {
		err := s.manage(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := s.every
		if err == nil {
			failures = 0
			s.report(nil)
		} else {
			wait = s.wait(err, failures)
			failures++
			s.noteIfRefused(err)
			s.report(err)
			s.log.Warn("no new certificate from the ACME directory: the present one stays in force", "err", err, "next",
				wait.String())
		}
		s.sleep(ctx, wait)
	}
}

// sleep waits, until a look is asked for or ctx is done.
func (s *acme) sleep(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-s.now:
	}
}

// wait is how long to wait after a failure, when there have been others before. While the name
// leads nowhere, a look costs nobody anything. But what the directory has refused counts: Let's
// Encrypt allows five failures of a name an hour, and an attempt may have two, one for each
// challenge.
func (s *acme) wait(err error, before int) time.Duration {
	first := s.retry
	var problem acmeclient.Problem
	switch {
	case errors.Is(err, errLeadsNowhere):
		return first
	case errors.As(err, &problem):
		first = max(first, s.refused)
	}
	return min(first<<min(before, 10), max(acmeInterval, first))
}

var errLeadsNowhere = errors.New("DNS knows no address of the name in public_host")

// leadsSomewhere asks DNS for a name's addresses. An error that may pass is none: the directory
// asks by itself.
func leadsSomewhere(ctx context.Context, host string) error {
	var none *net.DNSError
	_, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if errors.As(err, &none) && none.IsNotFound {
		return fmt.Errorf("%w: make an A record (AAAA for IPv6) for %s with this box's address; until then the ACME "+
			"directory is not asked", errLeadsNowhere, host)
	}
	return nil
}

// manage orders a certificate, in one attempt, if there is none or it expires soon, and puts a new
// one into force.
func (s *acme) manage(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, acmeTimeout)
	defer cancel()
	if err := s.dropTornPair(ctx); err != nil {
		return err
	}
	kept := s.cert.Load()
	if due := kept == nil || kept.EndsSoon(time.Now()); due && s.lookup != nil {
		if err := s.lookup(ctx, s.host); err != nil {
			return err
		}
	}
	err := s.order(ctx)
	if unread := s.state.GiveToOwner(acmeDir); unread != nil {
		s.log.Warn("the service's user may be unable to read what the ACME library keeps", "err", unread)
	}
	if err != nil {
		return err
	}
	cert, err := s.load()
	if err != nil {
		return err
	}
	if old := s.cert.Swap(cert); old == nil || !old.Pair.Leaf.Equal(cert.Pair.Leaf) {
		logNew(s.log, cert)
	}
	return nil
}

// dropTornPair deletes a pair that certmagic would fail on for ever. A pair that merely can't be
// read now stays.
func (s *acme) dropTornPair(ctx context.Context) error {
	_, err := s.load()
	if !errors.Is(err, errTornPair) {
		return nil
	}
	s.log.Warn("deleting the kept certificate and ordering another", "err", err)
	return s.storage.Delete(ctx, certmagic.StorageKeys.CertsSitePrefix(s.template.IssuerKey(), s.host))
}

// order has certmagic do it.
func (s *acme) order(ctx context.Context) error {
	var magic *certmagic.Config
	// The cache tells certmagic what to keep up to date. It lives for one attempt, and its end also
	// ends a goroutine that would renew without our knowing.
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
		RenewCheckInterval: acmeInterval, Logger: zap.NewNop(),
	})
	defer cache.Stop()
	magic = certmagic.New(cache, certmagic.Config{
		Storage: s.storage, Logger: zap.NewNop(), OCSP: certmagic.OCSPConfig{DisableStapling: true},
		KeySource: certmagic.StandardKeyGenerator{KeyType: certmagic.P256},
	})
	// certmagic listens on the port of a challenge unless somebody else does. We do, so we name any
	// socket of ours, and certmagic opens none.
	host, port := s.socket.Addr().String(), int(s.socket.Port())
	template := s.template
	template.ListenHost, template.AltHTTPPort, template.AltTLSALPNPort = host, port, port
	magic.Issuers = []certmagic.Issuer{quietIssuer{certmagic.NewACMEIssuer(magic, template)}}
	s.open.Store(magic)
	defer s.open.Store(nil)
	return magic.ManageSync(ctx, []string{s.host})
}

// quietIssuer does not ask for an e-mail address on the terminal.
type quietIssuer struct{ *certmagic.ACMEIssuer }

func (q quietIssuer) PreCheck(ctx context.Context, names []string, _ bool) error {
	return q.ACMEIssuer.PreCheck(ctx, names, false)
}

// certificateFor returns the certificate in force, or the answer to TLS-ALPN-01 (RFC 8737) while an
// order is under way.
func (s *acme) certificateFor(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if !slices.Equal(hello.SupportedProtos, []string{ALPNChallenge}) {
		return s.inForce().Pair, nil
	}
	if magic := s.open.Load(); magic != nil && strings.EqualFold(hello.ServerName, s.host) {
		return magic.GetCertificate(hello)
	}
	return nil, errors.New("there is no challenge to answer")
}

// serveChallenge answers the challenge of the order under way, and nothing else. certmagic's own
// handler takes unknown tokens for another instance's and would answer any token for any host,
// which RFC 8555 (section 8.3) warns of.
func (s *acme) serveChallenge(w http.ResponseWriter, r *http.Request) {
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
