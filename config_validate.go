package signalbox

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"signalbox/signal"
	"signalbox/turnsvc/cred"
)

// Validate reports the first value that cannot be used, by the name of its key.
func (c *Config) Validate() error {
	if err := c.validateAddresses(); err != nil {
		return err
	}
	for i, u := range c.TURN.Users {
		if _, err := u.key(c.TURN.Realm); err != nil {
			return fmt.Errorf("turn.users, entry %d: %w", i+1, err)
		}
		if slices.ContainsFunc(c.TURN.Users[:i], func(v TURNUser) bool { return v.Name == u.Name }) {
			return fmt.Errorf("turn.users: %q stands there twice: remove one", u.Name)
		}
	}
	if n := len(c.TURN.Realm); n == 0 || n > 128 {
		return errors.New("turn.realm: want 1 to 128 characters")
	}
	for _, choice := range []struct {
		key, value string
		of         []string
	}{
		{"tls.mode", c.TLS.Mode, []string{"off", "self-signed", "files", "acme"}},
		{"turn.peers", c.TURN.Peers, []string{"room", "signaled", "public", "any"}},
		{"turn.static_peers", c.TURN.StaticPeers, []string{"public", "any"}},
		{"auth.mode", c.Auth.Mode, []string{"open", "password", "jwt"}},
		{"log.level", c.Log.Level, []string{"debug", "info", "warn", "error"}},
		{"log.format", c.Log.Format, []string{"text", "json"}},
	} {
		if !slices.Contains(choice.of, choice.value) {
			return fmt.Errorf("%s: %q is none of %s", choice.key, choice.value, strings.Join(choice.of, ", "))
		}
	}
	if c.Web.ProxyProtocol && len(c.Web.TrustedProxies) == 0 {
		return errors.New("web.proxy_protocol: name those who send it in web.trusted_proxies: nobody else's header " +
			"is believed")
	}
	if err := c.validateTLS(); err != nil {
		return err
	}
	if c.STUN.Probe != "" {
		host, port, err := net.SplitHostPort(c.STUN.Probe)
		if n, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || n == 0 || !validHost(host) {
			return fmt.Errorf(`stun.probe: %q is not a server: write "stun.example.org:3478"`, c.STUN.Probe)
		}
	}
	if c.PublicHost != "" && !validHost(c.PublicHost) {
		return fmt.Errorf(`public_host: %q is not a host name or an address: write "call.example.org", without `+
			`scheme and port (a name with other than ASCII letters in its xn-- form)`, c.PublicHost)
	}
	if _, err := signal.New(signal.Options{AllowedOrigins: c.Web.AllowedOrigins}); err != nil {
		return fmt.Errorf("web.allowed_origins: %w", err)
	}
	for key, secret := range map[string]Secret{"turn.secret": c.TURN.Secret, "admin.token": c.Admin.Token} {
		if secret != "" && len(secret) < minSecret {
			return fmt.Errorf("%s: want at least %d characters: make one with openssl rand -hex 16", key, minSecret)
		}
	}
	if err := c.validateAuth(); err != nil {
		return err
	}
	if c.Signal.Resume != 0 && (c.Signal.Resume < Duration(time.Second) || c.Signal.Resume > Duration(time.Hour)) {
		return errors.New(`signal.resume: want "1s" to "1h", or 0 for not at all`)
	}
	if c.Signal.Heartbeat < Duration(time.Second) || c.Signal.Heartbeat > Duration(time.Minute) {
		return errors.New(`signal.heartbeat: want "1s" to "1m"`)
	}
	if c.TURN.CredentialTTL < Duration(time.Minute) {
		return errors.New(`turn.credential_ttl: want at least "1m"`)
	}
	if c.TURN.MinLifetime > Duration(59*time.Minute) {
		return errors.New(`turn.min_lifetime: want at most "59m"`)
	}
	if c.Signal.MaxFrame < 1024 || c.Signal.MaxFrame > 65536 {
		return errors.New("signal.max_frame: want 1024 to 65536 bytes: clients are promised no more")
	}
	for key, n := range map[string]int{
		"turn.limits.allocations": c.TURN.Limits.Allocations, "turn.limits.per_user": c.TURN.Limits.PerUser,
		"turn.limits.per_source": c.TURN.Limits.PerSource, "turn.limits.permissions": c.TURN.Limits.Permissions,
		"turn.limits.channels": c.TURN.Limits.Channels, "turn.limits.connections": c.TURN.Limits.Connections,
		"turn.limits.connections_per_source":  c.TURN.Limits.ConnectionsPerSource,
		"turn.limits.unauthorized_per_source": c.TURN.Limits.UnauthorizedPerSource,
		"signal.room_capacity":                c.Signal.RoomCapacity, "signal.rooms": c.Signal.Rooms,
		"signal.rooms_per_session": c.Signal.RoomsPerSession,
		"signal.sessions":          c.Signal.Sessions, "signal.sessions_per_source": c.Signal.SessionsPerSource,
	} {
		if n < 0 {
			return fmt.Errorf("%s: %d is below 0; 0 is no limit", key, n)
		}
	}
	if c.Signal.Rate < 0 || math.IsNaN(c.Signal.Rate) || math.IsInf(c.Signal.Rate, 0) {
		return errors.New("signal.rate: want a number of messages a second; 0 is no limit")
	}
	return nil
}

