package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"signalbox/internal/netaddr"
	"signalbox/internal/state"
	"signalbox/internal/trouble"
)

// Warning is something that can be used, and probably isn't what is wanted.
type Warning struct {
	Key  string       // the key that it is about, or several: "tls.cert, tls.key"
	Text string       // what is wrong, and if there is no Fix, what to do
	Fix  string       // what to do
	Code trouble.Code // of the table of faults; empty: trouble.Configuration
}

// About reports whether it says something of a key of another one's.
func (w Warning) About(other Warning) bool {
	keys := strings.Split(other.Key, ", ")
	return slices.ContainsFunc(strings.Split(w.Key, ", "), func(key string) bool { return slices.Contains(keys, key) })
}

func (w Warning) String() string {
	if w.Fix != "" {
		return w.Key + ": " + w.Text + ": " + w.Fix
	}
	return w.Key + ": " + w.Text
}

// fewPorts is fewer than two mesh calls of eight take.
const fewPorts = 100

func note(key, text string) Warning { return Warning{Key: key, Text: text} }

// Warnings returns what is valid in a configuration but probably unwanted.
func (c *Config) Warnings() (out []Warning) {
	return slices.Concat(c.warnTLS(), c.warnTURN(), c.relayPortWarnings(), c.warnWeb())
}

func (c *Config) warnTLS() (out []Warning) {
	if c.TLS.Mode != "files" && c.TLS.Cert+c.TLS.Key != "" {
		out = append(out, note("tls.mode", fmt.Sprintf(`it is %q: tls.cert and tls.key are for "files"`,
			c.TLS.Mode)))
	}
	if c.TLS.Mode == "acme" && c.TLS.ACMECAFile == "" && netaddr.IsLocalName(string(c.PublicHost)) {
		out = append(out, note("public_host", fmt.Sprintf("no public ACME directory issues certificates for %s, a "+
			`name of local networks only: use tls.mode "self-signed", or name a private directory and its `+
			"tls.acme_ca_file", c.PublicHost)))
	}
	return out
}

func (c *Config) warnTURN() (out []Warning) {
	if n := len(c.TURN.Secret); n > 0 && n < state.MinSecret {
		out = append(out, note("turn.secret", fmt.Sprintf("it has fewer than %d characters, and whoever has one "+
			"credential can guess it at leisure: make a longer one with openssl rand -hex 16, give it to the "+
			"programs that mint with this one, and until they have it, name this one in turn.old_secrets",
			state.MinSecret)))
	}
	if len(c.TURN.URLs) > 0 && !c.TURN.URLs.Relays() {
		out = append(out, note("turn.urls", "none of them is a turn: or turns: URL, so clients find no relay"))
	}
	for _, p := range c.TURN.AllowPeers.Networks {
		if ip := p.Addr().Unmap(); ip.IsLoopback() && !c.Dev || ip.IsLinkLocalUnicast() || ip.IsMulticast() {
			out = append(out, note("turn.allow_peers", p.String()+" stays closed: no list opens loopback, link-local "+
				"and multicast addresses"))
		}
	}
	if n := c.TURN.RelayPorts.Count(); n < fewPorts {
		out = append(out, note("turn.relay_ports", fmt.Sprintf("%s are only %d ports: each allocation takes one, and "+
			"a mesh call of eight makes about 60", c.TURN.RelayPorts, n)))
	}
	for _, l := range c.TURN.Listen {
		if l.Port() == 5349 && l.Transport != "tls" && l.Transport != "dtls" {
			out = append(out, note("turn.listen", l.String()+" speaks plain TURN, and clients expect TLS on port "+
				`5349: write "tls/:5349"`))
		}
	}
	return out
}

// warnWeb is about signaling, pages, and what else speaks HTTP.
func (c *Config) warnWeb() (out []Warning) {
	if c.Auth.Mode == "open" && (c.Auth.Password != "" || c.Auth.JWTKey != "") {
		out = append(out, note("auth.mode", `it is "open": nobody is asked for auth.password or a token`))
	}
	if c.Signal.Devices != 1 && c.Auth.Mode != "jwt" {
		out = append(out, note("signal.devices", "a user has one session, as with 1: only tokens "+
			`(auth.mode = "jwt") prove that another one is of the same user`))
	}
	for _, p := range c.Web.TrustedProxies {
		if p.Bits() == 0 {
			out = append(out, note("web.trusted_proxies", p.String()+" trusts everybody, so any client can "+
				"claim any address: name only your proxies"))
		}
	}
	if len(c.Web.TrustedProxies) > 0 && c.PublicHost == "" {
		out = append(out, note("public_host", "the name at which the proxy of web.trusted_proxies serves this box "+
			"isn't known: /api/ice refuses requests under it, unless web.allowed_origins has it"))
	}
	for _, hook := range []struct {
		key string
		url HookURL
	}{{"webhook.url", c.Webhook.URL}, {"webhook.connect_url", c.Webhook.ConnectURL},
		{"notify.webhook", c.Notify.Webhook}} {
		if hook.url.bare() {
			out = append(out, note(hook.key, "what the box sends there can be read on the way: use https"))
		}
	}
	if n := &c.Notify; n.SelfTest == 0 && (n.Webhook != "" || len(n.Command) > 0) {
		out = append(out, note("notify.self_test", `"0s": the box never tests itself, so nobody hears of a fault by `+
			"notify.webhook or notify.command"))
	}
	if m := c.Metrics.Listen; m.On() && !m.Addr().Unmap().IsLoopback() {
		out = append(out, note("metrics.listen", m.String()+" is not loopback: anybody who reaches it can read "+
			"the metrics (numbers only, no names or addresses): let in only your Prometheus"))
	}
	return out
}

// relayPortWarnings warns of UDP ports that are listened on within the range of relay ports: there
// the box relays nothing, and has fewer ports than it seems.
func (c *Config) relayPortWarnings() (out []Warning) {
	within := func(key string, at netip.AddrPort) {
		if p := c.TURN.RelayPorts; at.Port() >= p.First && at.Port() <= p.Last {
			out = append(out, note(key, fmt.Sprintf("UDP port %d is also one of turn.relay_ports (%s), and can't "+
				"relay while it is listened on: choose another, or narrow that range", at.Port(), p)))
		}
	}
	for _, l := range c.TURN.Listen {
		if l.OnUDP() {
			within("turn.listen", l.AddrPort)
		}
	}
	if c.STUN.Alternate.IsValid() {
		within("stun.alternate", c.STUN.Alternate.AddrPort)
	}
	return out
}

// HostWarnings warns of addresses in the configuration that this machine, which has the local ones,
// lacks.
func (c *Config) HostWarnings(local []netip.Addr) (out []Warning) {
	lacks := func(key string, ip netip.Addr) {
		if !ip.IsUnspecified() && !slices.Contains(local, ip) {
			out = append(out, note(key, "this machine has no address "+ip.String()))
		}
	}
	for _, l := range c.listeners() {
		lacks(l.key, l.at.Addr())
	}
	if c.STUN.Alternate.IsValid() {
		lacks("stun.alternate", c.STUN.Alternate.Addr())
	}
	return out
}
