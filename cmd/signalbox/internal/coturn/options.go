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

// same are options that need no word: the box does so anyway, or something else does on a server
// with systemd.
var same = []string{"fingerprint", "lt-cred-mech", "no-multicast-peers",
	"no-loopback-peers", "no-cli", "no-tcp-relay", "no-stdout-log", "syslog", "log-file", "simple-log",
	"new-log-timestamp", "log-binding", "pidfile", "proc-user", "proc-group", "relay-threads", "no-sslv3", "no-tlsv1",
	"no-tlsv1_1", "no-software-attribute", "no-rfc5780", "no-stun-backward-compatibility", "prod", "no-web-admin",
	"response-origin-only-with-rfc5780", "no-dynamic-ip-list", "no-dynamic-realms", "daemon", "server-name",
	"check-origin-consistency", "max-allocate-timeout", "ne", "udp-self-balance", "syslog-facility"}

// different says why options are not carried over, and what there is instead.
var different = byName([][2]string{ // names, and why
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
})

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
