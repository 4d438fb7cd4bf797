//go:build linux

package lab_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/internal/netaddr"
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
	if data := firstDatagram(bridge, patience); data != "to the bridge" {
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

// TestIssue16SFUBehindTheSameNAT: behind 1:1 NAT, with another machine that is an SFU. A port that
// README.md says to name is reached at the public address, by the router's hairpin, and at the
// private one; no other port is.
func TestIssue16SFUBehindTheSameNAT(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Symmetric, lab.FullCone, lab.GlobalAddresses, lab.OneToOneNAT)
	neighbor := l.AddNeighbor(t, "sfu")
	l.Cloud.Nft(t, strings.NewReplacer("PUBLIC", l.Cloud.Public, "BOX", lab.AddrServerInside, "SFU", lab.AddrNeighbor).
		Replace(`
table ip sfu {
  chain pre {
    type nat hook prerouting priority dstnat - 1
    ip daddr PUBLIC udp dport { 10000-10001, 20000-41000, 50000-60000 } iifname { wan, lan } dnat to SFU
    ip daddr PUBLIC iifname lan2 dnat to BOX
  }
  chain post {
    type nat hook postrouting priority srcnat - 1
    ip saddr SFU oifname { wan, lan } snat to PUBLIC
    ip saddr BOX ip daddr SFU ct status dnat snat to PUBLIC
  }
}
`))
	rows := readmeSFUs(t, l.Cloud.Public)
	var entries []string
	for _, row := range rows {
		entries = append(entries, row.entries...)
	}
	list, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	// LiveKit's ports lie where the box relays by default.
	server := lab.StartServer(t, l.Server, policyConfig(l, "room")+"relay_ports = \"61000-62000\"\n"+ownConfig,
		"--set", "turn.allow_peers="+string(list))
	client := newTURNClient(t, l.A, server, "udp", "u", "p")
	at := func(port uint16) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(l.Cloud.Public), port)
	}
	for _, closed := range []uint16{22, 3478, 8443, 9999, 10001, 19999, 41001, 49999, 60001} {
		if code := client.permit(at(closed)); code != stun.CodeForbidden {
			t.Errorf("CreatePermission for port %d: %d", closed, code)
		}
	}
	if code := client.permit(netip.MustParseAddrPort(lab.AddrNeighbor + ":22")); code != stun.CodeForbidden {
		t.Errorf("CreatePermission for another port of the SFU's: %d", code)
	}
	channel := uint16(0x4000)
	for _, row := range rows {
		for _, entry := range row.entries {
			ports, _, err := netaddr.ParsePorts(entry)
			if err != nil {
				t.Fatal(err)
			}
			public := ports.Network.Contains(at(0).Addr())
			peer := netip.AddrPortFrom(ports.Network.Addr(), ports.Last)
			bridge := neighbor.ListenUDP(t, fmt.Sprint(lab.AddrNeighbor, ":", peer.Port()))
			if code := client.bind(channel, peer); code != 0 {
				t.Fatalf("%s: ChannelBind to %s: %d", row.sfu, peer, code)
			}
			if public { // whichever end begins
				if _, err := bridge.WriteToUDPAddrPort([]byte("first"), client.relayed); err != nil {
					t.Fatal(err)
				}
				if data := client.awaitData(); data != "first" {
					t.Errorf("%s: the client got %q", row.sfu, data)
				}
			}
			client.channelData(channel, row.sfu)
			buf := make([]byte, 64)
			bridge.SetReadDeadline(time.Now().Add(patience))
			n, from, err := bridge.ReadFromUDPAddrPort(buf)
			if err != nil || string(buf[:n]) != row.sfu || public && from != client.relayed {
				t.Fatalf("%s: at %s, the SFU got %q of %v: %v", row.sfu, peer, buf[:n], from, err)
			}
			if _, err := bridge.WriteToUDPAddrPort([]byte("back"), from); err != nil {
				t.Fatal(err)
			}
			if data := client.awaitData(); data != "back" {
				t.Errorf("%s: the client got %q", row.sfu, data)
			}
			bridge.Close()
			channel++
		}
	}
	beside := neighbor.ListenUDP(t, lab.AddrNeighbor+":10001")
	bridge := neighbor.ListenUDP(t, lab.AddrNeighbor+":10000")
	for _, from := range []*net.UDPConn{beside, bridge} {
		if _, err := from.WriteToUDPAddrPort([]byte(from.LocalAddr().String()), client.relayed); err != nil {
			t.Fatal(err)
		}
	}
	if data := client.awaitData(); data != bridge.LocalAddr().String() {
		t.Errorf("%q came from beside the SFU's port", data)
	}
}

// sfu is a row of README.md's table of SFUs.
type sfu struct {
	sfu     string
	entries []string // of turn.allow_peers, with the addresses of the lab
}

// readmeSFUs returns the rows. The SFU is the neighbor behind a public address.
func readmeSFUs(t *testing.T, public string) (rows []sfu) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "| SFU | its UDP ports by default | `turn.allow_peers` |\n")
	table, _, _ := strings.Cut(after, "\n\n")
	place := strings.NewReplacer("203.0.113.10", public, "10.0.0.5", lab.AddrNeighbor)
	for _, row := range regexp.MustCompile("\\| (.*?) \\|.*\\| `(.*)` \\|").FindAllStringSubmatch(table, -1) {
		s := sfu{sfu: row[1]}
		if err := json.Unmarshal([]byte(place.Replace(row[2])), &s.entries); err != nil {
			t.Fatalf("%s: %v", row[0], err)
		}
		rows = append(rows, s)
	}
	if len(rows) < 4 {
		t.Fatalf("the table has %d rows:\n%s", len(rows), table)
	}
	return rows
}
