package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"signalbox/internal/admission"
	"signalbox/internal/netaddr"
	"signalbox/internal/state"
	"signalbox/signal"
	"signalbox/turnsvc/cred"
)

// Each type of value parses itself, by toml.Unmarshaler.

// Secret is a string that no log and no error message shows.
type Secret = state.Secret

// wrongType says that a value is of another type than it must be.
func wrongType(want string, got any) error {
	err := fmt.Errorf("want a value of type %s, not %s", want, typeName(got))
	if want == "string" {
		return textWanted{err}
	}
	return err
}

// textWanted is the error of a value that is no text, where one is wanted.
type textWanted struct{ error }

var errNoTexts = textWanted{errors.New("want a list of strings")} // without the value: it may be a secret

// typeName is what TOML calls the type of a decoded value.
func typeName(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case int64:
		return "integer"
	case float64:
		return "float"
	case bool:
		return "boolean"
	case map[string]any:
		return "table"
	case []any, []map[string]any:
		return "array"
	}
	return "date"
}

func text(v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", wrongType("string", v)
	}
	return s, nil
}

// list takes a list of strings. A single string is a list of one.
func list(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case []any:
		out := make([]string, len(v))
		for i := range v {
			s, ok := v[i].(string)
			if !ok {
				return nil, errNoTexts
			}
			out[i] = s
		}
		return out, nil
	}
	return nil, errNoTexts
}

// each parses every string of a list.
func each[T any](v any, parse func(string) (T, error)) ([]T, error) {
	in, err := list(v)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(in))
	for i := range in {
		if out[i], err = parse(in[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checked is a value that knows what it may be. UnmarshalTOML refuses anything else, and Validate
// what a program has put there.
type checked interface{ check() error }

// word is one of several words.
type word interface {
	~string
	checked
}

// choose takes one of several words.
func choose[T word](to *T, v any) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	return take(to, T(s))
}

func oneOf(s string, words ...string) error {
	if !slices.Contains(words, s) {
		return fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
	}
	return nil
}

// TLSMode is a value of tls.mode.
type TLSMode string

func (m TLSMode) check() error { return oneOf(string(m), "off", "self-signed", "files", "acme") }

// UnmarshalTOML implements toml.Unmarshaler.
func (m *TLSMode) UnmarshalTOML(v any) error { return choose(m, v) }

// Peers is a value of turn.peers.
type Peers string

func (p Peers) check() error { return oneOf(string(p), "room", "signaled", "public", "any") }

// UnmarshalTOML implements toml.Unmarshaler.
func (p *Peers) UnmarshalTOML(v any) error { return choose(p, v) }

// Family is a value of turn.default_family.
type Family string

func (f Family) check() error { return oneOf(string(f), "ipv4", "ipv6", "auto") }

// UnmarshalTOML implements toml.Unmarshaler.
func (f *Family) UnmarshalTOML(v any) error { return choose(f, v) }

// StaticPeers is a value of turn.static_peers.
type StaticPeers string

func (p StaticPeers) check() error { return oneOf(string(p), "public", "any") }

// UnmarshalTOML implements toml.Unmarshaler.
func (p *StaticPeers) UnmarshalTOML(v any) error { return choose(p, v) }

// AuthMode is a value of auth.mode.
type AuthMode string

func (m AuthMode) check() error {
	return oneOf(string(m), admission.Open, admission.Password, admission.JWT)
}

// UnmarshalTOML implements toml.Unmarshaler.
func (m *AuthMode) UnmarshalTOML(v any) error { return choose(m, v) }

// Switch is the value of what is "on" or "off".
type Switch string

func (s Switch) check() error { return oneOf(string(s), "on", "off") }

// UnmarshalTOML implements toml.Unmarshaler.
func (s *Switch) UnmarshalTOML(v any) error { return choose(s, v) }

// On reports whether it is on.
func (s Switch) On() bool { return s == "on" }

// LogLevel is a value of log.level.
type LogLevel string

func (l LogLevel) check() error { return oneOf(string(l), "debug", "info", "warn", "error") }

// UnmarshalTOML implements toml.Unmarshaler.
func (l *LogLevel) UnmarshalTOML(v any) error { return choose(l, v) }

// LogAddresses is a value of log.addresses.
type LogAddresses string

func (l LogAddresses) check() error { return oneOf(string(l), "full", "network", "none") }

// UnmarshalTOML implements toml.Unmarshaler.
func (l *LogAddresses) UnmarshalTOML(v any) error { return choose(l, v) }

// LogFormat is a value of log.format.
type LogFormat string

func (f LogFormat) check() error { return oneOf(string(f), "text", "json") }

// UnmarshalTOML implements toml.Unmarshaler.
func (f *LogFormat) UnmarshalTOML(v any) error { return choose(f, v) }

// Secrets is a list of secrets. A single one is a list of one.
type Secrets []Secret

// UnmarshalTOML implements toml.Unmarshaler.
func (s *Secrets) UnmarshalTOML(v any) (err error) {
	*s, err = each(v, func(s string) (Secret, error) { return Secret(s), nil })
	return err
}

// Reveal returns them as strings.
func (s Secrets) Reveal() []string {
	out := make([]string, len(s))
	for i := range s {
		out[i] = string(s[i])
	}
	return out
}

// Duration is a time.Duration that is written "30s". 0 is allowed without a unit.
type Duration time.Duration

func (d Duration) check() error {
	if d < 0 {
		return fmt.Errorf(`%q is not a duration: write "30s", "5m" or "12h"`, time.Duration(d))
	}
	return nil
}

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

// Count is a limit of a number of things; 0 means no limit.
type Count int

// UnmarshalTOML implements toml.Unmarshaler.
func (c *Count) UnmarshalTOML(v any) error {
	n, ok := v.(int64)
	if !ok {
		return wrongType("integer", v)
	}
	return take(c, Count(n))
}

func (c Count) check() error {
	switch {
	case c < 0:
		return fmt.Errorf("%d is below 0; 0 means no limit", c)
	case c > math.MaxInt32:
		return fmt.Errorf("%d is more than %d; 0 means no limit", c, math.MaxInt32)
	}
	return nil
}

// take puts a value where it belongs if it may be what it is.
func take[T checked](to *T, next T) error {
	if err := next.check(); err != nil {
		return err
	}
	*to = next
	return nil
}

// Rate is a limit per second; 0 means no limit.
type Rate float64

// UnmarshalTOML implements toml.Unmarshaler.
func (r *Rate) UnmarshalTOML(v any) error {
	var n float64
	switch v := v.(type) {
	case int64:
		n = float64(v)
	case float64:
		n = v
	default:
		return wrongType("float", v)
	}
	return take(r, Rate(n))
}

func (r Rate) check() error {
	if n := float64(r); n < 0 || math.IsNaN(n) || math.IsInf(n, 0) {
		return errors.New("want a number of messages a second; 0 means no limit")
	}
	return nil
}

// Size is a number of bytes, written as one or "10MB", "1.5GB", "64KiB".
type Size int64

var sizePattern = regexp.MustCompile(`^(\d+(?:\.\d+)?) ?([kKMGT]i?)?B?$`)

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
			if n *= unit(m[2]); err == nil && n < 1<<62 {
				*s = Size(n)
				return nil
			}
		}
	}
	return notBytes(v)
}

