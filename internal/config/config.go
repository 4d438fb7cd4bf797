// Package config is the configuration: it defines the keys, reads and validates them, and knows
// which may change while the appliance runs. It parses each value once, on reading.
package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"signalbox/internal/admission"
	"signalbox/internal/netaddr"
	"signalbox/internal/state"
	"signalbox/internal/trouble"
)

// Config is the whole configuration. Its fields are the keys of config.toml, which documents them.
type Config struct {
	PublicHost Host     `toml:"public_host"`
	PublicIP   PublicIP `toml:"public_ip"`

	Web struct {
		Listen         Listen   `toml:"listen"`
		TLSListen      Listen   `toml:"tls_listen"`
		Root           string   `toml:"root"`
		TrustedProxies Prefixes `toml:"trusted_proxies"`
		ProxyProtocol  bool     `toml:"proxy_protocol"`
		AllowedOrigins Origins  `toml:"allowed_origins"`
	} `toml:"web"`

	TLS struct {
		Mode          TLSMode `toml:"mode"`
		Cert          string  `toml:"cert"`
		Key           string  `toml:"key"`
		ACMEEmail     string  `toml:"acme_email"`
		ACMEDirectory string  `toml:"acme_directory"`
		ACMECAFile    string  `toml:"acme_ca_file"`
	} `toml:"tls"`

	TURN struct {
		Listen        Listens      `toml:"listen"`
		URLs          ICEURLs      `toml:"urls"`
		Realm         string       `toml:"realm"`
		RelayPorts    Ports        `toml:"relay_ports"`
		RelayIP       Addrs        `toml:"relay_ip"`
		DefaultFamily Family       `toml:"default_family"`
		Secret        Secret       `toml:"secret"`
		OldSecrets    Secrets      `toml:"old_secrets"`
		RESTSeparator Separator    `toml:"rest_separator"`
		CredentialTTL Duration     `toml:"credential_ttl"`
		MinLifetime   Duration     `toml:"min_lifetime"`
		NonceLifetime Duration     `toml:"nonce_lifetime"`
		Peers         Peers        `toml:"peers"`
		StaticPeers   StaticPeers  `toml:"static_peers"`
		AllowPeers    AllowedPeers `toml:"allow_peers"`
		DenyPeers     Prefixes     `toml:"deny_peers"`
		DTLS          bool         `toml:"dtls"`
		Usage         bool         `toml:"usage"`
		Users         []TURNUser   `toml:"users"`
		Limits        struct {
			Allocations           Count `toml:"allocations"`
			PerUser               Count `toml:"per_user"`
			PerSource             Count `toml:"per_source"`
			Permissions           Count `toml:"permissions"`
			Channels              Count `toml:"channels"`
			Connections           Count `toml:"connections"`
			ConnectionsPerSource  Count `toml:"connections_per_source"`
			UnauthorizedPerSource Count `toml:"unauthorized_per_source"`

			Bandwidth      Size `toml:"bandwidth"`
			UserBandwidth  Size `toml:"user_bandwidth"`
			TotalBandwidth Size `toml:"total_bandwidth"`
			TotalPerMonth  Size `toml:"total_per_month"`
		} `toml:"limits"`
	} `toml:"turn"`

	STUN struct {
		Probe     Server    `toml:"probe"`
		Alternate Alternate `toml:"alternate"`
	} `toml:"stun"`

	Signal struct {
		RoomCapacity      Count    `toml:"room_capacity"`
		Rooms             Count    `toml:"rooms"`
		RoomsPerSession   Count    `toml:"rooms_per_session"`
		Calls             bool     `toml:"calls"`
		Devices           Count    `toml:"devices"`
		Resume            Duration `toml:"resume"`
		Heartbeat         Duration `toml:"heartbeat"`
		MaxFrame          Count    `toml:"max_frame"`
		Rate              Rate     `toml:"rate"`
		Sessions          Count    `toml:"sessions"`
		SessionsPerSource Count    `toml:"sessions_per_source"`
	} `toml:"signal"`

	Auth struct {
		Mode     AuthMode `toml:"mode"`
		Password Secret   `toml:"password"`
		JWTKey   Secret   `toml:"jwt_key"`
		OldKeys  Secrets  `toml:"old_jwt_keys"`
		EndAtExp bool     `toml:"end_at_exp"`
	} `toml:"auth"`

	Compat struct {
		TURNREST        Secret `toml:"turn_rest"`
		Capacity        Count  `toml:"capacity"`
		SocketIO        Switch `toml:"socketio"`
		SocketIORelay   bool   `toml:"socketio_relay"`
		SocketIOClient  string `toml:"socketio_client"`
		AppRTC          Switch `toml:"apprtc"`
		ColliderListen  Listen `toml:"collider_listen"`
		Chat            Switch `toml:"chat"`
		PeerJS          Switch `toml:"peerjs"`
		PeerJSDiscovery bool   `toml:"peerjs_discovery"`
		Yjs             Switch `toml:"yjs"`
	} `toml:"compat"`

	API struct {
		Keys APIKeys `toml:"keys"`
	} `toml:"api"`

	Webhook struct {
		URL               HookURL    `toml:"url"`
		Secret            Secret     `toml:"secret"`
		Events            HookEvents `toml:"events"`
		ConnectURL        HookURL    `toml:"connect_url"`
		ConnectTimeout    Duration   `toml:"connect_timeout"`
		ConnectUnanswered Unasked    `toml:"connect_unanswered"`
	} `toml:"webhook"`

	Notify struct {
		SelfTest Duration `toml:"self_test"`
		Webhook  HookURL  `toml:"webhook"`
		Command  Command  `toml:"command"`
	} `toml:"notify"`

	Admin struct {
		Token  Secret      `toml:"token"`
		Tokens AdminTokens `toml:"tokens"`
	} `toml:"admin"`

	Metrics struct {
		Listen Listen `toml:"listen"`
	} `toml:"metrics"`

	Log struct {
		Level     LogLevel     `toml:"level"`
		Format    LogFormat    `toml:"format"`
		Addresses LogAddresses `toml:"addresses"`
	} `toml:"log"`

	Drain struct {
		Timeout Duration `toml:"timeout"`
	} `toml:"drain"`

	// File is the file that it was read from; empty: none. It is not a key.
	File string `toml:"-"`

	// Dev is the --dev flag, not a key. It changes defaults: listeners on loopback, no drain. It
	// also allows peers on loopback, opens /api/turn without a key, offers TURN over TLS on
	// loopback, and mutes warnings about addresses that nobody else reaches.
	Dev bool `toml:"-"`
}

