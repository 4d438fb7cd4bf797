package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"signalbox/internal/admission"
	"signalbox/internal/state"
	"signalbox/turnsvc/cred"
)

// Validate says all that is wrong with a configuration. Load does so by itself; this is for
// programs that put values into its fields.
func (c *Config) Validate() error {
	if faults := c.faults(); len(faults) > 0 {
		return faults
	}
	return nil
}

// checker collects faults.
type checker struct{ faults Faults }

// must notes a fault of a key unless all is well.
func (k *checker) must(well bool, key, format string, args ...any) {
	if !well {
		k.faults = append(k.faults, newFault(key, place{}, fmt.Errorf(format, args...)))
	}
}

// needs is must for what only the value of another key demands.
func (k *checker) needs(because string, well bool, key, format string, args ...any) {
	k.must(well, key, format, args...)
	if !well {
		k.faults[len(k.faults)-1].because = because
	}
}

func (c *Config) faults() Faults {
	var k checker
	k.values("", reflect.ValueOf(*c))
	if len(k.faults) > 0 { // what is below takes values to be what they may be
		return k.faults
	}
	c.checkListeners(&k)
	c.checkTLS(&k)
	c.checkTURN(&k)
	c.checkDiscovery(&k)
	c.checkSignal(&k)
	c.checkAuth(&k)
	c.checkNotify(&k)
	c.checkWebhook(&k)
	return k.faults
}

// values checks the values one by one.
func (k *checker) values(prefix string, table reflect.Value) {
	for i := range table.NumField() {
		name, field := table.Type().Field(i).Tag.Get("toml"), table.Field(i)
		if v, ok := field.Interface().(checked); ok {
			if err := v.check(); err != nil {
				k.must(false, prefix+name, "%w", err)
			}
			continue
		}
		if _, parses := reflect.New(field.Type()).Interface().(toml.Unmarshaler); !parses &&
			field.Kind() == reflect.Struct {
			k.values(prefix+name+".", field)
		}
	}
}

// checkListeners compares the listeners with each other: two on one port can't be bound both.
func (c *Config) checkListeners(k *checker) {
	all := c.listeners()
	for i, l := range all {
		for _, other := range all[:i] {
			if !l.collides(other) {
				continue
			}
			keys := l.key
			if other.key != l.key {
				keys = other.key + ", " + l.key
			}
			k.must(false, keys, "%s and %s can't both be open: choose another port for one", other, l)
			break
		}
	}
	k.needs("web.trusted_proxies", !c.Web.ProxyProtocol || len(c.Web.TrustedProxies) > 0, "web.proxy_protocol",
		"name its senders in web.trusted_proxies: the box believes nobody else's header")
}

func (c *Config) checkTLS(k *checker) {
	switch c.TLS.Mode {
	case "off":
		k.needs("tls.mode", !c.TURN.DTLS, "turn.dtls", `it needs a certificate, and tls.mode is "off"`)
		k.needs("tls.mode", !c.TURN.Listen.over("tls") && !c.TURN.Listen.over("dtls"), "turn.listen",
			`TLS and DTLS need a certificate, and tls.mode is "off"`)
	case "files":
		k.needs("tls.mode", c.TLS.Cert != "" && c.TLS.Key != "", "tls.cert, tls.key", `mode "files" needs both`)
	case "acme":
		_, notAddr := netip.ParseAddr(string(c.PublicHost))
		k.needs("tls.mode", c.PublicHost != "" && notAddr != nil, "public_host",
			`tls.mode "acme" needs the name that the certificate is to be for: write "call.example.org"`)
		u, err := url.Parse(c.TLS.ACMEDirectory)
		k.needs("tls.mode", err == nil && u.Scheme == "https" && u.Host != "", "tls.acme_directory",
			`%q is no directory: write "https://acme-v02.api.letsencrypt.org/directory"`, c.TLS.ACMEDirectory)
		k.needs("tls.mode", c.TLS.ACMEEmail == "" || strings.Contains(c.TLS.ACMEEmail, "@"), "tls.acme_email",
			"%q is not an e-mail address", c.TLS.ACMEEmail)
		k.needs("tls.mode", c.Web.Listen.On() || c.Web.TLSListen.On(), "web.listen, web.tls_listen",
			`tls.mode "acme" needs one of them, where the directory sees that public_host leads here`)
	}
}

