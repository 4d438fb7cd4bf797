package coturn

import (
	"bufio"
	"io"
	"slices"
	"strings"
)

// option is a line of turnserver.conf.
type option struct {
	line        int
	name, value string
}

// options reads turnserver.conf: one option a line, "name=value", "name value" or "name".
func options(r io.Reader) (all []option, err error) {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		o := option{line: n, name: text}
		if i := strings.IndexAny(text, "= \t"); i >= 0 {
			o.name, o.value = text[:i], strings.Trim(strings.TrimLeft(text[i:], "= \t"), `"`)
		}
		all = append(all, o)
	}
	return all, lines.Err()
}

// on reports whether an option without a value, or with a boolean one, is on.
func (o option) on() bool {
	return !slices.Contains([]string{"0", "off", "no", "false", "f"}, strings.ToLower(o.value))
}

// What becomes of coturn's options, in three tables: names, and a word about them. An option that
// is in none of them is not known. OPTIONS.md has them for readers.

// carried are options that become keys, which their word names.
var carried = byName(carriedTable)

var carriedTable = [][2]string{
	{"listening-ip listening-port no-udp no-tcp", "turn.listen"},
	{"tls-listening-port no-tls no-dtls", "turn.listen: \"tls/:5349\", \"dtls/:5349\""},
	{"cert pkey", "tls.cert, tls.key"},
	{"relay-ip", "turn.relay_ip"},
	{"external-ip", "public_ip, turn.relay_ip"},
	{"min-port max-port", "turn.relay_ports"},
	{"realm", "turn.realm"},
	{"use-auth-secret static-auth-secret", "turn.secret, turn.old_secrets"},
	{"rest-api-separator", "turn.rest_separator"},
	{"user", "turn.users"},
	{"stale-nonce", "turn.nonce_lifetime"},
	{"keep-address-family allocation-default-address-family", "turn.default_family"},
	{"allowed-peer-ip", "turn.allow_peers"},
	{"denied-peer-ip", "turn.deny_peers, which wins over turn.allow_peers here"},
	{"user-quota", "turn.limits.per_user"},
	{"total-quota", "turn.limits.allocations"},
	{"max-bps", "turn.limits.bandwidth"},
	{"bps-capacity", "turn.limits.total_bandwidth"},
	{"prometheus prometheus-port", "metrics.listen"},
	{"verbose Verbose", "log.level"},
}

// same says of options why they need no key: the box does so anyway, or something else does on a
// server with systemd.
var same = byName(sameTable)

var sameTable = [][2]string{
	{"fingerprint", "who asks with a FINGERPRINT is answered with one"},
	{"lt-cred-mech", "long-term credentials are the only ones"},
	{"no-multicast-peers no-loopback-peers", "multicast and loopback are closed"},
	{"no-cli no-web-admin", "commands and /admin have no port of their own, and need admin.token"},
	{"no-tcp-relay", "relays are UDP only"},
	{"no-stdout-log syslog syslog-facility log-file simple-log new-log-timestamp",
		"the log goes to standard error, which is systemd's journal; see [log]"},
	{"log-binding", "Binding requests are counted, not logged"},
	{"daemon pidfile proc-user proc-group", "systemd does that: see scripts/signalbox.service"},
	{"relay-threads udp-self-balance ne", "all cores are used"},
	{"no-sslv3 no-tlsv1 no-tlsv1_1", "TLS 1.2 and 1.3 are all there is"},
	{"no-software-attribute prod", "answers have no SOFTWARE"},
	{"no-rfc5780 response-origin-only-with-rfc5780", "NAT behavior discovery is off without stun.alternate"},
	{"no-stun-backward-compatibility", "clients of RFC 3489 are answered, with the same limit as others"},
	{"no-dynamic-ip-list no-dynamic-realms", "only a reload changes lists, and there is one realm"},
	{"server-name", "it is for OAuth, which is not there"},
	{"check-origin-consistency", "the attribute ORIGIN is ignored"},
	{"max-allocate-timeout", "a connection without an allocation ends after 30 seconds"},
}

// different says why options are not carried over, and what there is instead.
var different = byName(differentTable)

