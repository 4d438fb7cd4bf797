package cert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"signalbox/internal/netaddr"
)

// Certificate is one with its private key.
type Certificate struct {
	Pair *tls.Certificate // with its Leaf
	// Signed reports whether an authority that clients trust signed it. With any other certificate
	// browsers refuse turns: silently.
	Signed bool
}

// Usable reports whether clients can verify the certificate: an authority that they trust signed
// it, and it is valid now.
func (c *Certificate) Usable(now time.Time) bool { return c.Signed && c.Lives(now) }

// Lives reports whether now is within the certificate's life.
func (c *Certificate) Lives(now time.Time) bool {
	return !now.Before(c.Pair.Leaf.NotBefore) && !now.After(c.Pair.Leaf.NotAfter)
}

// names returns the names and addresses that the certificate is for.
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

// Name returns a host as a certificate names it. It is empty if a certificate can't name it:
// verifiers would refuse the certificate for all its other names, too.
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

// current is what every source has: the certificate in force, and the problem with it.
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

// report notes a problem, nil for none, and reports whether it is a new one.
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
	log.Info("serving a new certificate", "names", c.names(), "notAfter", c.Pair.Leaf.NotAfter)
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
