package iceserver

import (
	"net/netip"
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
		cred.NewKeys("a secret of the tests"), time.Hour)
	for host, want := range map[string]string{
		"localhost:8080": "198.51.100.7", "127.0.0.1:8080": "198.51.100.7", "call.example.org": "call.example.org",
		"192.0.2.9:80": "192.0.2.9",
	} {
		if got := i.farHost(host); got != want {
			t.Errorf("Host %s: %s, want %s", host, got, want)
		}
	}
}
