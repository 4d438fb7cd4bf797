package coturn

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"signalbox/internal/state"
)

// Note says what is not carried over, or differs.
type Note struct {
	Line int // in turnserver.conf; 0: it is about the whole
	Text string
}

func (n Note) String() string {
	if n.Line == 0 {
		return n.Text
	}
	return fmt.Sprintf("line %d: %s", n.Line, n.Text)
}

// Import reads turnserver.conf, and a list of users out of coturn's database, "name|key" each; nil:
// there is none. It returns the text of a config.toml that does the same, and what it does not do.
func Import(conf, users io.Reader) (text string, notes []Note, err error) {
	all, err := options(conf)
	if err != nil {
		return "", nil, err
	}
	im := &importer{port: "3478", tlsPort: "5349", first: "49152", last: "65535"}
	for _, o := range all {
		im.take(o)
	}
	if users != nil {
		if err := im.takeUsers(users); err != nil {
			return "", nil, err
		}
	}
	text = im.config()
	return text, im.notes, nil
}

// importer collects what the options say.
type importer struct {
	notes []Note

	port, tlsPort, first, last    string
	listen, relay, public         []string
	noUDP, noTCP, noTLS, noDTLS   bool
	realm, cert, key              string
	secrets                       []string
	users                         []account
	allow, deny                   []span
	perUser, total, bps, allBps   string
	debug, secretMode, prometheus bool
	prometheusPort                string
	separator, family, nonce      string // rest_separator, default_family, nonce_lifetime
}

// account is a static user, with a password or a key.
type account struct{ name, password, key string }

func (im *importer) note(line int, format string, args ...any) {
	im.notes = append(im.notes, Note{line, fmt.Sprintf(format, args...)})
}

// take takes one option.
func (im *importer) take(o option) {
	texts := map[string]*string{"listening-port": &im.port, "tls-listening-port": &im.tlsPort, "min-port": &im.first,
		"max-port": &im.last, "realm": &im.realm, "cert": &im.cert, "pkey": &im.key, "user-quota": &im.perUser,
		"total-quota": &im.total, "max-bps": &im.bps, "bps-capacity": &im.allBps, "prometheus-port": &im.prometheusPort}
	switches := map[string]*bool{"no-udp": &im.noUDP, "no-tcp": &im.noTCP, "no-tls": &im.noTLS, "no-dtls": &im.noDTLS,
		"verbose": &im.debug, "Verbose": &im.debug, "prometheus": &im.prometheus, "use-auth-secret": &im.secretMode}
	addresses := map[string]*[]string{"listening-ip": &im.listen, "relay-ip": &im.relay}
	numbers := []string{"listening-port", "tls-listening-port", "min-port", "max-port", "prometheus-port", "user-quota",
		"total-quota", "max-bps", "bps-capacity"}
	spans := map[string]*[]span{"allowed-peer-ip": &im.allow, "denied-peer-ip": &im.deny}
	switch {
	case !known(o.name):
		im.note(o.line, "%s: not known, and not carried over", o.name)
	case slices.Contains(numbers, o.name) && !isNumber(o.value):
		im.note(o.line, "%s: %q is no number: coturn's default is taken", o.name, o.value)
	case texts[o.name] != nil:
		*texts[o.name] = o.value
	case switches[o.name] != nil:
		*switches[o.name] = o.on()
	case o.name == "static-auth-secret":
		im.secrets = append(im.secrets, o.value)
	case addresses[o.name] != nil:
		im.address(o, addresses[o.name])
	case spans[o.name] != nil:
		im.span(o, spans[o.name])
	case o.name == "external-ip":
		im.external(o)
	case o.name == "user":
		im.user(o)
	case o.name == "rest-api-separator":
		im.restSeparator(o)
	case o.name == "stale-nonce":
		im.staleNonce(o)
	case o.name == "keep-address-family" && o.on():
		im.family = "auto"
	case o.name == "allocation-default-address-family":
		im.defaultFamily(o)
	case different[o.name] != "" && o.on():
		im.note(o.line, "%s: %s", o.name, different[o.name])
	}
}

func (im *importer) address(o option, into *[]string) {
	if _, err := netip.ParseAddr(o.value); err != nil {
		im.note(o.line, "%s: %q is no address, and left out", o.name, o.value)
		return
	}
	*into = append(*into, o.value)
}

func (im *importer) span(o option, into *[]span) {
	s, err := parseSpan(o.value)
	if err != nil {
		im.note(o.line, "%s: %v", o.name, err)
		return
	}
	*into = append(*into, s)
}