// restOff is the value of compat.turn_rest that turns it off.
const restOff = "off"

// REST reports whether /api/turn is open, and the key that it asks for; empty: none.
func (c *Config) REST() (key Secret, on bool) {
	if c.Compat.TURNREST != restOff {
		return c.Compat.TURNREST, true
	}
	return "", c.Dev
}

// DTLS reports whether TURN is served over DTLS.
func (c *Config) DTLS() bool { return c.TURN.DTLS || c.TURN.Listen.over("dtls") }

// Discovery returns the addresses of NAT behavior discovery (RFC 5780): the first entry of
// turn.listen for IPv4 and UDP, where own replaces "every address", and stun.alternate. ok is false
// if it is off.
func (c *Config) Discovery(own netip.Addr) (primary, alternate netip.AddrPort, ok bool) {
	if !c.STUN.Alternate.IsValid() {
		return primary, alternate, false
	}
	i := slices.IndexFunc(c.TURN.Listen, TURNListen.discovers) // Validate has found one
	primary = c.TURN.Listen[i].AddrPort
	if primary.Addr().IsUnspecified() {
		primary = netip.AddrPortFrom(own, primary.Port())
	}
	return primary, c.STUN.Alternate.AddrPort, true
}

// Secrets are the keys that hold one.
func (c *Config) Secrets() (keys []string) {
	users := slices.ContainsFunc(c.TURN.Users, func(u TURNUser) bool { return u.Password != "" || u.Key != "" })
	for _, k := range []struct {
		key string
		set bool
	}{
		{"turn.secret", c.TURN.Secret != ""}, {"turn.old_secrets", len(c.TURN.OldSecrets) > 0}, {"turn.users", users},
		{"auth.password", c.Auth.Password != ""}, {"auth.jwt_key", admission.IsSecret(c.Auth.JWTKey)},
		{"auth.old_jwt_keys", slices.ContainsFunc(c.Auth.OldKeys, admission.IsSecret)},
		{"compat.turn_rest", c.Compat.TURNREST != "" && c.Compat.TURNREST != restOff},
		{"api.keys", len(c.API.Keys) > 0}, {"webhook.secret", c.Webhook.Secret != ""},
		{"admin.token", c.Admin.Token != ""}, {"admin.tokens", len(c.Admin.Tokens) > 0},
	} {
		if k.set {
			keys = append(keys, k.key)
		}
	}
	return keys
}

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