func (c *Config) validateTLS() error {
	switch c.TLS.Mode {
	case "off":
		if c.TURN.DTLS {
			return errors.New(`turn.dtls: it needs a certificate, and tls.mode is "off"`)
		}
	case "files":
		if c.TLS.Cert == "" || c.TLS.Key == "" {
			return errors.New(`tls.cert, tls.key: mode "files" needs both`)
		}
	case "acme":
		if _, err := netip.ParseAddr(c.PublicHost); err == nil || c.PublicHost == "" {
			return errors.New(`public_host: tls.mode "acme" needs the name that the certificate is to be for: write ` +
				`"call.example.org"`)
		}
		if u, err := url.Parse(c.TLS.ACMEDirectory); err != nil || u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf(`tls.acme_directory: %q is no directory: write `+
				`"https://acme-v02.api.letsencrypt.org/directory"`, c.TLS.ACMEDirectory)
		}
		if c.TLS.ACMEEmail != "" && !strings.Contains(c.TLS.ACMEEmail, "@") {
			return fmt.Errorf("tls.acme_email: %q is no e-mail address", c.TLS.ACMEEmail)
		}
		if c.Web.Listen == "" && c.Web.TLSListen == "" {
			return errors.New(`web.listen, web.tls_listen: tls.mode "acme" needs one of them, where the directory ` +
				`sees that public_host leads here`)
		}
	}
	return nil
}

// minPassword is the shortest password, in characters. It may be short since guesses are limited.
const minPassword = 8

func (c *Config) validateAuth() error {
	if c.Auth.Mode == "password" && len(c.Auth.Password) < minPassword {
		return fmt.Errorf(`auth.password: mode "password" needs one of at least %d characters`, minPassword)
	}
	if c.Auth.Mode == "jwt" && c.Auth.JWTKey == "" {
		return errors.New(`auth.jwt_key: mode "jwt" needs one: a secret (make one with openssl rand -hex 32) or a ` +
			`public key`)
	}
	if c.Auth.JWTKey != "" && !isPath(string(c.Auth.JWTKey)) {
		if _, err := parseJWTKey(string(c.Auth.JWTKey)); err != nil {
			return fmt.Errorf("auth.jwt_key: %w", err)
		}
	}
	if c.Compat.TURNREST != turnRESTOff && len(c.Compat.TURNREST) < minSecret {
		return fmt.Errorf(`compat.turn_rest: want "off" or a key of at least %d characters: make one with openssl `+
			`rand -hex 16`, minSecret)
	}
	return nil
}

