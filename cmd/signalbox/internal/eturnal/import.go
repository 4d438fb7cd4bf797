package eturnal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"signalbox/cmd/signalbox/internal/conf"
	"signalbox/internal/state"

	"go.yaml.in/yaml/v3"
)

// file is eturnal.yml.
type file struct {
	Eturnal map[string]yaml.Node `yaml:"eturnal"`
}

// listener is an entry of its list "listen".
type listener struct {
	IP         string `yaml:"ip"`
	Port       uint16 `yaml:"port"`
	Transport  string `yaml:"transport"`
	EnableTURN *bool  `yaml:"enable_turn"`
	Proxy      bool   `yaml:"proxy_protocol"`
}

// Import reads eturnal.yml. It returns the text of a config.toml that does the same, and what it
// does not do, with the lines of eturnal.yml.
func Import(conf io.Reader) (text string, notes []string, err error) {
	var from file
	if err := yaml.NewDecoder(conf).Decode(&from); err != nil && !errors.Is(err, io.EOF) {
		return "", nil, err
	}
	if from.Eturnal == nil {
		return "", nil, errors.New(`there is no section "eturnal:"`)
	}
	im := &importer{}
	byLine := func(a, b string) int { return cmp.Compare(from.Eturnal[a].Line, from.Eturnal[b].Line) }
	for _, name := range slices.SortedFunc(maps.Keys(from.Eturnal), byLine) {
		im.take(name, from.Eturnal[name])
	}
	im.finish()
	text, err = im.to.Text()
	return text, im.notes, err
}

type importer struct {
	to          conf.Config
	notes       []string
	first, last uint16 // relay ports; 0: eturnal's default, which is ours
	tls         bool   // a listener has TLS
}

func (im *importer) note(line int, format string, args ...any) {
	im.notes = append(im.notes, fmt.Sprintf("line %d: ", line)+fmt.Sprintf(format, args...))
}

// same are options that need no word: the box does so anyway, or something else does on a server
// with systemd.
var same = []string{"log_dir", "log_rotate_size", "log_rotate_count", "run_dir", "software_name", "strict_expiry"}

// different says why options are not carried over, and what there is instead.
var different = map[string]string{
	"blacklist_clients": "who may come to the box is a matter of the firewall",
	"whitelist_clients": "who may come to the box is a matter of the firewall",
	"tls_ciphers":       "the box offers what is safe",
	"tls_options":       "the box offers what is safe: TLS 1.2 and 1.3",
	"tls_dh_file":       "the box offers what is safe",
}

// take takes one option.
func (im *importer) take(name string, value yaml.Node) {
	into := map[string]any{"realm": &im.to.TURN.Realm, "relay_min_port": &im.first, "relay_max_port": &im.last,
		"tls_crt_file": &im.to.TLS.Cert, "tls_key_file": &im.to.TLS.Key}[name]
	switch {
	case into != nil:
		im.read(name, value, into)
	case name == "listen":
		im.listen(value)
	case name == "secret":
		im.secrets(value)
	case name == "credentials":
		im.users(value)
	case name == "relay_ipv4_addr" || name == "relay_ipv6_addr":
		var address string
		if im.read(name, value, &address) {
			im.to.PublicIP = append(im.to.PublicIP, im.addresses(name, value.Line, address)...)
		}
	case name == "blacklist" || name == "blacklist_peers":
		im.to.TURN.DenyPeers = append(im.to.TURN.DenyPeers, im.networks(name, value)...)
	case name == "whitelist" || name == "whitelist_peers":
		im.to.TURN.AllowPeers = append(im.to.TURN.AllowPeers, im.networks(name, value)...)
	case name == "max_allocations":
		im.to.TURN.Limits.PerUser = im.limit(name, value)
	case name == "max_permissions":
		im.to.TURN.Limits.Permissions = im.limit(name, value)
	case name == "max_bps":
		im.bandwidth(value)
	case name == "log_level":
		im.logLevel(value)
	case name == "modules":
		im.modules(value)
	case slices.Contains(same, name):
	case different[name] != "":
		im.note(value.Line, "%s: %s", name, different[name])
	default:
		im.note(value.Line, "%s: not known, and not carried over", name)
	}
}

// read decodes a value, or notes why it can't.
func (im *importer) read(name string, value yaml.Node, into any) bool {
	if err := value.Decode(into); err != nil {
		im.note(value.Line, "%s: it has another form than eturnal's documentation says, and is left out", name)
		return false
	}
	return true
}

// several reads a text or a list of texts.
func (im *importer) several(name string, value yaml.Node) (all []string) {
	if value.Kind == yaml.ScalarNode {
		all = []string{""}
		if !im.read(name, value, &all[0]) {
			return nil
		}
		return all
	}
	im.read(name, value, &all)
	return all
}

func (im *importer) addresses(name string, line int, address string) []string {
	if _, err := netip.ParseAddr(address); err != nil {
		im.note(line, "%s: %q is no address: set public_ip", name, address)
		return nil
	}
	return []string{address}
}

func (im *importer) networks(name string, value yaml.Node) (all []string) {
	for _, text := range im.several(name, value) {
		switch {
		case text == "recommended" || text == "default": // private and special networks, which are closed here anyway
		case !prefix(text).IsValid():
			im.note(value.Line, "%s: %q is no address and no network, and left out", name, text)
		default:
			all = append(all, text)
		}
	}
	return all
}

