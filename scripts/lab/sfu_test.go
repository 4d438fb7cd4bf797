//go:build linux

package lab_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/scripts/lab"
)

// TestIssue16SFUOnTheBox: a port that turn.allow_peers names at the box's own address carries in
// both directions; the ports beside it, and the box's own, stay closed.
func TestIssue16SFUOnTheBox(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.FullCone, lab.FullCone, lab.GlobalAddresses)
	out := l.AddHost(t, "out", 64)
	// The box's own TURN port lies in the range, too.
	server := lab.StartServer(t, l.Server, ownConfig, "--set", "turn.allow_peers=["+
		`"`+l.Server.Public+`:10000", "`+l.Server.Public+`:3000-4000"]`)
	at := func(port uint16) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(server.Host()), port)
	}
	bridge, beside := l.Server.ListenUDP(t, at(10000).String()), l.Server.ListenUDP(t, at(10001).String())

	client := newTURNClient(t, out, server, "udp", "u", "p")
	for _, closed := range []uint16{10001, 3478, 8080} {
		if code := client.permit(at(closed)); code != stun.CodeForbidden {
			t.Errorf("CreatePermission for port %d: %d", closed, code)
		}
		if code := client.bind(0x4001, at(closed)); code != stun.CodeForbidden {
			t.Errorf("ChannelBind to port %d: %d", closed, code)
		}
	}
	if code := client.bind(0x4000, at(10000)); code != 0 {
		t.Fatalf("the bridge's port: %d", code)
	}
	client.send(at(10001), "to a port beside it")
	client.channelData(0x4000, "to the bridge")
	if data := firstDatagram(bridge, 5*time.Second); data != "to the bridge" {
		t.Errorf("the bridge got %q", data)
	}
	if data := firstDatagram(beside, 100*time.Millisecond); data != "" {
		t.Errorf("%q reached the port beside it", data)
	}
	if _, err := beside.WriteToUDPAddrPort([]byte("from beside it"), client.relayed); err != nil {
		t.Fatal(err)
	}
	if _, err := bridge.WriteToUDPAddrPort([]byte("from the bridge"), client.relayed); err != nil {
		t.Fatal(err)
	}
	if data := client.awaitData(); data != "from the bridge" {
		t.Errorf("the client got %q", data)
	}
}
