package selftest

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"signalbox/internal/trouble"
	"signalbox/internal/turnclient"
)

// A TURN port that does not answer has words of its own: those of a web port lead elsewhere.
func TestSilentPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(l.Addr().String())
	l.Close()
	found := Relay{
		Services: func() []turnclient.Address {
			return []turnclient.Address{{Relays: true, Transport: "tcp", Host: "127.0.0.1", Addr: at}}
		},
		Off: func() bool { return false },
	}.Run(t.Context())
	if len(found) != 1 || found[0].Code != trouble.TURNSilent || !strings.Contains(found[0].Detail, at.String()) {
		t.Fatalf("%+v", found)
	}
	words, _ := trouble.Of(found[0].Code)
	for _, in := range []trouble.Words{words.EN, words.ZH} {
		if !strings.Contains(in.What, "TURN") || !strings.Contains(in.Fix, "turn.listen") ||
			strings.Contains(in.Fix, "web.") {
			t.Errorf("%+v", in)
		}
	}
}
