package signalbox

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// https, wss, TURN over TLS and TURN over DTLS serve one certificate. New handshakes get the one in
// force; what was opened with an older one goes on.

// certificateSource is where the certificate comes from: this box's own authority, files, or an
// ACME directory.
type certificateSource interface {
	inForce() *certificate
	// problem says why there is no newer certificate; empty: nothing does.
	problem() string
	// bound is called when all sockets are bound. Nothing is stored earlier: an instance that does
	// not come up must not replace the certificate of one that runs.
	bound() error
	// keep keeps the certificate up to date until ctx is done.
	keep(ctx context.Context)
	// reload reads what another configuration names, and commit puts it into force.
	reload(c *Config) (commit func(), err error)
}

// newCertificateSource opens what tls.mode says. It returns nil if TLS is off.
func (a *App) newCertificateSource() (certificateSource, error) {
	log := a.log.With("part", "certificate")
	switch a.cfg.TLS.Mode {
	case "off":
		return nil, nil
	case "files":
		return openCertificateFiles(&a.cfg, log)
	}
	own, err := openSelfSigned(a.state, time.Now(), certificateName(a.cfg.PublicHost), a.certificateNames, log)
	if err != nil || a.cfg.TLS.Mode == "self-signed" {
		return own, err
	}
	return openACME(&a.cfg, a.state, own, a.edge, log)
}

// certificate is one with its private key.
type certificate struct {
	pair *tls.Certificate // with its Leaf
	// signed tells that somebody signed it whom clients trust. Browsers refuse turns: with any
	// other certificate, without a word.
	signed bool
}

// usable reports whether clients can verify the certificate at all: somebody signed it whom they
// trust, and now is within its life.
func (c *certificate) usable(now time.Time) bool { return c.signed && c.lives(now) }

// lives reports whether now is within the certificate's life.
func (c *certificate) lives(now time.Time) bool {
	return !now.Before(c.pair.Leaf.NotBefore) && !now.After(c.pair.Leaf.NotAfter)
}

// covers reports whether clients can verify the certificate for host, a name or an address.
func (c *certificate) covers(host string) bool {
	return c.usable(time.Now()) && c.pair.Leaf.VerifyHostname(host) == nil
}

// names are the names and addresses that it is made out to.
func (c *certificate) names() []string {
	names := append([]string{}, c.pair.Leaf.DNSNames...)
	for _, ip := range c.pair.Leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// endsSoon reports whether it should have been renewed by now: a quarter of a short life is left,
// or two weeks of a long one.
func (c *certificate) endsSoon(now time.Time) bool {
	leaf := c.pair.Leaf
	return leaf.NotAfter.Sub(now) < min(14*24*time.Hour, leaf.NotAfter.Sub(leaf.NotBefore)/4)
}

// current is what every source has: the certificate in force, and the problem.
type current struct {
	cert atomic.Pointer[certificate]
	said atomic.Pointer[string] // the problem
}

func (c *current) inForce() *certificate { return c.cert.Load() }

func (c *current) problem() string {
	if p := c.said.Load(); p != nil {
		return *p
	}
	return ""
}

// report notes a problem, nil for none, and tells whether it is a new one.
func (c *current) report(err error) (news bool) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	news = text != c.problem()
	c.said.Store(&text)
	return news && err != nil
}

// tlsConfig serves the certificate in force. It is nil if TLS is off.
func (a *App) tlsConfig() *tls.Config {
	if a.certs == nil {
		return nil
	}
	conf := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.certs.inForce().pair, nil },
		// In order of preference: whoever speaks TURN at all wants TURN (coturn's clients offer
		// http/1.1, too).
		NextProtos: append(slices.Clone(turnProtocols), "h2", "http/1.1"),
	}
	if acme, ok := a.certs.(*acmeCertificate); ok {
		conf.GetCertificate = acme.certificateFor
		conf.NextProtos = append(conf.NextProtos, acmeProtocol)
	}
	return conf
}

// keepCertificate keeps the certificate up to date until ctx is done. Every day it warns of one
// that ends soon.
func (a *App) keepCertificate(ctx context.Context) {
	if a.certs == nil {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { a.certs.keep(ctx) })
	tick := time.NewTicker(24 * time.Hour)
	defer tick.Stop()
	for {
		if c := a.certs.inForce(); c.endsSoon(time.Now()) {
			a.log.Warn("the certificate ends soon", "mode", a.cfg.TLS.Mode, "notAfter", c.pair.Leaf.NotAfter, "problem",
				a.certs.problem())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// CertificateStatus is the certificate of the TLS port.
type CertificateStatus struct {
	Mode     string   `json:"mode"`
	Names    []string `json:"names"`
	NotAfter int64    `json:"notAfter"` // Unix milliseconds
	// Problem says what is wrong with it, or why it has not been renewed.
	Problem string `json:"problem,omitempty"`
}

// certificateStatus is nil if TLS is off.
func (a *App) certificateStatus() *CertificateStatus {
	if a.certs == nil {
		return nil
	}
	c := a.certs.inForce()
	s := &CertificateStatus{
		Mode: a.cfg.TLS.Mode, Names: c.names(), NotAfter: c.pair.Leaf.NotAfter.UnixMilli(), Problem: a.certs.problem(),
	}
	if now := time.Now(); c.endsSoon(now) {
		s.Problem = cmp.Or(s.Problem, endsSoonNote(c, now))
	}
	return s
}

// endsSoonNote says it in words.
func endsSoonNote(c *certificate, now time.Time) string {
	end := c.pair.Leaf.NotAfter
	if now.After(end) {
		return fmt.Sprintf("it expired on %s: renew it", end.Format(time.DateOnly))
	}
	return fmt.Sprintf("it ends on %s: renew it", end.Format(time.DateOnly))
}

// logNew says which certificate is served from now on.
func logNew(log *slog.Logger, c *certificate) {
	log.Info("a new certificate is served", "names", c.names(), "notAfter", c.pair.Leaf.NotAfter)
}

// checkCertificate says what of the configuration does not fit this machine.
func checkCertificate(c *Config, now time.Time) (warnings []string) {
	switch c.TLS.Mode {
	case "files":
		cert, err := readUsablePair([2]string{c.TLS.Cert, c.TLS.Key}, now)
		if err != nil {
			return []string{err.Error()}
		}
		if cert.endsSoon(now) {
			warnings = append(warnings, "tls.cert: "+endsSoonNote(cert, now))
		}
		if note := openToAll(c.TLS.Key); note != "" {
			warnings = append(warnings, note)
		}
	case "acme":
		if _, _, note := c.acmeChallenges(); note != "" {
			warnings = append(warnings, note)
		}
		if _, err := c.acmeRoots(); err != nil {
			warnings = append(warnings, err.Error())
		}
	}
	return warnings
}

// every calls do at each interval until ctx is done.
func every(ctx context.Context, interval time.Duration, do func(now time.Time)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			do(now)
		}
	}
}