func isNumber(text string) bool {
	_, err := strconv.ParseUint(text, 10, 63)
	return err == nil
}

// external is "public" or "public/private".
func (im *importer) external(o option) {
	public, private, both := strings.Cut(o.value, "/")
	if _, err := netip.ParseAddr(public); err != nil {
		im.note(o.line, "external-ip: %q is no address: set public_ip", public)
		return
	}
	im.public = append(im.public, public)
	if !both {
		return
	}
	if _, err := netip.ParseAddr(private); err != nil {
		im.note(o.line, "external-ip: %q is no address: set turn.relay_ip", private)
		return
	}
	if !slices.Contains(im.relay, private) {
		im.relay = append(im.relay, private)
	}
}

func (im *importer) restSeparator(o option) {
	if len(o.value) != 1 || strings.ContainsAny(o.value, "0123456789") {
		im.note(o.line, "rest-api-separator: want one character that is no digit: set turn.rest_separator")
		return
	}
	im.separator = o.value
}

// staleNonce is in seconds, 0 for a nonce that is good for ever.
func (im *importer) staleNonce(o option) {
	const least, most = 60, 24 * 60 * 60 // of turn.nonce_lifetime
	seconds, err := strconv.ParseUint(o.value, 10, 32)
	switch {
	case o.value == "":
		return
	case err != nil:
		im.note(o.line, "stale-nonce: want seconds: set turn.nonce_lifetime")
		return
	case seconds == 0:
		im.note(o.line, "stale-nonce: a nonce is good for a day at most")
		seconds = most
	case seconds < least || seconds > most:
		im.note(o.line, "stale-nonce: a nonce is good for a minute to a day")
		seconds = min(max(seconds, least), most)
	}
	im.nonce = fmt.Sprint(seconds, "s")
}

func (im *importer) defaultFamily(o option) {
	family := map[string]string{"ipv4": "ipv4", "ipv6": "ipv6", "keep": "auto"}[o.value]
	if family == "" {
		im.note(o.line, "allocation-default-address-family: %q is none of ipv4, ipv6, keep: set turn.default_family",
			o.value)
		return
	}
	im.family = family
}

// user is "name:password" or "name:0xKEY".
func (im *importer) user(o option) {
	name, secret, ok := strings.Cut(o.value, ":")
	switch key, isKey := strings.CutPrefix(secret, "0x"); {
	case !ok || name == "" || secret == "":
		im.note(o.line, "user: want name:password")
	case isKey && len(key) == 32:
		im.add(o.line, account{name: name, key: key})
	default:
		im.add(o.line, account{name: name, password: secret})
	}
}

// add adds a user. A name is that of one, with the last of its passwords, as in coturn.
func (im *importer) add(line int, a account) {
	for i := range im.users {
		if im.users[i].name == a.name {
			im.note(line, "user: %q has another password above, which coturn passes over, too", a.name)
			im.users[i] = a
			return
		}
	}
	im.users = append(im.users, a)
}

// takeUsers reads lines "name|key".
func (im *importer) takeUsers(r io.Reader) error {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		name, key, ok := strings.Cut(text, "|")
		if key = strings.TrimPrefix(key, "0x"); !ok || len(key) != 32 {
			return fmt.Errorf("users, line %d: want name|key, where key has 32 hex digits", n)
		}
		if slices.ContainsFunc(im.users, func(had account) bool { return had.name == name }) {
			im.note(0, "--users, line %d: %q is a user already, whose former password stays", n, name)
			continue
		}
		im.users = append(im.users, account{name: name, key: key})
	}
	return lines.Err()
}