func (s Size) check() error {
	if s < 0 {
		return notBytes(int64(s))
	}
	return nil
}

func notBytes(v any) error {
	return fmt.Errorf(`%v is not a number of bytes: write 500000, "500kB", "10MB" or "2TB"`, v)
}

// unit returns the factor of a prefix: "k", "K", "Ki" and so on; empty: 1.
func unit(prefix string) float64 {
	if prefix == "" {
		return 1
	}
	base := 1000.0
	if strings.HasSuffix(prefix, "i") {
		base = 1024
	}
	return math.Pow(base, float64(1+strings.IndexByte("KMGT", strings.ToUpper(prefix)[0])))
}

// Listen is an address to listen on. The zero Listen is off. The IPv6 unspecified address means
// every address of this machine, port 0 a port of the system's choice.
type Listen struct{ netip.AddrPort }

// On reports whether there is one.
func (l Listen) On() bool { return l.IsValid() }

// String is the address as it may be written.
func (l Listen) String() string {
	switch {
	case !l.On():
		return ""
	case l.Addr() == netip.IPv6Unspecified():
		return fmt.Sprint(":", l.Port())
	}
	return l.AddrPort.String()
}

// servesIPv4 reports whether IPv4 clients come to it.
func (l Listen) servesIPv4() bool { return l.Addr().Is4() || l.Addr() == netip.IPv6Unspecified() }

// UnmarshalTOML implements toml.Unmarshaler.
func (l *Listen) UnmarshalTOML(v any) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	if s == "" {
		*l = Listen{}
		return nil
	}
	at, err := netaddr.ParseListen(s)
	if err == nil {
		*l = Listen{at}
	}
	return err
}

// TURNListen is an address at which TURN listens over one transport: "udp", "tcp", "tls" or "dtls";
// empty: over UDP and TCP. TLS and DTLS are recognized on the ports of TCP and UDP, too.
type TURNListen struct {
	Listen
	Transport string
}

