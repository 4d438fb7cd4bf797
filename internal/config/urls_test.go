package config

import (
	"strings"
	"testing"
)

// What a browser would refuse in turn.urls is refused on reading: it would refuse the whole
// configuration of a connection for it.
func TestICEURLs(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"stun:{host}":                              "",
		"stun:{host}:3478":                         "",
		"turn:{host}:3478?transport=udp":           "",
		"turns:{host}:443":                         "",
		"turns:turn.example.org:443?transport=tcp": "",
		"turn:192.0.2.1":                           "",
		"turn:[2001:db8::1]:3478":                  "",
		"stuns:[2001:db8::1]":                      "",
		"turns:[{host}]:443":                       "neither {host} nor a host",
		"turn:2001:db8::1":                         "an IPv6 address is in brackets",
		"turn:[example.org]:3478":                  "neither {host} nor a host",
		"turn:{name}:3478":                         "neither {host} nor a host",
		"turn:x{host}":                             "neither {host} nor a host",
		"turns:{host}:https":                       "not a port",
		"turns:{host}:0":                           "not a port",
		"turns:{host}:443?transport=tls":           "neither transport=udp nor transport=tcp",
		"stun:{host}?transport=udp":                "nothing follows the port",
		"https://example.org":                      "must begin with",
		"{host}:443":                               "must begin with",
		"turns://{host}:443":                       "neither",
		"turn:":                                    "neither {host} nor a host",
	} {
		err := ICEURLs{url}.check()
		if err == nil != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	if err := (ICEURLs{"stun:{host}", "stun:{host}"}).check(); err == nil {
		t.Error("the same twice")
	}
}
