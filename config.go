package signalbox

import (
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"signalbox/signal"
	"signalbox/turnsvc/cred"
)

// DefaultConfig is the text of the configuration that is in force where nothing else is said. It documents every key.
//
//go:embed config.toml
var DefaultConfig string

// Config is the whole configuration. Its fields are the keys of config.toml, which documents them.
type Config struct {
	PublicHost string `toml:"public_host"`
	PublicIP   List   `toml:"public_ip"`

	Web struct {
		Listen         string `toml:"listen"`
		TLSListen      string `toml:"tls_listen"`
		Root           string `toml:"root"`
		AllowedOrigins List   `toml:"allowed_origins"`
	} `toml:"web"`

	TLS struct {
		Mode string `toml:"mode"`
		Cert string `toml:"cert"`
		Key  string `toml:"key"`
	} `toml:"tls"`

	TURN struct {
		Listen        List       `toml:"listen"`
		Realm         string     `toml:"realm"`
		RelayPorts    string     `toml:"relay_ports"`
		RelayIP       List       `toml:"relay_ip"`
		Secret        Secret     `toml:"secret"`
		OldSecrets    Secrets    `toml:"old_secrets"`
		CredentialTTL Duration   `toml:"credential_ttl"`
		MinLifetime   Duration   `toml:"min_lifetime"`
		Peers         string     `toml:"peers"`
		StaticPeers   string     `toml:"static_peers"`
		AllowPeers    List       `toml:"allow_peers"`
		DenyPeers     List       `toml:"deny_peers"`
		DTLS          bool       `toml:"dtls"`
		Users         []TURNUser `toml:"users"`
		Limits        struct {
			Allocations           int `toml:"allocations"`
			PerUser               int `toml:"per_user"`
			PerSource             int `toml:"per_source"`
			Permissions           int `toml:"permissions"`
			Channels              int `toml:"channels"`
			Connections           int `toml:"connections"`
			ConnectionsPerSource  int `toml:"connections_per_source"`
			UnauthorizedPerSource int `toml:"unauthorized_per_source"`

			Bandwidth      Size `toml:"bandwidth"`
			UserBandwidth  Size `toml:"user_bandwidth"`
			TotalBandwidth Size `toml:"total_bandwidth"`
			TotalPerMonth  Size `toml:"total_per_month"`
		} `toml:"limits"`
	} `toml:"turn"`

	STUN struct {
		Alternate string `toml:"alternate"`
	} `toml:"stun"`

	Signal struct {
		RoomCapacity      int      `toml:"room_capacity"`
		Rooms             int      `toml:"rooms"`
		RoomsPerSession   int      `toml:"rooms_per_session"`
		Calls             bool     `toml:"calls"`
		Heartbeat         Duration `toml:"heartbeat"`
		MaxFrame          int      `toml:"max_frame"`
		Rate              float64  `toml:"rate"`
		Sessions          int      `toml:"sessions"`
		SessionsPerSource int      `toml:"sessions_per_source"`
	} `toml:"signal"`

	Admin struct {
		Token Secret `toml:"token"`
	} `toml:"admin"`

	Log struct {
		Level  string `toml:"level"`
		Format string `toml:"format"`
	} `toml:"log"`

	Drain struct {
		Timeout Duration `toml:"timeout"`
	} `toml:"drain"`

	// Dev is the --dev flag, not a key: it changes defaults, and opens loopback peers.
	Dev bool `toml:"-"`
}

// TURNUser is a static user of the TURN server: a password, or the hex MD5 key of RFC 8489 §9.2.2.
type TURNUser struct {
	Name     string `toml:"name"`
	Password Secret `toml:"password"`
	Key      Secret `toml:"key"`
}

// minSecret is the shortest secret that nobody guesses, in characters.
const minSecret = 16

// Secret is a string that no log and no error message shows.
type Secret string

func (Secret) String() string       { return "[secret]" }
func (Secret) GoString() string     { return "[secret]" }
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// List is a list of strings. One string stands for a list of one.
type List []string

