package doctor

import (
	"context"
	"crypto/x509"
	"net/url"
	"time"

	"signalbox/internal/admin"
	"signalbox/internal/admission"
	"signalbox/internal/app"
	"signalbox/internal/cert"
	"signalbox/internal/config"
	"signalbox/internal/state"
	"signalbox/internal/trouble"
)

// running checks the box that runs here, if one does.
func (d *Doctor) running(ctx context.Context, o HostOptions) bool {
	dir := state.Existing(o.State)
	client, err := adminOf(o.Config, dir)
	if err != nil {
		d.add(failed(trouble.Configuration, "check web.listen", "%v", err).named("running"))
		return false
	}
	options := clientOptions(o, client, dir)
	within, cancel := context.WithTimeout(ctx, o.Timeout)
	s, err := client.Status(within)
	cancel()
	switch {
	case ctx.Err() != nil:
		return true
	case err == nil:
		d.add(ok("signalbox %s at %s for %s: %d sessions, %d allocations", s.Version, client.URL(),
			time.Since(time.UnixMilli(s.StartedAt)).Round(time.Second), s.Signal.Sessions,
			len(s.TURN.Allocations)).named("running"))
		if s := s.Certificate; s != nil && s.Problem != "" {
			d.add(warning(s.Code(), "", "the running box reports about its certificate: %s",
				s.Problem).named("running"))
			if s.StandIn { // the answer has shown that it is the box
				options.StandIn, options.TLS.InsecureSkipVerify = true, true
			}
		}
	default:
		probe := &front{Options: options}
		defer probe.close()
		if c := timed(ctx, "", o.Timeout, probe.reach); c.Verdict != OK {
			return false
		}
		d.add(warning(trouble.StateOther, "",
			"a signalbox runs at %s, but not with this state directory", client.URL()).named("running"))
	}
	d.Client(ctx, options)
	return true
}

// adminOf makes a client for the box's web port, the TLS one if there is one.
func adminOf(c config.Config, dir *state.Dir) (*admin.Client, error) {
	if c.TLS.Mode != "off" && c.Web.TLSListen.On() {
		c.Web.Listen = config.Listen{}
	}
	return app.ConfiguredAdmin(&c, dir)
}

// clientOptions are the options for a box on this machine. Doctor reaches it by a local address, so
// it checks the certificate for the name that others use.
func clientOptions(o HostOptions, client *admin.Client, dir *state.Dir) Options {
	u, err := url.Parse(client.URL())
	if err != nil {
		u = &url.URL{Scheme: "http", Host: "127.0.0.1"}
	}
	conf := o.TLS.Clone()
	var leaf *x509.Certificate
	if pair, err := app.KeptCertificate(&o.Config, dir); err == nil && pair != nil {
		leaf = pair.Leaf
	}
	conf.ServerName = servedName(o.Config, leaf)
	if o.Config.TLS.Mode == "self-signed" {
		conf.RootCAs = trusting(conf.RootCAs, cert.KeptAuthority(dir))
	}
	token := o.Token
	if token == nil {
		token = ownToken(o.Config)
	}
	return Options{URL: u, Token: token, TLS: conf, Dial: client.Dial, Timeout: o.Timeout}
}

// ownToken lets doctor in with the password or key of the configuration; nil: the box is open.
func ownToken(c config.Config) func(string) (string, error) {
	switch c.Auth.Mode {
	case "password":
		return func(string) (string, error) { return string(c.Auth.Password), nil }
	case "jwt":
		return func(room string) (string, error) {
			t, err := app.MintToken(&c, admission.TokenRequest{Rooms: []string{room}, Name: "doctor",
				TTL: 5 * time.Minute})
			if err != nil {
				return "", tokenError{err}
			}
			return t.Token, nil
		}
	}
	return nil
}

// tokenError says that the configuration can't make a room token, having only the public key.
type tokenError struct{ error }

func (e tokenError) Error() string {
	return "the box wants room tokens, and its configuration can't make one: " + e.error.Error()
}

func (e tokenError) Unwrap() error { return e.error }
