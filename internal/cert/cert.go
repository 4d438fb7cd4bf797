// Package cert keeps the one certificate that https, wss, TURN over TLS and TURN over DTLS serve:
// from a small authority of the box's own, from files, or from an ACME directory. New handshakes get
// the one in force; what was opened with an older one goes on.
package cert

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/netaddr"
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
	// Host is the name by which the box is known to others, as Name has it; empty: it has none.
	Host string
	// Names are the names and addresses of the box that a self-signed certificate is made out to.
	Names func() []string
	State *state.Dir
	Log   *slog.Logger
}

// source is where a certificate comes from: one for each mode.
type source interface {
	inForce() *Certificate
	// problem says why there is no newer certificate; empty: nothing does.
	problem() string
	// bound is called when all sockets are bound. Nothing is stored earlier: an instance that does
	// not come up must not replace the certificate of one that runs.
	bound() error
	// keep keeps the certificate up to date until ctx is done.
	keep(ctx context.Context)
	// prepare reads the files that another configuration names. commit puts them into force.
	prepare(paths [2]string) (commit func(), err error)
}

// Keeper keeps the certificate in force. A nil Keeper has none: TLS is off.
type Keeper struct {
	source
	mode string
	log  *slog.Logger
}

// Open takes the certificate that the mode has, or makes one. It returns nil in mode Off.
func Open(o Options) (*Keeper, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s, err := open(&o)
	if err != nil || s == nil {
		return nil, err
	}
	return &Keeper{source: s, mode: o.Mode, log: o.Log}, nil
}

func open(o *Options) (source, error) {
	switch o.Mode {
	case Off:
		return nil, nil
	case Files:
		return openFiles(o.Paths, o.Log)
	}
	own, err := openLocal(o, time.Now())
	if err != nil || o.Mode == SelfSigned {
		return own, err
	}
	return openACME(o, own)
}

// InForce is the certificate that is served now.
func (k *Keeper) InForce() *Certificate { return k.inForce() }

// Covers reports whether clients can verify the certificate for host, a name or an address.
func (k *Keeper) Covers(host string) bool {
	if k == nil {
		return false
	}
	c := k.inForce()
	return c.Usable(time.Now()) && c.Pair.Leaf.VerifyHostname(host) == nil
}

// Usable reports whether clients can verify the certificate at all, at this time.
func (k *Keeper) Usable() bool { return k != nil && k.inForce().Usable(time.Now()) }

// Bound is called when all sockets are bound: what was made is stored now, and not earlier, so that
// an instance that does not come up never replaces the certificate of one that runs.
func (k *Keeper) Bound() error {
	if k == nil {
		return nil
	}
	return k.bound()
}

// Prepare reads the files that another configuration names. commit puts them into force.
func (k *Keeper) Prepare(paths [2]string) (commit func(), err error) {
	if k == nil {
		return func() {}, nil
	}
	return k.prepare(paths)
}

// Authority is the box's own, if that is who signs; else nil.
func (k *Keeper) Authority() *Authority {
	if k == nil {
		return nil
	}
	if own, ok := k.source.(*local); ok {
		return own.ca()
	}
	return nil
}

// TLSConfig serves the certificate in force to clients that speak one of these protocols (ALPN), in
// order of preference. It is nil in mode Off.
func (k *Keeper) TLSConfig(protocols ...string) *tls.Config {
	if k == nil {
		return nil
	}
	conf := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.inForce().Pair, nil },
		NextProtos:     protocols,
	}
	if a, ok := k.source.(*acme); ok {
		conf.GetCertificate = a.certificateFor
		conf.NextProtos = append(slices.Clone(protocols), ALPNChallenge)
	}
	return conf
}

// DTLSCertificate is the certificate in force, for TURN over DTLS.
func (k *Keeper) DTLSCertificate(string) (*tls.Certificate, error) { return k.inForce().Pair, nil }

