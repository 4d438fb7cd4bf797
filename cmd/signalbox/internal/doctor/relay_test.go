package doctor

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/logging"
	"github.com/pion/turn/v4"
)

// Another TURN server at the port, which lets everybody through to everywhere, is not taken for a
// good one.
func TestOpenRelayIsFound(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other, err := turn.NewServer(turn.ServerConfig{
		Realm:         "other",
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard},
		AuthHandler: func(user, realm string, _ net.Addr) ([]byte, bool) {
			return turn.GenerateAuthKey(user, realm, "password"), true
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn: conn,
			// It says that it relays elsewhere, so that loopback is not its own.
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(192, 0, 2, 1),
				Address: "127.0.0.1"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	ctx := deadline(t)
	list, _ := resolve(ctx, []server{{url: "turn:" + conn.LocalAddr().String() + "?transport=udp", user: "user",
		password: "password"}}, nil, scopeHost)
	one := &trial{target: list[0]}
	a, c := one.reach(ctx, ctx, &tls.Config{})
	if c.Verdict != OK {
		t.Fatalf("%+v", c)
	}
	defer a.Close()
	b, _, c := one.allocate(ctx, ctx, a, &tls.Config{})
	if c.Verdict != OK {
		t.Fatalf("%+v", c)
	}
	defer b.Close()
	c = one.provoke(ctx, ctx, a, &tls.Config{})
	if c.Verdict != Failed || !strings.Contains(c.Detail, "lets callers through to 127.0.0.1") ||
		!strings.Contains(c.Detail, "169.254.169.254") || c.Fix == "" {
		t.Errorf("%+v", c)
	}

	// A password that it does not know is its refusal, in words.
	wrong := &trial{target: list[0]}
	wrong.password, wrong.mapped = "other", one.mapped
	d, c := wrong.reach(ctx, ctx, &tls.Config{})
	if c.Verdict != OK {
		t.Fatalf("%+v", c)
	}
	defer d.Close()
	if _, _, c = wrong.allocate(ctx, ctx, d, &tls.Config{}); c.Verdict != Failed || c.Fix == "" {
		t.Errorf("%+v", c)
	}
}

// A box that relays at an address which callers can't know.
func TestPrivateRelayAddress(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]scope{
		"127.0.0.1": scopeHost, "::1": scopeHost, "10.0.0.1": scopeNetwork, "100.64.0.1": scopeNetwork,
		"fd00::1": scopeNetwork, "169.254.1.1": scopeNetwork,
		"198.51.100.7": scopeNetwork, "2001:db8::1": scopeNetwork,
		"203.0.114.7": scopeInternet, "2a00::1": scopeInternet,
	} {
		if got := scopeOf(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
}
