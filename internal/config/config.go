// Package config is the configuration: it defines the keys, reads and validates them, and knows
// which may change while the appliance runs. It parses each value once, on reading.
package config

import (
	"net/netip"
	"slices"

	"signalbox/internal/admission"
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
