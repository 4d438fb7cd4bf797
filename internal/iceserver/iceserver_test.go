package iceserver

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"signalbox/internal/publicip"
	"signalbox/turnsvc/cred"
)

// A server on the same machine asks at a loopback address, where its users won't find the relay.
func TestTURNRESTNamesTheBoxAsOthersReachIt(t *testing.T) {
	t.Parallel()
	relays := publicip.Relays{{
		Bind:   publicip.Choice{IP: netip.MustParseAddr("127.0.0.1")},
		Public: publicip.Choice{IP: netip.MustParseAddr("198.51.100.7")},
	}}
	i := New(Options{Relays: func() publicip.Relays { return relays }},
		Live{Keys: cred.NewKeys("a secret of the tests"), TTL: time.Hour})
	for host, want := range map[string]string{
		"localhost:8080": "198.51.100.7", "127.0.0.1:8080": "198.51.100.7", "call.example.org": "call.example.org",
		"192.0.2.9:80": "192.0.2.9",
	} {
		if got := i.farHost(host); got != want {
			t.Errorf("Host %s: %s, want %s", host, got, want)
		}
	}
}

// 3 of the operators' reports: what is advertised need not be what is bound.
func TestURLsOfTheOperator(t *testing.T) {
	t.Parallel()
	i := New(Options{}, Live{
		Keys: cred.NewKeys("a secret of the tests"), TTL: time.Hour, HostPart: "{host}",
		URLs: []string{"turns:{host}:443?transport=tcp", "stun:{host}:3478", "turn:turn.example.org"},
	})
	for host, name := range map[string]string{
		"call.example.org:8443": "call.example.org", "192.0.2.1": "192.0.2.1", "[2001:db8::1]:8443": "[2001:db8::1]",
	} {
		list, _ := i.servers(host, cred.ICE, "id", time.Time{})
		if len(list) != 2 || list[0].Username != "" ||
			!slices.Equal(list[0].URLs, []string{"stun:" + name + ":3478"}) ||
			!slices.Equal(list[1].URLs, []string{"turns:" + name + ":443?transport=tcp", "turn:turn.example.org"}) ||
			list[1].Credential == "" {
			t.Errorf("%s: %+v", host, list)
		}
	}
	// Whose time is over gets no relay, and a list all the same.
	i.Apply(Live{Keys: cred.NewKeys("a secret of the tests"), TTL: time.Hour, URLs: []string{"turn:192.0.2.1"}})
	if list, _ := i.servers("192.0.2.1", cred.ICE, "id", time.Unix(1, 0)); list == nil || len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