func (c *Config) validateAddresses() error {
	for _, l := range []struct{ key, addr string }{{"web.listen", c.Web.Listen}, {"web.tls_listen", c.Web.TLSListen},
		{"metrics.listen", c.Metrics.Listen}} {
		if l.addr == "" {
			continue
		}
		if _, err := listenAddr(l.addr); err != nil {
			return fmt.Errorf("%s: %w", l.key, err)
		}
	}
	if len(c.TURN.Listen) == 0 {
		return errors.New(`turn.listen: want at least one entry, such as ":3478"`)
	}
	for _, addr := range c.TURN.Listen {
		if _, err := listenAddr(addr); err != nil {
			return fmt.Errorf("turn.listen: %w", err)
		}
	}
	if _, _, err := c.alternate(); err != nil {
		return err
	}
	if _, _, err := c.relayPorts(); err != nil {
		return fmt.Errorf("turn.relay_ports: %w", err)
	}
	if err := oneOfEachFamily(c.TURN.RelayIP); err != nil {
		return fmt.Errorf("turn.relay_ip: %w", err)
	}
	var literal []string
	for _, s := range c.PublicIP {
		if _, err := netip.ParseAddr(s); err == nil {
			literal = append(literal, s)
		} else if !validHost(s) { // "auto" is one
			return fmt.Errorf(`public_ip: %q is neither "auto" nor an address nor a host name: write `+
				`"198.51.100.7", or a name that leads to it`, s)
		}
	}
	if err := oneOfEachFamily(literal); err != nil {
		return fmt.Errorf("public_ip: %w", err)
	}
	for key, list := range map[string][]string{
		"turn.allow_peers": c.TURN.AllowPeers, "turn.deny_peers": c.TURN.DenyPeers,
		"web.trusted_proxies": c.Web.TrustedProxies,
	} {
		if _, err := parsePrefixes(list); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// oneOfEachFamily checks a list of addresses, of which an empty string is none.
func oneOfEachFamily(list []string) error {
	var seen [2]string
	for _, s := range list {
		if s == "" {
			continue
		}
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.IsUnspecified() || ip.Zone() != "" || ip.Is4In6() {
			return fmt.Errorf("%q is not an IPv4 or IPv6 address", s)
		}
		family := &seen[0]
		if ip.Is6() {
			family = &seen[1]
		}
		if *family != "" {
			return fmt.Errorf("%s and %s: want one address of each family", *family, s)
		}
		*family = s
	}
	return nil
}

// listenAddr parses "host:port", where host is empty or an IP address.
func listenAddr(s string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf(`%q is not an address to listen on: write ":3478", "192.0.2.1:3478" or `+
			`"[2001:db8::1]:3478"`, s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q: %q is not a port, 0 to 65535", s, port)
	}
	ip := netip.IPv6Unspecified()
	if host != "" {
		if ip, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, fmt.Errorf("%q: %q is not an IP address; leave it empty for every address of "+
				"this machine", s, host)
		}
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

func (c *Config) relayPorts() (lo, hi uint16, err error) {
	a, b, ok := strings.Cut(c.TURN.RelayPorts, "-")
	first, err1 := strconv.ParseUint(strings.TrimSpace(a), 10, 16)
	second, err2 := strconv.ParseUint(strings.TrimSpace(b), 10, 16)
	if !ok || err1 != nil || err2 != nil || first == 0 || second < first {
		return 0, 0, fmt.Errorf(`%q is not a range of ports: write "49152-65535"`, c.TURN.RelayPorts)
	}
	return uint16(first), uint16(second), nil
}

func parsePrefixes(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			ip, err := netip.ParseAddr(s)
			if err != nil {
				return nil, fmt.Errorf(`%q is neither an address nor a network: write "10.1.2.3" or "10.0.0.0/8"`, s)
			}
			p = netip.PrefixFrom(ip, ip.BitLen())
		}
		if p != p.Masked() {
			return nil, fmt.Errorf("%q has host bits set: write %q", s, p.Masked())
		}
		out = append(out, p)
	}
	return out, nil
}

// key returns the user's 16-byte long-term credential key.
func (u TURNUser) key(realm string) ([]byte, error) {
	switch {
	case u.Name == "":
		return nil, errors.New("name: a user needs one")
	case (u.Password == "") == (u.Key == ""):
		return nil, fmt.Errorf("%s: give either password or key", u.Name)
	case u.Password != "":
		return cred.LongTermKey(u.Name, realm, string(u.Password)), nil
	}
	key, err := hex.DecodeString(string(u.Key))
	if err != nil || len(key) != 16 {
		return nil, fmt.Errorf(`%s: key is not 32 hex digits: make one with printf '%%s' 'name:realm:password' | `+
			`md5sum`, u.Name)
	}
	return key, nil
}