var differentTable = [][2]string{
	{"no-auth", "everybody could relay: not here. Add [[turn.users]], or use the hub's credentials"},
	{"userdb psql-userdb mysql-userdb mongo-userdb redis-userdb",
		"the users in it are not read: export them (see --users)"},
	{"redis-statsdb", "there is /metrics for Prometheus (metrics.listen)"},
	{"oauth", "third-party authorization is not there: use room tokens (auth.mode = \"jwt\") or turn.secret"},
	{"mobility", "MOBILITY (RFC 8016) is not there: clients allocate anew"},
	{"no-udp-relay", "there are UDP relays only"},
	{"stun-only", "TURN can't be turned off: without users and with a secret of your own nobody gets in"},
	{"no-stun", "STUN is always answered"},
	{"secure-stun", "STUN is always answered without a login"},
	{"rfc5780", "NAT behavior discovery takes a second address: set stun.alternate"},
	{"alt-listening-port", "it is for NAT behavior discovery: set stun.alternate"},
	{"aux-server", "add it to turn.listen"},
	{"alternate-server tls-alternate-server", "there is no redirection to other servers"},
	{"max-allocate-lifetime", "an hour at most, as RFC 8656 recommends; see turn.min_lifetime"},
	{"channel-lifetime", "it is that of RFC 8656, 10 minutes"},
	{"permission-lifetime", "it is that of RFC 8656, 5 minutes"},
	{"allow-loopback-peers",
		"loopback stays closed: an SFU on this machine takes turn.allow_peers with its address and port"},
	{"cipher-list dh-file dh566 dh1066 dh2066 ec-curve-name", "the box offers what is safe"},
	{"CA-file", "clients are not asked for certificates"},
	{"pkey-pwd", "the key must not be encrypted: openssl pkey -in KEY -out NEW, chmod 640"},
	{"web-admin web-admin-ip web-admin-port web-admin-listen-on-workers", "there is /admin, with admin.token"},
	{"cli-password cli-ip cli-port cli-max-output-sessions", "there are commands: signalbox --help"},
	{"acme-redirect", "tls.mode = \"acme\" fetches certificates by itself"},
	{"listening-device", "name its address in turn.listen"},
	{"relay-device", "name its address in turn.relay_ip"},
	{"max-bps-per-user", "see turn.limits.user_bandwidth"},
	{"tcp-use-proxy tcp-proxy-port",
		"set web.proxy_protocol and web.trusted_proxies: the web ports take TURN over TCP and TLS"},
	{"alt-tls-listening-port", "add \"tls/:PORT\" to turn.listen"},
	{"secret-key-file", "it is for passwords that coturn keeps encrypted: export the users (see --users)"},
	{"no-tlsv1_2", "TLS 1.2 and 1.3 are offered"},
	{"server-relay", "it opens the server to abuse, and is not there"},
}

// known reports whether an option is one of coturn's.
func known(name string) bool { return carried[name] != "" || same[name] != "" || different[name] != "" }

// byName takes lists of names apart.
func byName(lists [][2]string) map[string]string {
	all := map[string]string{}
	for _, l := range lists {
		for _, name := range strings.Fields(l[0]) {
			all[name] = l[1]
		}
	}
	return all
}

// WriteOptions writes OPTIONS.md.
func WriteOptions(w io.Writer) error {
	text := "# coturn's options\n\n" +
		"What becomes of each option of `turnserver.conf`. `signalbox import-coturn FILE` does it, and\n" +
		"`signalbox import-coturn --options` writes this text.\n"
	for _, part := range []struct {
		title, word string
		table       [][2]string
	}{
		{"Carried over", "key", carriedTable}, {"Not needed", "because", sameTable},
		{"Not carried over", "because, or what there is instead", differentTable},
	} {
		text += "\n## " + part.title + "\n\n| option | " + part.word + " |\n|---|---|\n"
		for _, row := range part.table {
			text += "| `" + strings.Join(strings.Fields(row[0]), "`, `") + "` | " + row[1] + " |\n"
		}
	}
	_, err := io.WriteString(w, text)
	return err
}