// UnmarshalTOML implements toml.Unmarshaler.
func (l *List) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case string:
		*l = List{v}
		return nil
	case []any:
		next := make(List, len(v))
		for i := range v {
			s, ok := v[i].(string)
			if !ok {
				return fmt.Errorf("%v is not a string", v[i])
			}
			next[i] = s
		}
		*l = next
		return nil
	}
	return fmt.Errorf("%v is not a list of strings", v)
}

// Secrets is a list of them. One stands for a list of one.
type Secrets []Secret

// UnmarshalTOML implements toml.Unmarshaler.
func (s *Secrets) UnmarshalTOML(v any) error {
	var l List
	if err := l.UnmarshalTOML(v); err != nil {
		return errors.New("want a list of strings") // without the value
	}
	*s = make(Secrets, len(l))
	for i := range l {
		(*s)[i] = Secret(l[i])
	}
	return nil
}

func (s Secrets) reveal() []string {
	out := make([]string, len(s))
	for i := range s {
		out[i] = string(s[i])
	}
	return out
}

// Duration is a time.Duration that is written "30s". 0 is allowed without a unit.
type Duration time.Duration

// UnmarshalTOML implements toml.Unmarshaler.
func (d *Duration) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case string:
		parsed, err := time.ParseDuration(v)
		if err != nil || parsed < 0 {
			return fmt.Errorf(`%q is not a duration: write "30s", "5m" or "12h"`, v)
		}
		*d = Duration(parsed)
		return nil
	case int64:
		if v == 0 {
			*d = 0
			return nil
		}
	}
	return fmt.Errorf(`%v is not a duration: write "30s", "5m" or "12h"`, v)
}

// Size is a number of bytes, written as one or "10MB", "1.5GB", "64KiB".
type Size int64

// UnmarshalTOML implements toml.Unmarshaler.
func (s *Size) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case int64:
		if v >= 0 {
			*s = Size(v)
			return nil
		}
	case string:
		if m := sizePattern.FindStringSubmatch(v); m != nil {
			n, err := strconv.ParseFloat(m[1], 64)
			if n *= sizeUnits[m[2]]; err == nil && n < 1<<62 {
				*s = Size(n)
				return nil
			}
		}
	}
	return fmt.Errorf(`%v is not a number of bytes: write 500000, "500kB", "10MB" or "2TB"`, v)
}

var (
	sizePattern = regexp.MustCompile(`^(\d+(?:\.\d+)?) ?([kKMGT]i?)?B?$`)
	sizeUnits   = map[string]float64{
		"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "ki": 1 << 10, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
	}
)

// LoadOptions say where a configuration comes from, besides the defaults.
type LoadOptions struct {
	File string   // path; empty: none
	Set  []string // "key=value" overrides, in order
	Dev  bool
}

// Load reads a configuration: defaults, then the file, then the overrides. Its error is one line that names the place and says what to do.
func Load(o LoadOptions) (Config, error) {
	var c Config
	if err := decode(&c, DefaultConfig, nil); err != nil {
		return Config{}, fmt.Errorf("built-in config.toml: %w", err)
	}
	if o.Dev {
		c.Dev = true
		c.Web.Listen, c.Web.TLSListen = "127.0.0.1:8080", "127.0.0.1:8443"
		c.TURN.Listen = []string{"127.0.0.1:3478"}
		c.Drain.Timeout = 0
	}
	if o.File != "" {
		text, err := os.ReadFile(o.File)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return Config{}, fmt.Errorf("config file %s does not exist: write it (config.toml documents every key), or start without -c for the defaults", o.File)
			}
			return Config{}, fmt.Errorf("config file: %w: let this program's user read it", err)
		}
		if err := decode(&c, string(text), lineNumbers(string(text))); err != nil {
			return Config{}, fmt.Errorf("%s: %w", o.File, err)
		}
	}
	for _, set := range o.Set {
		if err := override(&c, set); err != nil {
			return Config{}, fmt.Errorf("--set %s: %w", strings.SplitN(set, "=", 2)[0], err)
		}
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// override applies one "key=value". The value is TOML; what is not, or does not fit the key, is a string.
func override(c *Config, set string) error {
	key, value, ok := strings.Cut(set, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok || key == "" {
		return errors.New("write key=value, for example turn.realm=example.org")
	}
	next := *c
	err := decode(&next, key+" = "+value, nil)
	var unknown unknownKeyError
	if err != nil && !errors.As(err, &unknown) {
		next = *c
		err = decode(&next, key+" = "+strconv.Quote(value), nil)
	}
	if err == nil {
		*c = next
	}
	return err
}

// decode reads TOML text over c. lines maps keys to lines for error messages; nil leaves them out.
func decode(c *Config, text string, lines map[string]int) error {
	meta, err := toml.Decode(text, c)
	if err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			where := ""
			if lines != nil {
				where = fmt.Sprintf("line %d: ", parse.Position.Line)
			}
			if parse.LastKey != "" {
				where += parse.LastKey + ": "
			}
			return errors.New(where + parse.Message)
		}
		return plainTypeError(strings.TrimPrefix(err.Error(), "toml: "), lines != nil)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		e := unknownKeyError{}
		for _, key := range unknown {
			name := key.String()
			// A whole unknown table is named once, not with each of its keys.
			if n := len(e); n > 0 && strings.HasPrefix(name, e[n-1].key+".") {
				continue
			}
			e = append(e, unknownKey{name, lines[name], nearest(name)})
		}
		return e
	}
	return nil
}