// listener is a port that the configuration has opened, on TCP unless it is one of TURN.
type listener struct {
	key string
	at  TURNListen
}

// String is the value as it may be written.
func (l listener) String() string {
	if l.key != "turn.listen" {
		return l.at.Listen.String()
	}
	return l.at.String()
}

// collides reports whether two listeners can't be bound both.
func (l listener) collides(other listener) bool {
	return l.at.Listen.collides(other.at.Listen) &&
		(l.at.OnUDP() && other.at.OnUDP() || l.at.OnTCP() && other.at.OnTCP())
}

// listeners lists what is listened on.
func (c *Config) listeners() (out []listener) {
	tcp := func(key string, at Listen, on bool) {
		if at.On() && on {
			out = append(out, listener{key, TURNListen{at, "tcp"}})
		}
	}
	tcp("web.listen", c.Web.Listen, true)
	tcp("web.tls_listen", c.Web.TLSListen, c.TLS.Mode != "off")
	tcp("metrics.listen", c.Metrics.Listen, true)
	tcp("compat.collider_listen", c.Compat.ColliderListen, true)
	for _, l := range c.TURN.Listen {
		out = append(out, listener{"turn.listen", l})
	}
	return out
}

// collides reports whether two listeners can't be bound both.
func (l Listen) collides(other Listen) bool {
	a, b := l.Addr(), other.Addr()
	switch {
	case l.Port() == 0 || l.Port() != other.Port():
		return false
	case a == b, a == netip.IPv6Unspecified(), b == netip.IPv6Unspecified():
		return true
	}
	return a.Is4() == b.Is4() && (a.IsUnspecified() || b.IsUnspecified())
}

// ProxyOrigin returns the https origin at which a reverse proxy serves the pages, on the default
// port; empty if no proxy serves them, or if its name is unknown.
func (c *Config) ProxyOrigin() string {
	if c.PublicHost == "" || len(c.Web.TrustedProxies) == 0 {
		return ""
	}
	return netaddr.HTTPSOrigin(string(c.PublicHost), "443")
}

// OwnOrigins are the origins of the box's own pages at public_host, also where a reverse proxy
// serves them and writes another name into Host: on the ports of their schemes, and on the box's
// own ones.
func (c *Config) OwnOrigins() (origins []string) {
	if c.PublicHost == "" {
		return nil
	}
	host := string(c.PublicHost)
	add := func(scheme string, port uint16) {
		origins = append(origins, scheme+"://"+net.JoinHostPort(host, strconv.Itoa(int(port))))
	}
	add("https", 443)
	add("http", 80)
	if c.Web.TLSListen.On() {
		add("https", c.Web.TLSListen.Port())
	}
	if c.Web.Listen.On() {
		add("http", c.Web.Listen.Port())
	}
	return origins
}

// OthersOrigin returns the https origin at which others reach the pages; empty: unknown.
func (c *Config) OthersOrigin() string {
	proxy := c.ProxyOrigin()
	if proxy != "" || c.PublicHost == "" {
		return proxy
	}
	port := "443"
	if c.TLS.Mode != "off" && c.Web.TLSListen.On() {
		port = strconv.Itoa(int(c.Web.TLSListen.Port()))
	}
	return netaddr.HTTPSOrigin(string(c.PublicHost), port)
}
