package cert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"signalbox/internal/fault"
	"signalbox/internal/trouble"
)

// source is where a certificate comes from: one for each mode.
type source interface {
	inForce() *Certificate
	// problem returns why there is no newer certificate; empty: there is no problem.
	problem() string
	// bound is called when all sockets are bound. Nothing is stored earlier: an instance that fails
	// to start must not replace the certificate of a running one.
	bound()
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
	case SelfSigned, ACME:
	default:
		return nil, fault.New("tls.mode", "%q is none of %s, %s, %s, %s", o.Mode, Off, SelfSigned, Files, ACME)
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

// Names reports whether the certificate in force is made out to host, whoever signed it.
func (k *Keeper) Names(host string) bool {
	return k != nil && k.inForce().Pair.Leaf.VerifyHostname(host) == nil
}

// Usable reports whether clients can verify the certificate at all, at this time.
func (k *Keeper) Usable() bool { return k != nil && k.inForce().Usable(time.Now()) }

// Bound must be called when all sockets are bound. It stores what was made; storing earlier could
// let an instance that fails to start replace the certificate of a running one.
func (k *Keeper) Bound() {
	if k != nil {
		k.bound()
	}
}

// Prepare reads the files that another configuration names. commit puts them into force.
func (k *Keeper) Prepare(paths [2]string) (commit func(), err error) {
	if k == nil {
		return func() {}, nil
	}
	return k.prepare(paths)
}

// Authority is the box's own, if that is who signs and will after a restart, too; else nil.
func (k *Keeper) Authority() *Authority {
	if k == nil {
		return nil
	}
	if own, ok := k.source.(*local); ok && own.unread == nil {
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

// Challenges answers what an ACME directory asks on the plain port (HTTP-01) while there is an
// order.
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

// UseSocket tells mode ACME, before Keep, of a TCP socket that the box listens on. The ACME library
// then opens none of its own.
func (k *Keeper) UseSocket(at netip.AddrPort) {
	if k == nil {
		return
	}
	if a, ok := k.source.(*acme); ok {
		a.socket = at
	}
}

// Keep keeps the certificate up to date until ctx is done. Once a day it warns if the certificate
// expires soon.
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

// Status describes the certificate of the TLS port, for the appliance's status.
type Status struct {
	Mode     string   `json:"mode"`
	Names    []string `json:"names"`
	NotAfter int64    `json:"notAfter"` // Unix milliseconds
	// StandIn tells that it is a self-signed one, until the ACME directory has issued the first.
	StandIn bool `json:"standIn,omitempty"`
	// Pending tells that the first order of all is under way.
	Pending bool `json:"pending,omitempty"`
	// Due tells that the Problem is only that it ends soon, or has ended, and nothing says why.
	Due bool `json:"due,omitempty"`
	// Problem says what is wrong with the certificate, or why it was not renewed.
	Problem string `json:"problem,omitempty"`
}

// Code is the fault that the Problem is.
func (s *Status) Code() trouble.Code {
	switch {
	case s.Mode == ACME:
		return trouble.ACMEFailed
	case time.Now().After(time.UnixMilli(s.NotAfter)):
		return trouble.CertificateExpired
	}
	return trouble.CertificateEndsSoon
}

// Status is nil in mode Off.
func (k *Keeper) Status() *Status {
	if k == nil {
		return nil
	}
	c := k.inForce()
	s := &Status{Mode: k.mode, Names: c.names(), NotAfter: c.Pair.Leaf.NotAfter.UnixMilli(), Problem: k.problem()}
	s.StandIn = k.mode == ACME && !c.Signed
	s.Pending = s.Problem == errNoCertificateYet.Error()
	if now := time.Now(); s.Problem == "" && c.EndsSoon(now) {
		s.Due, s.Problem = true, c.EndNote(now)
	}
	return s
}

// Kept reads the certificate that a box with these options would serve now, in modes Files and
// SelfSigned. It makes nothing, and returns nil if there is none yet.
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
