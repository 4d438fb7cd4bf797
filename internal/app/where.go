package app

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net/netip"

	"signalbox/internal/admin"
	"signalbox/internal/config"
	"signalbox/internal/source"
	"signalbox/internal/state"
)

// Where a running box listens stands in its state directory, so that commands find it although its
// configuration has changed since it started.

// ports are the web ports of a running box; the zero AddrPort is off.
type ports struct {
	HTTP  netip.AddrPort `json:"http"`
	HTTPS netip.AddrPort `json:"https"`
}

// notice is what this box has written there.
type notice struct {
	dir  *state.Dir
	log  *slog.Logger
	text []byte
}

// leaveNotice is for commands, which go by the configuration where there is none.
func leaveNotice(dir *state.Dir, at Addrs, log *slog.Logger) notice {
	var p ports
	p.HTTP, _ = netip.ParseAddrPort(at.Web) // not valid: off
	p.HTTPS, _ = netip.ParseAddrPort(at.WebTLS)
	text, err := json.Marshal(p)
	if err == nil {
		err = dir.Write(state.Running, text)
	}
	if err != nil {
		log.Warn("can't note where this box listens: commands look where its configuration says", "err", err)
	}
	return notice{dir, log, text}
}

// remove removes it, unless another box has replaced it.
func (n notice) remove() {
	if n.dir == nil {
		return // Listen has failed
	}
	if text, err := n.dir.Read(state.Running); err != nil || !bytes.Equal(text, n.text) {
		return
	}
	if err := n.dir.Remove(state.Running); err != nil {
		n.log.Warn("remove the note of where this box listened", "err", err)
	}
}

// NewAdmin makes a client for the appliance at a URL, which shows a certificate that trust accepts
// (nil: one of the system's). Without a URL it is the one that runs with this state directory, or
// if none is known to, one that would run with this configuration. It does not connect yet.
func NewAdmin(c *config.Config, dir *state.Dir, url string, trust *tls.Config) (*admin.Client, error) {
	o, err := adminOptions(c, dir)
	if err != nil {
		return nil, err
	}
	var p ports
	if text, err := dir.Read(state.Running); err == nil && json.Unmarshal(text, &p) == nil {
		o.HTTP, o.HTTPS = p.HTTP, p.HTTPS
	}
	o.URL, o.TLS = url, trust
	return admin.NewClient(o)
}

// ConfiguredAdmin makes a client for the appliance that would run with this configuration, whatever
// runs now. It does not connect yet.
func ConfiguredAdmin(c *config.Config, dir *state.Dir) (*admin.Client, error) {
	o, err := adminOptions(c, dir)
	if err != nil {
		return nil, err
	}
	return admin.NewClient(o)
}

func adminOptions(c *config.Config, dir *state.Dir) (o admin.ClientOptions, err error) {
	o = admin.ClientOptions{Token: c.Admin.Token, HTTP: c.Web.Listen.AddrPort}
	if o.Token == "" {
		if o.Token, err = dir.ExistingSecret(state.AdminToken); err != nil {
			return o, err
		}
	}
	if c.TLS.Mode != "off" {
		o.HTTPS = c.Web.TLSListen.AddrPort
	}
	if c.Web.ProxyProtocol {
		o.Proxies = source.Proxies(c.Web.TrustedProxies)
	}
	return o, nil
}
