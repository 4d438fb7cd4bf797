package coturn

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"signalbox/cmd/signalbox/internal/conf"
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
	text, err = im.config().Text()
	return text, im.notes, err
}

// importer collects what the options say.
type importer struct {
	notes []Note

	port, tlsPort, first, last    string
	listen, relay, public         []string
	noUDP, noTCP, noTLS, noDTLS   bool
	realm, cert, key              string
	secrets                       []string
	users                         []conf.User
	allow, deny                   []span
	perUser, total, bps, allBps   string
	debug, secretMode, prometheus bool
	prometheusPort                string
	separator, family, nonce      string // rest_separator, default_family, nonce_lifetime
}

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
		im.add(o.line, conf.User{Name: name, Key: key})
	default:
		im.add(o.line, conf.User{Name: name, Password: secret})
	}
}

// add adds a user. A name is that of one, with the last of its passwords, as in coturn.
func (im *importer) add(line int, u conf.User) {
	for i := range im.users {
		if im.users[i].Name == u.Name {
			im.note(line, "user: %q has another password above, which coturn passes over, too", u.Name)
			im.users[i] = u
			return
		}
	}
	im.users = append(im.users, u)
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
		if slices.ContainsFunc(im.users, func(had conf.User) bool { return had.Name == name }) {
			im.note(0, "--users, line %d: %q is a user already, whose former password stays", n, name)
			continue
		}
		im.users = append(im.users, conf.User{Name: name, Key: key})
	}
	return lines.Err()
}

// config is what there is to write. It notes what can't be written.
func (im *importer) config() *conf.Config {
	out := &conf.Config{PublicIP: im.public, TURN: conf.TURN{
		Listen: im.listeners(), Realm: im.realm, RelayIP: im.relay, DefaultFamily: im.family, NonceLifetime: im.nonce,
		RESTSeparator: im.separator, Users: im.users,
		Limits: conf.Limits{PerUser: limit(im.perUser), Allocations: limit(im.total), Bandwidth: limit(im.bps),
			TotalBandwidth: limit(im.allBps)},
	}}
	if im.first != "49152" || im.last != "65535" {
		out.TURN.RelayPorts = im.first + "-" + im.last
	}
	im.secretsTo(&out.TURN)
	im.peersTo(&out.TURN)
	im.around(out)
	if im.secretMode && len(im.users) > 0 {
		im.note(0, "with use-auth-secret coturn ignores static users; here both log in")
	}
	im.note(0, "coturn relays to private addresses unless they are denied; here they are closed: name those that "+
		"clients need in turn.allow_peers")
	return out
}

// limit is a number. What is none, as take has noted, and 0, which is coturn's default, leave the
// box's own.
func limit(text string) *uint64 {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 {
		return nil
	}
	return &n
}

// around sets the tables that aren't the relay's own.
func (im *importer) around(out *conf.Config) {
	if (im.cert == "") != (im.key == "") {
		im.note(0, "cert and pkey: one of them is missing, so there is no TLS: set tls.cert and tls.key")
	}
	if im.tls() {
		out.TLS = conf.TLS{Mode: "files", Cert: im.cert, Key: im.key}
	}
	if im.prometheus {
		out.Metrics.Listen = "127.0.0.1:" + cmp.Or(im.prometheusPort, "9641")
		im.note(0, "prometheus: coturn answers everybody; here /metrics is for this machine: set metrics.listen for "+
			"others")
	}
	if im.debug {
		out.Log.Level = "debug"
	}
}

// tls reports whether coturn would serve TLS.
func (im *importer) tls() bool { return im.cert != "" && im.key != "" && !(im.noTLS && im.noDTLS) }

// listeners are the entries of turn.listen; not nil, since there may be none.
func (im *importer) listeners() []string {
	out := []string{}
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

// secretsTo sets the secrets. The first one signs, however short: other programs sign with it.
func (im *importer) secretsTo(turn *conf.TURN) {
	if len(im.secrets) == 0 {
		return
	}
	for _, s := range im.secrets {
		if len(s) < state.MinSecret {
			im.note(0, "static-auth-secret: one is shorter than %d characters, and can be guessed: give programs a "+
				"longer one", state.MinSecret)
		}
	}
	turn.Secret, turn.OldSecrets = im.secrets[0], im.secrets[1:]
}

// peersTo sets who may be reached. In coturn what is allowed wins over what is denied; here it is
// the other way round, so what is allowed is cut out of what is denied.
func (im *importer) peersTo(turn *conf.TURN) {
	for _, s := range im.allow {
		turn.AllowPeers = append(turn.AllowPeers, s.texts()...)
	}
	for _, s := range im.deny {
		for _, left := range s.without(im.allow) {
			turn.DenyPeers = append(turn.DenyPeers, left.texts()...)
		}
	}
}
