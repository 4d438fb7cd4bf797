package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"signalbox/internal/admission"
	"signalbox/internal/cert"
	"signalbox/internal/config"
	"signalbox/internal/fault"
	"signalbox/internal/netaddr"
	"signalbox/internal/publicip"
	"signalbox/internal/site"
	"signalbox/internal/state"
	"signalbox/internal/trouble"
)

// What commands ask about a configuration on this machine, whether or not a box runs with it.
// Nothing here changes anything.

// CheckHost warns of what does not fit this machine in a valid configuration. It looks up names and
// asks stun.probe, as a start does.
func CheckHost(ctx context.Context, c *config.Config) []config.Warning {
	local, err := netaddr.Local()
	if err != nil {
		return []config.Warning{{Key: "turn.listen", Text: err.Error()}}
	}
	out := slices.Concat(c.Warnings(), c.HostWarnings(local), openConfig(c))
	warn := func(otherwise string, err error) {
		for _, err := range each(err) {
			key, text := fault.Split(err, otherwise)
			out = append(out, config.Warning{Key: key, Text: text})
		}
	}
	where, _, err := FindRelays(ctx, c)
	if w, wrong := checkName(ctx, c, where); wrong {
		out = append(out, w)
	} else {
		warn("public_ip, public_host", err)
	}
	for _, r := range where {
		if note := r.Note(); note != "" && !c.Dev {
			warn("public_ip", fmt.Errorf("the relay address %s (%s) is %s", r.Public.IP, r.Public.Why, note))
		}
	}
	if finder, err := publicip.New(publicOptions(c, nil)); err == nil {
		if primary, alternate, on := c.Discovery(finder.Reached()); on {
			warn("stun.alternate", discoveryFits(primary, alternate, finder.Relays().Public()))
		}
	}
	checkCertificate(c, warn)
	_, err = site.OpenRoot(c.Web.Root)
	warn("web.root", err)
	if name := c.Compat.SocketIOClient; name != "" {
		_, err = os.Stat(name)
		warn("compat.socketio_client", err)
	}
	_, err = admission.New(admissionOptions(c, nil), nil)
	warn("auth.jwt_key", err)
	slices.SortStableFunc(out, func(a, b config.Warning) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// checkName says if public_host leads nowhere, or to another machine than this one.
func checkName(ctx context.Context, c *config.Config, here publicip.Relays) (w config.Warning, wrong bool) {
	host := string(c.PublicHost)
	if _, err := netip.ParseAddr(host); host == "" || err == nil {
		return w, false
	}
	w.Key, w.Code = "public_host", trouble.DNSWrong
	own := strings.Join(here.PublicIPs(), " and ")
	there, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	var none *net.DNSError
	if errors.As(err, &none) && none.IsNotFound {
		w.Code = trouble.DNSMissing
		w.Text = fmt.Sprintf("DNS knows no address of %s, so callers don't find this box", host)
		if c.TLS.Mode == cert.ACME {
			w.Text += ", and no ACME directory issues a certificate for it"
		}
		w.Fix = fmt.Sprintf("where the domain is managed, make an A record (AAAA for IPv6) for %s with the address of "+
			"this box: %s", host, own)
		return w, true
	}
	elsewhere := func(ip netip.Addr) bool {
		return !ip.IsLoopback() && !slices.Contains(here.PublicIPs(), ip.Unmap().String())
	}
	// A proxy may be on another machine; behind NAT without a known public address nobody can tell.
	if err != nil || len(c.Web.TrustedProxies) > 0 || len(there) == 0 || slices.ContainsFunc(there,
		func(ip netip.Addr) bool { return !elsewhere(ip) }) || !slices.ContainsFunc(here,
		func(r publicip.Relay) bool { return netaddr.Global(r.Public.IP) }) {
		return w, false
	}
	w.Text = fmt.Sprintf("%s leads to %s, and this box is at %s", host, there[0].Unmap(), own)
	w.Fix = fmt.Sprintf("change its A record to %s, or public_ip if that is not this box's address", own)
	return w, true
}

// openConfig warns of a file with secrets that everybody on this machine can read.
func openConfig(c *config.Config) []config.Warning {
	secrets := c.Secrets()
	if c.File == "" || len(secrets) == 0 || !state.OpenToAll(c.File) {
		return nil
	}
	return []config.Warning{{
		Code: trouble.StateExposed, Key: strings.Join(secrets, ", "),
		Text: fmt.Sprintf("everybody on this machine can read %s, and it holds secrets: chmod o-rwx it", c.File),
	}}
}

// warnOf says what is probably unwanted in a configuration that is put into force, and which
// secrets others on this machine can read.
func warnOf(c *config.Config, dir *state.Dir, log *slog.Logger) {
	for _, w := range slices.Concat(c.Warnings(), openConfig(c)) {
		log.Warn("configuration", "key", w.Key, "note", w.Text)
	}
	if e := dir.Exposed(); e != nil {
		log.Warn("the state is open to others: "+e.Why, "path", e.Path, "fix", e.Fix)
	}
}

// each returns the errors that errors.Join has joined, nested joins included.
func each(err error) (all []error) {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, err := range joined.Unwrap() {
		all = append(all, each(err)...)
	}
	return all
}

// checkCertificate warns of faults of the certificate that a start would serve.
func checkCertificate(c *config.Config, warn func(otherwise string, err error)) {
	o := certOptions(c, nil)
	switch o.Mode {
	case cert.Files:
		now := time.Now()
		found, err := cert.ReadUsable(o.Paths, now)
		if err != nil {
			warn("tls.cert", err)
			return
		}
		if found.EndsSoon(now) {
			warn("tls.cert", errors.New(found.EndNote(now)))
		}
		warn("tls.key", cert.OpenToAll(o.Paths[1]))
	case cert.ACME:
		_, _, unlikely := o.ACME.Challenges()
		warn("tls.mode", unlikely)
		_, err := o.ACME.Roots()
		warn("tls.acme_ca_file", err)
	}
}

// FindRelays returns where the box would relay on this machine, and why not in a family of which
// this machine has an address. If it can't find out some addresses, it returns an error together
// with the ones it knows.
func FindRelays(ctx context.Context, c *config.Config) (where publicip.Relays, off []string, err error) {
	finder, err := publicip.New(publicOptions(c, nil))
	if err != nil {
		return nil, nil, err
	}
	err = finder.Look(ctx, func(publicip.Relays) error { return nil })
	return finder.Relays(), finder.Off(), err
}

// KeptCertificate reads the certificate that a box would serve now, in modes files and self-signed.
// It makes nothing, and returns nil if there is none yet.
func KeptCertificate(c *config.Config, dir *state.Dir) (*tls.Certificate, error) {
	return cert.Kept(certOptions(c, dir))
}