// limit reads a number, or "unlimited", which is 0 here. Nil: it is neither.
func (im *importer) limit(name string, value yaml.Node) *uint64 {
	n := uint64(0)
	if value.Value != "unlimited" && !im.read(name, value, &n) {
		return nil
	}
	return &n
}

func (im *importer) bandwidth(value yaml.Node) {
	n := im.limit("max_bps", value)
	if im.to.TURN.Limits.Bandwidth = n; n != nil && *n > 0 {
		im.note(value.Line, "max_bps: eturnal limits TCP and TLS; here it holds for UDP, too")
	}
}

func (im *importer) secrets(value yaml.Node) {
	all := im.several("secret", value)
	for _, s := range all {
		if len(s) < state.MinSecret {
			im.note(value.Line, "secret: one is shorter than %d characters, and can be guessed: give programs "+
				"a longer one",
				state.MinSecret)
		}
	}
	if len(all) > 0 {
		im.to.TURN.Secret, im.to.TURN.OldSecrets = all[0], all[1:]
	}
}

func (im *importer) users(value yaml.Node) {
	var passwords map[string]string
	if !im.read("credentials", value, &passwords) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(passwords)) {
		im.to.TURN.Users = append(im.to.TURN.Users, conf.User{Name: name, Password: passwords[name]})
	}
}

func (im *importer) listen(value yaml.Node) {
	var all []listener
	if !im.read("listen", value, &all) {
		return
	}
	for _, l := range all {
		entry := map[string]string{"": "udp/", "udp": "udp/", "tcp": "tcp/", "tls": "tls/", "auto": "tcp/"}[l.Transport]
		if entry == "" {
			im.note(value.Line, "listen: %q is none of udp, tcp, tls, auto: the entry is left out", l.Transport)
			continue
		}
		if l.Port == 0 {
			l.Port = 3478
			if entry == "tls/" {
				l.Port = 5349
			}
		}
		host := l.IP
		if host == "::" {
			host = "" // both families
		}
		im.to.TURN.Listen = append(im.to.TURN.Listen, entry+net.JoinHostPort(host, strconv.Itoa(int(l.Port))))
		im.tls = im.tls || entry == "tls/" || l.Transport == "auto"
		if l.EnableTURN != nil && !*l.EnableTURN {
			im.note(value.Line, "listen: port %d serves TURN, too: enable_turn can't be turned off", l.Port)
		}
		if l.Proxy {
			im.note(value.Line, "listen: port %d takes no PROXY header: set web.proxy_protocol and "+
				"web.trusted_proxies, and lead the balancer to web.tls_listen, which serves TURN over TLS", l.Port)
		}
	}
}

func (im *importer) logLevel(value yaml.Node) {
	level, known := map[string]string{"critical": "error", "error": "error", "warning": "warn", "notice": "info",
		"info": "info", "debug": "debug"}[value.Value]
	if !known {
		im.note(value.Line, "log_level: %q is not known: set log.level", value.Value)
	}
	if level != "info" {
		im.to.Log.Level = level
	}
}

func (im *importer) modules(value yaml.Node) {
	var all map[string]yaml.Node
	if !im.read("modules", value, &all) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		node := all[name]
		switch name {
		case "mod_stats_prometheus":
			at := struct {
				IP   string `yaml:"ip"`
				Port uint16 `yaml:"port"`
			}{Port: 8081}
			if im.read(name, node, &at) {
				host := strings.Replace(at.IP, "any", "", 1)
				im.to.Metrics.Listen = net.JoinHostPort(host, strconv.Itoa(int(at.Port)))
				im.note(node.Line, "mod_stats_prometheus: the names of the metrics are others")
			}
		case "mod_log_stun":
			im.note(node.Line, "mod_log_stun: what is refused is in the log, and each allocation's end; other queries "+
				"are counted in /metrics")
		default:
			im.note(node.Line, "%s: there is /metrics for Prometheus (metrics.listen)", name)
		}
	}
}

// finish says what takes several options.
func (im *importer) finish() {
	if im.first > 0 || im.last > 0 {
		if im.first == 0 {
			im.first = 49152
		}
		if im.last == 0 {
			im.last = 65535
		}
		im.to.TURN.RelayPorts = fmt.Sprintf("%d-%d", im.first, im.last)
	}
	if t := &im.to.TLS; t.Cert != "" {
		t.Mode = "files"
		if t.Key == "" {
			t.Key = t.Cert // the file has both in it
		}
	} else if im.tls {
		im.notes = append(im.notes, `there is no certificate, so the box signs one, as eturnal does; browsers take `+
			`none such: see tls.mode = "acme"`)
	}
	for _, open := range im.to.TURN.AllowPeers {
		for _, closed := range im.to.TURN.DenyPeers {
			if prefix(closed).Overlaps(prefix(open)) {
				im.notes = append(im.notes, fmt.Sprintf("%s is on the white list and on the black one (%s), which "+
					"wins here: narrow turn.deny_peers", open, closed))
			}
		}
	}
	im.notes = append(im.notes, "private networks are closed here: name those that clients need in turn.allow_peers")
}

// prefix is a network, or an address as one.
func prefix(text string) netip.Prefix {
	if network, err := netip.ParsePrefix(text); err == nil {
		return network
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{} // it overlaps with none
	}
	return netip.PrefixFrom(ip, ip.BitLen())
}