// config writes the configuration, and notes what it can't say.
func (im *importer) config() string {
	var top, turn, limits []string
	add := func(to *[]string, key, value string) { *to = append(*to, key+" = "+value) }
	if len(im.public) > 0 {
		add(&top, "public_ip", list(im.public))
	}
	add(&turn, "listen", list(im.listeners()))
	if im.realm != "" {
		add(&turn, "realm", quote(im.realm))
	}
	if im.first != "49152" || im.last != "65535" {
		add(&turn, "relay_ports", quote(im.first+"-"+im.last))
	}
	if len(im.relay) > 0 {
		add(&turn, "relay_ip", list(im.relay))
	}
	for _, l := range []struct{ key, value string }{{"default_family", im.family}, {"nonce_lifetime", im.nonce},
		{"rest_separator", im.separator}} {
		if l.value != "" {
			add(&turn, l.key, quote(l.value))
		}
	}
	im.secretLines(func(key, value string) { add(&turn, key, value) })
	im.peerLines(func(key string, networks []netip.Prefix) { add(&turn, key, list(networks)) })
	for _, l := range []struct{ key, value string }{{"per_user", im.perUser}, {"allocations", im.total},
		{"bandwidth", im.bps}, {"total_bandwidth", im.allBps}} {
		if n, err := strconv.ParseUint(l.value, 10, 63); err == nil && n > 0 {
			add(&limits, l.key, strconv.FormatUint(n, 10))
		}
	}
	around := im.around()
	lines := append(top, "[turn]")
	lines = append(lines, turn...)
	if len(limits) > 0 {
		lines = append(append(lines, "[turn.limits]"), limits...)
	}
	for _, u := range im.users {
		lines = append(lines, "[[turn.users]]", "name = "+quote(u.name))
		if u.key != "" {
			lines = append(lines, "key = "+quote(u.key))
		} else {
			lines = append(lines, "password = "+quote(u.password))
		}
	}
	if im.secretMode && len(im.users) > 0 {
		im.note(0, "with use-auth-secret coturn ignores static users; here both log in")
	}
	im.note(0, "coturn relays to private addresses unless they are denied; here they are closed: name those that "+
		"clients need in turn.allow_peers")
	return strings.Join(append(lines, around...), "\n") + "\n"
}

// around writes the tables that aren't the relay's own.
func (im *importer) around() (lines []string) {
	if (im.cert == "") != (im.key == "") {
		im.note(0, "cert and pkey: one of them is missing, so there is no TLS: set tls.cert and tls.key")
	}
	if im.tls() {
		lines = append(lines, "[tls]", `mode = "files"`, "cert = "+quote(im.cert), "key = "+quote(im.key))
	}
	if im.prometheus {
		port := "9641"
		if im.prometheusPort != "" {
			port = im.prometheusPort
		}
		lines = append(lines, "[metrics]", "listen = "+quote("127.0.0.1:"+port))
		im.note(0, "prometheus: coturn answers everybody; here /metrics is for this machine: set metrics.listen for "+
			"others")
	}
	if im.debug {
		lines = append(lines, "[log]", `level = "debug"`)
	}
	return lines
}

// tls reports whether coturn would serve TLS.
func (im *importer) tls() bool { return im.cert != "" && im.key != "" && !(im.noTLS && im.noDTLS) }

// listeners are the entries of turn.listen.
func (im *importer) listeners() (out []string) {
	hosts := im.listen
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	for _, host := range hosts {
		at := func(port string) string {
			if host == "" {
				return ":" + port
			}
			return net.JoinHostPort(host, port)
		}
		switch {
		case !im.noUDP && !im.noTCP:
			out = append(out, at(im.port))
		case !im.noUDP:
			out = append(out, "udp/"+at(im.port))
		case !im.noTCP:
			out = append(out, "tcp/"+at(im.port))
		}
		if im.tls() && !im.noTLS {
			out = append(out, "tls/"+at(im.tlsPort))
		}
		if im.tls() && !im.noDTLS {
			out = append(out, "dtls/"+at(im.tlsPort))
		}
	}
	return out
}

// secretLines writes the secrets. The first one signs, however short: other programs sign with it.
func (im *importer) secretLines(add func(key, value string)) {
	if len(im.secrets) == 0 {
		return
	}
	for _, s := range im.secrets {
		if len(s) < state.MinSecret {
			im.note(0, "static-auth-secret: one is shorter than %d characters, and can be guessed: give programs a "+
				"longer one", state.MinSecret)
		}
	}
	add("secret", quote(im.secrets[0]))
	if old := im.secrets[1:]; len(old) > 0 {
		add("old_secrets", list(old))
	}
}

// peerLines writes who may be reached. In coturn what is allowed wins over what is denied; here it
// is the other way round, so what is allowed is cut out of what is denied.
func (im *importer) peerLines(add func(key string, networks []netip.Prefix)) {
	var allow, deny []netip.Prefix
	for _, s := range im.allow {
		allow = append(allow, s.networks()...)
	}
	for _, s := range im.deny {
		for _, left := range s.without(im.allow) {
			deny = append(deny, left.networks()...)
		}
	}
	if len(allow) > 0 {
		add("allow_peers", allow)
	}
	if len(deny) > 0 {
		add("deny_peers", deny)
	}
}

// quote writes a string as TOML has it: JSON's strings are such.
func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string has no fault
	}
	return string(text)
}

// list writes a list of texts.
func list[T any](all []T) string {
	texts := make([]string, len(all))
	for i := range all {
		texts[i] = quote(fmt.Sprint(all[i]))
	}
	return "[" + strings.Join(texts, ", ") + "]"
}