func (c *Config) checkTURN(k *checker) {
	n := len(c.TURN.Realm)
	k.must(n > 0 && n <= 128, "turn.realm", "want 1 to 128 characters")
	k.must(c.TURN.CredentialTTL >= Duration(time.Minute), "turn.credential_ttl", `want at least "1m"`)
	k.must(c.TURN.CredentialTTL <= Duration(cred.MaxLife), "turn.credential_ttl", `want at most "8784h", a year`)
	k.must(c.TURN.MinLifetime <= Duration(59*time.Minute), "turn.min_lifetime", `want at most "59m"`)
	k.must(within(c.TURN.NonceLifetime, time.Minute, 24*time.Hour), "turn.nonce_lifetime", `want "1m" to "24h"`)
	separated := new(cred.Keys).SeparatedBy(string(c.TURN.RESTSeparator))
	for i, u := range c.TURN.Users {
		key := fmt.Sprintf("turn.users[%d]", i+1)
		if _, err := u.LongTermKey(c.TURN.Realm); err != nil {
			k.must(false, key, "%v", err)
			continue
		}
		k.must(!separated.IsMinted(u.Name), key, "%q has a Unix time at an end, before or after %q, as time-limited "+
			"credentials have: choose another name", u.Name, string(c.TURN.RESTSeparator))
		twice := slices.ContainsFunc(c.TURN.Users[:i], func(v TURNUser) bool { return v.Name == u.Name })
		k.must(!twice, key, "%q is listed twice: remove one", u.Name)
	}
}

// checkDiscovery finds what is wrong on every machine; a start finds what does not fit this one.
func (c *Config) checkDiscovery(k *checker) {
	at := c.STUN.Alternate
	if !at.IsValid() {
		return
	}
	i := slices.IndexFunc(c.TURN.Listen, TURNListen.discovers)
	if i < 0 {
		k.must(false, "stun.alternate", "no entry of turn.listen is an IPv4 address on UDP, and discovery needs two")
		return
	}
	primary := c.TURN.Listen[i]
	k.must(at.Addr() != primary.Addr(), "stun.alternate",
		"%s is the address that clients ask anyway: discovery needs a second one", at.Addr())
	k.must(at.Port() == 0 || at.Port() != primary.Port(), "stun.alternate",
		"%d is the port of turn.listen: discovery needs a second one", at.Port())
}

func within(d Duration, least, most time.Duration) bool {
	return d >= Duration(least) && d <= Duration(most)
}

func (c *Config) checkSignal(k *checker) {
	s := &c.Signal
	k.must(s.Resume == 0 || within(s.Resume, time.Second, time.Hour), "signal.resume",
		`want "1s" to "1h", or 0 for not at all`)
	k.must(within(s.Heartbeat, time.Second, time.Minute), "signal.heartbeat", `want "1s" to "1m"`)
	k.must(s.MaxFrame >= 1024 && s.MaxFrame <= 65536, "signal.max_frame",
		"want 1024 to 65536 bytes: the protocol promises clients no more")
}

// minPassword is the shortest password, in characters. It may be short since guesses are limited.
const minPassword = 8

func (c *Config) checkAuth(k *checker) {
	a := &c.Auth
	k.needs("auth.mode", a.Mode != "password" || len(a.Password) >= minPassword, "auth.password",
		`mode "password" needs one of at least %d characters`, minPassword)
	k.needs("auth.mode", a.Mode != "jwt" || a.JWTKey != "", "auth.jwt_key",
		`mode "jwt" needs one: a secret (make one with openssl rand -hex 32) or a public key`)
	if a.JWTKey != "" {
		if err := admission.CheckJWTKey(a.JWTKey); err != nil {
			k.must(false, "auth.jwt_key", "%v", err)
		}
	}
	for _, key := range a.OldKeys {
		if err := admission.CheckJWTKey(key); err != nil {
			k.must(false, "auth.old_jwt_keys", "%v", err)
		}
	}
	k.must(c.Compat.TURNREST == restOff || len(c.Compat.TURNREST) >= state.MinSecret, "compat.turn_rest",
		`want "off" or a key of at least %d characters: make one with openssl rand -hex 16`, state.MinSecret)
	k.needs("compat.apprtc", c.Compat.AppRTC.On() || !c.Compat.ColliderListen.On(), "compat.collider_listen",
		`it is a part of compat.apprtc, which is "off"`)
	k.must(c.Admin.Token == "" || len(c.Admin.Token) >= state.MinSecret, "admin.token",
		"want at least %d characters: make one with openssl rand -hex 16", state.MinSecret)
	owner := AdminToken{Token: c.Admin.Token}
	k.must(c.Admin.Token == "" || !slices.ContainsFunc(c.Admin.Tokens, func(t AdminToken) bool {
		return t.Sum() == owner.Sum()
	}), "admin.tokens", "one of them is the token in admin.token: make another with openssl rand -hex 16")
}
