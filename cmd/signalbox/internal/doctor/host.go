package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"slices"
	"strings"
	"time"

	"signalbox/internal/access"
	"signalbox/internal/app"
	"signalbox/internal/config"
	"signalbox/internal/state"
	"signalbox/internal/trouble"
)

// HostOptions tell Host which configuration to check.
type HostOptions struct {
	Config  config.Config
	State   string      // the state directory, which need not exist yet
	As      access.User // as whom a box with it runs
	Token   func(room string) (string, error)
	TLS     *tls.Config // as in Options
	Timeout time.Duration
}

// Host checks this machine, and then, as a client, the box that runs here with this configuration.
// If none runs, Host starts one for the duration of the checks, with a copy of the state directory:
// so doctor leaves nothing behind, and no file that the service can't read.
func (d *Doctor) Host(ctx context.Context, o HostOptions) {
	d.local = true
	c := &o.Config
	d.config(ctx, o)
	d.check(ctx, "relay address", o.Timeout, func(ctx context.Context) Check { return relayAddress(ctx, *c) })
	d.check(ctx, "port range", o.Timeout, func(ctx context.Context) Check { return portRange(ctx, *c) })
	d.check(ctx, "open files", o.Timeout, func(context.Context) Check { return openFiles(o.State) })
	d.check(ctx, "UDP buffer", o.Timeout, func(context.Context) Check { return udpBuffer() })
	d.check(ctx, "this clock", o.Timeout, func(context.Context) Check { return ownClock() })
	d.check(ctx, "state", o.Timeout, func(context.Context) Check { return stateDir(o.State) })
	if c.TLS.Mode != "off" {
		d.check(ctx, "kept certificate", o.Timeout,
			func(context.Context) Check { return keptCertificate(*c, state.Existing(o.State), o.TLS.RootCAs) })
	}
	if ctx.Err() != nil {
		return
	}
	if !c.Web.Listen.On() && (!c.Web.TLSListen.On() || c.TLS.Mode == "off") {
		d.add(skipped("web.listen and web.tls_listen are off: there is no signaling to check").named("running"))
		return
	}
	if !d.running(ctx, o) {
		d.startAndCheck(ctx, o)
	}
}

// checkedApart reports whether a warning is about keys that have checks of their own.
func checkedApart(w config.Warning) bool {
	for _, key := range strings.Split(w.Key, ", ") {
		if slices.Contains([]string{"turn.relay_ip", "turn.relay_ports", "tls.cert"}, key) {
			return true
		}
	}
	return w.Key == "public_ip"
}

// config warns of every key that does not fit this machine, except for those in checkedApart.
func (d *Doctor) config(ctx context.Context, o HostOptions) {
	d.shut = d.each(ctx, "access", o.Timeout, func(context.Context) []Check { return accessOf(o) }) == Failed
	d.each(ctx, "config", 2*o.Timeout, func(ctx context.Context) (found []Check) {
		for _, w := range app.CheckHost(ctx, &o.Config) {
			if !checkedApart(w) {
				found = append(found, warningOf(w))
			}
			if w.Code == trouble.DNSWrong || w.Code == trouble.DNSMissing {
				d.astray = w.Code
			}
		}
		if len(found) == 0 {
			return []Check{ok("it fits this machine")}
		}
		return found
	})
}

// each runs a check that may find several faults, and returns the verdict on the first.
func (d *Doctor) each(ctx context.Context, name string, timeout time.Duration,
	run func(context.Context) []Check) Verdict {
	var found []Check
	verdict := d.check(ctx, name, timeout, func(ctx context.Context) Check {
		found = run(ctx)
		return found[0]
	})
	if ctx.Err() == nil {
		for _, c := range found[1:] {
			d.add(c.named(name))
		}
	}
	return verdict
}

func warningOf(w config.Warning) Check {
	return warning(cmp.Or(w.Code, trouble.Configuration), w.Fix, "%s: %s", w.Key, w.Text)
}

// accessOf asks whether the box can read and write what it must. Root may do everything, and most
// boxes don't run as root.
func accessOf(o HostOptions) (found []Check) {
	for _, w := range app.CheckAccess(&o.Config, o.State, o.As) {
		found = append(found, failed(cmp.Or(w.Code, trouble.Configuration), cmp.Or(w.Fix,
			"name what is there, or make it"), "%s: %s", w.Key, w.Text))
	}
	if len(found) == 0 {
		found = append(found, ok("the user %s can read and write what the box needs", o.As.Name))
	}
	return found
}