// The decoder's words for a value of the wrong type.
var (
	typeErrorPlace = regexp.MustCompile(`^line (\d+) \(last key "([^"]+)"\): `)
	typeErrorWhat  = regexp.MustCompile(`^incompatible types: TOML value has type (\w+); destination has type (\w+)$`)
)

// plainTypeError says where and what in the words of this program's other errors.
func plainTypeError(text string, withLine bool) error {
	where := ""
	if m := typeErrorPlace.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		where = m[2] + ": "
		if withLine {
			where = "line " + m[1] + ": " + where
		}
	}
	if m := typeErrorWhat.FindStringSubmatch(text); m != nil {
		text = fmt.Sprintf("want a value of type %s, not %s", m[2], m[1])
	}
	return errors.New(where + text)
}

type unknownKey struct {
	key  string
	line int
	near string
}

// unknownKeyError names every unknown key.
type unknownKeyError []unknownKey

func (e unknownKeyError) Error() string {
	parts := make([]string, len(e))
	for i, k := range e {
		parts[i] = k.key
		if k.line > 0 {
			parts[i] += fmt.Sprintf(" (line %d)", k.line)
		}
		if k.near != "" {
			parts[i] += ": did you mean " + k.near + "?"
		} else {
			parts[i] += ": there is no such key"
		}
	}
	return strings.Join(parts, "; ")
}

// lineNumbers finds the line of each key and table of a TOML text. It reads headers and plain keys only, which is what
// error messages need.
func lineNumbers(text string) map[string]int {
	lines := map[string]int{}
	table := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		var key string
		switch {
		case strings.HasPrefix(line, "["):
			table = strings.Trim(strings.SplitN(line, "#", 2)[0], "[] \t")
			key = table
			table += "."
		default:
			name, _, ok := strings.Cut(line, "=")
			if !ok || strings.HasPrefix(line, "#") {
				continue
			}
			key = table + strings.Trim(strings.TrimSpace(name), `"'`)
		}
		if lines[key] == 0 {
			lines[key] = i + 1
		}
	}
	return lines
}

// keys returns every key of the configuration, dotted.
func keys() []string {
	var c Config
	meta, err := toml.Decode(DefaultConfig, &c)
	if err != nil {
		return nil
	}
	var all []string
	for _, k := range meta.Keys() {
		all = append(all, k.String())
	}
	return append(all, "turn.users", "turn.users.name", "turn.users.password", "turn.users.key")
}

// nearest returns the key that name was probably meant to be, or "". A key that stands in the wrong table counts as near.
func nearest(name string) string {
	best, bestCost := "", min(4, len(name)/2)
	for _, k := range keys() {
		cost := distance(name, k)
		if last(k) == last(name) {
			cost = min(cost, 2)
		}
		if cost < bestCost {
			best, bestCost = k, cost
		}
	}
	return best
}

