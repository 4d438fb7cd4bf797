package app

import (
	"context"
	"errors"
	"fmt"
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
)

// What commands ask of a configuration on this machine, whether a box runs with it or not. Nothing
// here changes anything.

// CheckHost says what of a valid configuration does not fit this machine. It looks up names and asks
// stun.probe, like a start does.
func CheckHost(ctx context.Context, c *config.Config) []config.Warning {
	local, err := netaddr.Local()
	if err != nil {
		return []config.Warning{{Key: "turn.listen", Text: err.Error()}}
	}
	out := append(c.Warnings(), c.HostWarnings(local)...)
	warn := func(otherwise string, err error) {
		if err != nil {
			key, text := fault.Split(err, otherwise)
			out = append(out, config.Warning{Key: key, Text: text})
		}
	}
	where, err := FindRelays(ctx, c)
	warn("public_ip", err)
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
	_, err = admission.New(admissionOptions(c))
	warn("auth.jwt_key", err)
	slices.SortStableFunc(out, func(a, b config.Warning) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// checkCertificate says what is wrong with the certificate that would be served.
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

// FindRelays says where the box would relay on this machine. What can't be found out is an error;
// what is known without it is returned all the same.
func FindRelays(ctx context.Context, c *config.Config) (publicip.Relays, error) {
	finder, err := publicip.New(publicOptions(c, nil))
	if err != nil {
		return nil, err
	}
	err = finder.Look(ctx, func(publicip.Relays) error { return nil })
	return finder.Relays(), err
}

// KeptCertificate is the options with which cert.Kept finds what a box would serve now.
func KeptCertificate(c *config.Config, dir *state.Dir) cert.Options { return certOptions(c, dir) }