// String is the entry as it may be written.
func (l TURNListen) String() string {
	if l.Transport == "" {
		return l.Listen.String()
	}
	return l.Transport + "/" + l.Listen.String()
}

// OnUDP and OnTCP report whether it listens there.
func (l TURNListen) OnUDP() bool { return l.Transport != "tcp" && l.Transport != "tls" }

// OnTCP is described at OnUDP.
func (l TURNListen) OnTCP() bool { return l.Transport != "udp" && l.Transport != "dtls" }

// discovers reports whether NAT behavior discovery can be served there.
func (l TURNListen) discovers() bool { return l.servesIPv4() && l.OnUDP() }

func parseTURNListen(s string) (l TURNListen, err error) {
	if transport, at, ok := strings.Cut(s, "/"); ok {
		l.Transport, s = transport, at
		if err := oneOf(transport, turnTransports()...); err != nil {
			return l, err
		}
	}
	l.AddrPort, err = netaddr.ParseListen(s)
	return l, err
}

func turnTransports() []string { return []string{"udp", "tcp", "tls", "dtls"} }

// Listens is a list of them.
type Listens []TURNListen

// UnmarshalTOML implements toml.Unmarshaler.
func (l *Listens) UnmarshalTOML(v any) error {
	next, err := each(v, parseTURNListen)
	if err != nil {
		return err
	}
	return take(l, Listens(next))
}

func (l Listens) check() error {
	if len(l) == 0 || slices.ContainsFunc(l, func(at TURNListen) bool { return !at.On() }) {
		return errors.New(`want at least one entry, such as ":3478"`)
	}
	for _, at := range l {
		if err := oneOf(at.Transport, append(turnTransports(), "")...); err != nil {
			return err
		}
	}
	return nil
}

// over reports whether an entry names that transport.
func (l Listens) over(transport string) bool {
	return slices.ContainsFunc(l, func(at TURNListen) bool { return at.Transport == transport })
}

// Prefixes is a list of addresses and networks.
type Prefixes []netip.Prefix

// UnmarshalTOML implements toml.Unmarshaler.
func (p *Prefixes) UnmarshalTOML(v any) error {
	next, err := each(v, netaddr.ParsePrefix)
	if err == nil {
		*p = next
	}
	return err
}

// AllowedPeers is a list of addresses and networks, each whole or with ports.
type AllowedPeers struct {
	Networks []netip.Prefix
	Ports    []netaddr.Ports
}

// UnmarshalTOML implements toml.Unmarshaler.
func (p *AllowedPeers) UnmarshalTOML(v any) error {
	in, err := list(v)
	if err != nil {
		return err
	}
	var next AllowedPeers
	for _, s := range in {
		ports, ok, err := netaddr.ParsePorts(s)
		if err != nil {
			return err
		}
		if ok {
			next.Ports = append(next.Ports, ports)
			continue
		}
		network, err := netaddr.ParsePrefix(s)
		if err != nil {
			return err
		}
		next.Networks = append(next.Networks, network)
	}
	*p = next
	return nil
}

// Addrs holds at most one address of each family.
type Addrs []netip.Addr

// UnmarshalTOML implements toml.Unmarshaler. An empty string means no address.
func (a *Addrs) UnmarshalTOML(v any) error {
	in, err := list(v)
	if err != nil {
		return err
	}
	next, err := oneOfEachFamily(slices.DeleteFunc(in, func(s string) bool { return s == "" }))
	if err == nil {
		*a = next
	}
	return err
}

func oneOfEachFamily(list []string) (out []netip.Addr, err error) {
	for _, s := range list {
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.IsUnspecified() || ip.Zone() != "" || ip.Is4In6() {
			return nil, fmt.Errorf("%q is not an IPv4 or IPv6 address", s)
		}
		for _, other := range out {
			if other.Is4() == ip.Is4() {
				return nil, fmt.Errorf("%s and %s: want one address of each family", other, ip)
			}
		}
		out = append(out, ip)
	}
	return out, nil
}

// PublicIP is the value of public_ip.
type PublicIP struct {
	Addrs []netip.Addr // at most one of each family
	Names []string     // that lead to such addresses
	Auto  bool         // a family without either is decided by the appliance
}

