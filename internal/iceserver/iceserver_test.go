package iceserver

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"signalbox/internal/edge"
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

// sockets are those of a box with one service for TURN.
type sockets struct{}

func (sockets) Web() net.Listener    { return nil }
func (sockets) WebTLS() net.Listener { return nil }
func (sockets) TURN() []edge.Service {
	return []edge.Service{{Transport: "udp", Addr: netip.MustParseAddrPort("0.0.0.0:3478")}}
}

// A box that has no address to relay on tells nobody to relay there: it said 127.0.0.1.
func TestNoRelayWithoutAnAddress(t *testing.T) {
	t.Parallel()
	var relays publicip.Relays
	i := New(Options{Sockets: sockets{}, Relays: func() publicip.Relays { return relays },
		Covers: func(string) bool { return false }}, Live{Keys: cred.NewKeys("a secret of the tests"), TTL: time.Hour})
	for _, host := range []string{"localhost:8080", "[::1]:8080", "call.example.org", "not a host"} {
		if list, _ := i.servers(host, cred.ICE, "id", time.Time{}); len(list) != 1 || list[0].Credential != "" {
			t.Errorf("%s: %+v", host, list)
		}
	}
	relays = publicip.Relays{{Public: publicip.Choice{IP: netip.MustParseAddr("198.51.100.7")}}}
	if list, _ := i.servers("call.example.org", cred.ICE, "id", time.Time{}); len(list) != 2 ||
		list[1].URLs[0] != "turn:call.example.org:3478?transport=udp" {
		t.Errorf("with an address: %+v", list)
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
