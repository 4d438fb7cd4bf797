package config

import (
	"strings"
	"testing"
)

// Two listeners on one port are an error before anything is bound, and the keys of both are named.
func TestListenersOnOnePort(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ tls, turn, want string }{
		{":443", ":443", "web.tls_listen, turn.listen (--set): :443 and :443 can't both be open"},
		{":443", "192.0.2.1:443", "web.tls_listen, turn.listen (--set): :443 and 192.0.2.1:443 can't"},
		{"192.0.2.1:443", "0.0.0.0:443", "web.tls_listen, turn.listen (--set): "},
		{"192.0.2.1:443", "192.0.2.1:443", "web.tls_listen, turn.listen (--set): "},
		{"[2001:db8::1]:443", ":443", "web.tls_listen, turn.listen (--set): "},
		{":443", ":3478", ""},
		{":0", ":0", ""},
		{"192.0.2.1:443", "192.0.2.2:443", ""},
		{"[2001:db8::1]:443", "0.0.0.0:443", ""},
		{"", ":443", ""},
		{":443", "udp/:443", ""},
		{":443", "dtls/:443", ""},
		{":443", "tcp/:443", "web.tls_listen, turn.listen (--set): :443 and tcp/:443 can't both be open"},
		{":443", "tls/:443", "web.tls_listen, turn.listen (--set): :443 and tls/:443 can't both be open"},
		{":443", `["udp/:443", "tcp/:3478", "tls/:5349", "tls/:5350"]`, ""},
		{":443", `["udp/:443", "dtls/:443"]`, "turn.listen (--set): udp/:443 and dtls/:443 can't both be open"},
		{":443", `[":3478", "tcp/:3478"]`, "turn.listen (--set): :3478 and tcp/:3478 can't both be open"},
		{":443", "sctp/:3478", `turn.listen (--set): "sctp" is none of udp, tcp, tls, dtls`},
	} {
		_, err := load(t, LoadOptions{Set: []string{"web.tls_listen=" + tc.tls, "turn.listen=" + tc.turn}})
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s and %s: %v", tc.tls, tc.turn, err)
		case tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)):
			t.Errorf("%s and %s: error %v, want %s", tc.tls, tc.turn, err, tc.want)
		}
	}
	off := []string{"web.tls_listen=:443", "turn.listen=:443", "tls.mode=off"}
	if _, err := load(t, LoadOptions{Set: off}); err != nil {
		t.Errorf("without TLS its port is not listened on: %v", err)
	}
	for _, tc := range []struct{ set, want string }{
		{"metrics.listen=:8080", "web.listen, metrics.listen (--set): "},
		{"web.listen=:3478", "web.listen, turn.listen (--set): "},
		{"turn.listen=:9000|web.listen=:9000", "web.listen, turn.listen (--set): "},
		{"turn.listen=tls/:9000|tls.mode=off", "turn.listen (--set): TLS and DTLS need a certificate"},
		{"turn.listen=tcp/:9000|stun.alternate=192.0.2.1:3479", "stun.alternate (--set): no entry of turn.listen is"},
		{`turn.listen=[":9000", "192.0.2.1:9000"]`, "turn.listen (--set): :9000 and 192.0.2.1:9000 can't"},
	} {
		_, err := load(t, LoadOptions{Set: strings.Split(tc.set, "|")})
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %s", tc.set, err, tc.want)
		}
	}
}

// Whether stun.alternate is an address of this machine is not the configuration's fault; that it is
// the one that turn.listen names is.
func TestAlternateIsOnlyComparedWithKeys(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ listen, alternate, want string }{
		{":3478", "127.0.0.1:3479", ""}, // this machine's
		{":3478", "192.0.2.1:3479", ""}, // another's
		{"0.0.0.0:3478", "192.0.2.1:3479", ""},
		{"127.0.0.1:3478", "192.0.2.1:3479", ""},
		{`["127.0.0.1:3478", "127.0.0.2:3479"]`, "127.0.0.2:3479", ""}, // it serves both
		{"127.0.0.1:3478", "127.0.0.1:3479", "127.0.0.1 is the address that clients ask anyway"},
		{"192.0.2.1:3478", "192.0.2.1:3479", "192.0.2.1 is the address that clients ask anyway"},
		{":3478", "192.0.2.1:3478", "3478 is the port of turn.listen"},
		{"[2001:db8::1]:3478", "192.0.2.1:3479", "no entry of turn.listen is an IPv4 address on UDP"},
	} {
		_, err := load(t, LoadOptions{Set: []string{"turn.listen=" + tc.listen, "stun.alternate=" + tc.alternate}})
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s, alternate %s: %v", tc.listen, tc.alternate, err)
		case tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "stun.alternate (--set): "+tc.want)):
			t.Errorf("%s, alternate %s: error %v, want %s", tc.listen, tc.alternate, err, tc.want)
		}
	}
}