// UnmarshalTOML implements toml.Unmarshaler.
func (p *PublicIP) UnmarshalTOML(v any) error {
	in, err := list(v)
	if err != nil {
		return err
	}
	next := PublicIP{Auto: len(in) == 0}
	var literal []string
	for _, s := range in {
		_, notAddr := netip.ParseAddr(s)
		switch {
		case s == "auto":
			next.Auto = true
		case notAddr == nil:
			literal = append(literal, s)
		case netaddr.ValidHost(s):
			next.Names = append(next.Names, s)
		default:
			return fmt.Errorf(`%q is neither "auto" nor an address nor a host name: write "198.51.100.7", or a `+
				`name that leads to it`, s)
		}
	}
	if next.Addrs, err = oneOfEachFamily(literal); err != nil {
		return err
	}
	*p = next
	return nil
}

// Host is a host name or an address; empty: none.
type Host string

// UnmarshalTOML implements toml.Unmarshaler.
func (h *Host) UnmarshalTOML(v any) error {
	return choose(h, v)
}

func (h Host) check() error {
	if h != "" && !netaddr.ValidHost(string(h)) {
		return fmt.Errorf(`%q is not a host name or an address: write "call.example.org", without scheme and port `+
			`(a name with other than ASCII letters in its xn-- form)`, string(h))
	}
	return nil
}

// Server is a server, "host:port"; empty: none.
type Server string

// UnmarshalTOML implements toml.Unmarshaler.
func (s *Server) UnmarshalTOML(v any) error { return choose(s, v) }

func (s Server) check() error {
	if s == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(string(s))
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || n == 0 || !netaddr.ValidHost(host) {
		return fmt.Errorf(`%q is not a server: write "stun.example.org:3478"`, string(s))
	}
	return nil
}

// Alternate is the value of stun.alternate; the zero Alternate is off.
type Alternate struct{ netip.AddrPort }

// UnmarshalTOML implements toml.Unmarshaler.
func (a *Alternate) UnmarshalTOML(v any) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	if s == "" {
		*a = Alternate{}
		return nil
	}
	at, err := netip.ParseAddrPort(s)
	if err != nil || !at.Addr().Is4() || at.Addr().IsUnspecified() {
		return fmt.Errorf(`%q is not a second IPv4 address of this machine with a second port: write `+
			`"203.0.113.11:3479"`, s)
	}
	*a = Alternate{at}
	return nil
}

// Ports is a range of ports, both ends included.
type Ports struct{ First, Last uint16 }

func (p Ports) String() string { return fmt.Sprintf("%d-%d", p.First, p.Last) }

// Count is how many there are.
func (p Ports) Count() int { return int(p.Last) - int(p.First) + 1 }

// UnmarshalTOML implements toml.Unmarshaler.
func (p *Ports) UnmarshalTOML(v any) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	a, b, ok := strings.Cut(s, "-")
	first, err1 := strconv.ParseUint(strings.TrimSpace(a), 10, 16)
	last, err2 := strconv.ParseUint(strings.TrimSpace(b), 10, 16)
	next := Ports{uint16(first), uint16(last)}
	if !ok || err1 != nil || err2 != nil || next.check() != nil {
		return fmt.Errorf(`%q is not a range of ports: write "49152-65535"`, s)
	}
	*p = next
	return nil
}

func (p Ports) check() error {
	if p.First == 0 || p.Last < p.First {
		return fmt.Errorf(`%q is not a range of ports: write "49152-65535"`, p)
	}
	return nil
}

// Separator is the character between the two parts of a time-limited credential's name.
type Separator string

func (s Separator) check() error {
	if len(s) != 1 || s[0] <= ' ' || s[0] > '~' || s[0] >= '0' && s[0] <= '9' {
		return fmt.Errorf("want one character, which is no digit, space or letter beyond ASCII, not %q", string(s))
	}
	return nil
}

// UnmarshalTOML implements toml.Unmarshaler.
func (s *Separator) UnmarshalTOML(v any) error { return choose(s, v) }

// Origins is a list of web origins, or "*".
type Origins []string

// UnmarshalTOML implements toml.Unmarshaler.
func (o *Origins) UnmarshalTOML(v any) error {
	next, err := list(v)
	if err != nil {
		return err
	}
	return take(o, Origins(next))
}

func (o Origins) check() error { return signal.CheckOrigins(o) }

// TURNUser is a static user of the TURN server: a password, or the hex MD5 key of RFC 8489 §9.2.2.
type TURNUser struct {
	Name     string `toml:"name"`
	Password Secret `toml:"password"`
	Key      Secret `toml:"key"`
}

// LongTermKey returns the user's 16-byte long-term credential key.
func (u TURNUser) LongTermKey(realm string) ([]byte, error) {
	switch {
	case u.Name == "":
		return nil, errors.New("name: every user needs one")
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