func last(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

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
		{"tls.mode", c.TLS.Mode, []string{"off", "self-signed", "files"}},
		{"turn.peers", c.TURN.Peers, []string{"room", "signaled", "public", "any"}},
		{"turn.static_peers", c.TURN.StaticPeers, []string{"public", "any"}},
		{"log.level", c.Log.Level, []string{"debug", "info", "warn", "error"}},
		{"log.format", c.Log.Format, []string{"text", "json"}},
	} {
		if !slices.Contains(choice.of, choice.value) {
			return fmt.Errorf("%s: %q is none of %s", choice.key, choice.value, strings.Join(choice.of, ", "))
		}
	}
	if c.TLS.Mode == "files" && (c.TLS.Cert == "" || c.TLS.Key == "") {
		return errors.New(`tls.cert, tls.key: mode "files" needs both`)
	}
	if c.TURN.DTLS && c.TLS.Mode == "off" {
		return errors.New(`turn.dtls: it needs a certificate, and tls.mode is "off"`)
	}
	if c.PublicHost != "" && !validHost(c.PublicHost) {
		return fmt.Errorf(`public_host: %q is not a host name or an address: write "call.example.org", without scheme and port (a name with other than ASCII letters in its xn-- form)`, c.PublicHost)
	}
	if _, err := signal.New(signal.Options{AllowedOrigins: c.Web.AllowedOrigins}); err != nil {
		return fmt.Errorf("web.allowed_origins: %w", err)
	}
	for key, secret := range map[string]Secret{"turn.secret": c.TURN.Secret, "admin.token": c.Admin.Token} {
		if secret != "" && len(secret) < minSecret {
			return fmt.Errorf("%s: want at least %d characters: make one with openssl rand -hex 16", key, minSecret)
		}
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
	if c.Signal.MaxFrame < 1024 {
		return errors.New("signal.max_frame: want at least 1024 bytes")
	}
	for key, n := range map[string]int{
		"turn.limits.allocations": c.TURN.Limits.Allocations, "turn.limits.per_user": c.TURN.Limits.PerUser,
		"turn.limits.per_source": c.TURN.Limits.PerSource, "turn.limits.permissions": c.TURN.Limits.Permissions,
		"turn.limits.channels": c.TURN.Limits.Channels, "turn.limits.connections": c.TURN.Limits.Connections,
		"turn.limits.connections_per_source": c.TURN.Limits.ConnectionsPerSource, "turn.limits.unauthorized_per_source": c.TURN.Limits.UnauthorizedPerSource,
		"signal.room_capacity": c.Signal.RoomCapacity, "signal.rooms": c.Signal.Rooms, "signal.rooms_per_session": c.Signal.RoomsPerSession,
		"signal.sessions": c.Signal.Sessions, "signal.sessions_per_source": c.Signal.SessionsPerSource,
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

func (c *Config) validateAddresses() error {
	for _, l := range []struct{ key, addr string }{{"web.listen", c.Web.Listen}, {"web.tls_listen", c.Web.TLSListen}} {
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
			return fmt.Errorf(`public_ip: %q is neither "auto" nor an address nor a host name`, s)
		}
	}
	if err := oneOfEachFamily(literal); err != nil {
		return fmt.Errorf("public_ip: %w", err)
	}
	for key, list := range map[string][]string{"turn.allow_peers": c.TURN.AllowPeers, "turn.deny_peers": c.TURN.DenyPeers} {
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
		return netip.AddrPort{}, fmt.Errorf(`%q is not an address to listen on: write ":3478", "192.0.2.1:3478" or "[2001:db8::1]:3478"`, s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q: %q is not a port, 0 to 65535", s, port)
	}
	ip := netip.IPv6Unspecified()
	if host != "" {
		if ip, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, fmt.Errorf("%q: %q is not an IP address; leave it empty for every address of this machine", s, host)
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
		return nil, fmt.Errorf(`%s: key is not 32 hex digits: make one with printf '%%s' 'name:realm:password' | md5sum`, u.Name)
	}
	return key, nil
}