// Challenges answers what an ACME directory asks on the plain port (HTTP-01) while there is an order.
func (k *Keeper) Challenges(next http.Handler) http.Handler {
	if k == nil {
		return next
	}
	a, ok := k.source.(*acme)
	if !ok {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, ChallengePath) {
			a.serveChallenge(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// UseSocket tells mode ACME of a TCP socket that the box listens on, before Keep: the library that
// talks to the directory then opens none of its own.
func (k *Keeper) UseSocket(at netip.AddrPort) {
	if k == nil {
		return
	}
	if a, ok := k.source.(*acme); ok {
		a.socket = at
	}
}

// Keep keeps the certificate up to date until ctx is done. Every day it warns of one that ends soon.
func (k *Keeper) Keep(ctx context.Context) {
	if k == nil {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { k.keep(ctx) })
	tick := time.NewTicker(24 * time.Hour)
	defer tick.Stop()
	for {
		if c := k.inForce(); c.EndsSoon(time.Now()) {
			k.log.Warn("the certificate ends soon",
				"mode", k.mode, "notAfter", c.Pair.Leaf.NotAfter, "problem", k.problem())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Status is the certificate of the TLS port, as the status has it.
type Status struct {
	Mode     string   `json:"mode"`
	Names    []string `json:"names"`
	NotAfter int64    `json:"notAfter"` // Unix milliseconds
	// Problem says what is wrong with it, or why it has not been renewed.
	Problem string `json:"problem,omitempty"`
}

// Status is nil in mode Off.
func (k *Keeper) Status() *Status {
	if k == nil {
		return nil
	}
	c := k.inForce()
	s := &Status{Mode: k.mode, Names: c.names(), NotAfter: c.Pair.Leaf.NotAfter.UnixMilli(), Problem: k.problem()}
	if now := time.Now(); c.EndsSoon(now) {
		s.Problem = cmp.Or(s.Problem, c.EndNote(now))
	}
	return s
}

// Certificate is one with its private key.
type Certificate struct {
	Pair *tls.Certificate // with its Leaf
	// Signed tells that somebody signed it whom clients trust. Browsers refuse turns: with any other
	// certificate, without a word.
	Signed bool
}

// Usable reports whether clients can verify the certificate at all: somebody signed it whom they
// trust, and now is within its life.
func (c *Certificate) Usable(now time.Time) bool { return c.Signed && c.Lives(now) }

// Lives reports whether now is within the certificate's life.
func (c *Certificate) Lives(now time.Time) bool {
	return !now.Before(c.Pair.Leaf.NotBefore) && !now.After(c.Pair.Leaf.NotAfter)
}

// names are the names and addresses that it is made out to.
func (c *Certificate) names() []string {
	names := append([]string{}, c.Pair.Leaf.DNSNames...)
	for _, ip := range c.Pair.Leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// EndsSoon reports whether it should have been renewed by now.
func (c *Certificate) EndsSoon(now time.Time) bool { return EndsSoon(c.Pair.Leaf, now) }

// EndsSoon reports whether a certificate should have been renewed by now: a quarter of a short life
// is left, or two weeks of a long one. The log, the status and doctor warn by this rule.
func EndsSoon(leaf *x509.Certificate, now time.Time) bool {
	return leaf.NotAfter.Sub(now) < min(14*24*time.Hour, leaf.NotAfter.Sub(leaf.NotBefore)/4)
}

// EndNote says in words when it ends.
func (c *Certificate) EndNote(now time.Time) string {
	end := c.Pair.Leaf.NotAfter
	if now.After(end) {
		return fmt.Sprintf("it expired on %s: renew it", end.Format(time.DateOnly))
	}
	return fmt.Sprintf("it ends on %s: renew it", end.Format(time.DateOnly))
}

// Kept reads the certificate that a box with these options would serve now, in modes Files and
// SelfSigned. It makes nothing, and is nil if there is none yet.
func Kept(o Options) (*tls.Certificate, error) {
	switch o.Mode {
	case Files:
		c, err := Read(o.Paths)
		if err != nil {
			return nil, err
		}
		return c.Pair, nil
	case SelfSigned:
		text, err := o.State.Read(selfSignedFile)
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

// Name is a host as a certificate has it. It is empty if none can: verifiers would refuse the
// certificate for all its other names, too.
func Name(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().WithZone("").String()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	odd := func(label string) bool { return label == "" || len(label) > 63 }
	if !netaddr.ValidHost(host) || slices.ContainsFunc(strings.Split(host, "."), odd) {
		return ""
	}
	return host
}

// current is what every source has: the certificate in force, and the problem.
type current struct {
	cert atomic.Pointer[Certificate]
	said atomic.Pointer[string] // the problem
}

func (c *current) inForce() *Certificate { return c.cert.Load() }

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

// logNew says which certificate is served from now on.
func logNew(log *slog.Logger, c *Certificate) {
	log.Info("a new certificate is served", "names", c.names(), "notAfter", c.Pair.Leaf.NotAfter)
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
