//go:build linux

package lab_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/scripts/lab"
)

// ownConfig leaves the peers of static users as they are by default: public ones.
const ownConfig = `
[[turn.users]]
name = "u"
password = "p"
`

// TestAttackF2OwnIsWhatTheKernelDelivers: addresses that the server's kernel delivers to the server
// itself are closed, also those that no interface has, and those that come while a client has
// permissions.
func TestAttackF2OwnIsWhatTheKernelDelivers(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.FullCone, lab.FullCone, lab.GlobalAddresses)
	// Addresses that the registries take for global. They exist in the lab only.
	const router, host = "2bad::10", "2bad::64"
	out := l.AddHost(t, "out", 64)
	out.Exec(t, "ip", "addr", "add", host+"/64", "dev", "eth0", "nodad")
	l.Server.Exec(t, "ip", "addr", "add", router+"/64", "dev", "eth0", "nodad")
	l.Server.Exec(t, "ip", "route", "add", "default", "via", host)
	// A router of a subnet has its anycast address (RFC 4291 §2.6.1).
	l.Server.Exec(t, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
	// AnyIP, which is also how some clouds forward addresses.
	l.Server.Exec(t, "ip", "route", "add", "local", "203.0.115.0/24", "dev", "lo")
	server := lab.StartServer(t, l.Server, ownConfig)
	peer := netip.MustParseAddrPort

	service := l.Server.ListenUDP(t, "203.0.115.5:9")
	four := newTURNClient(t, out, server, "udp", "u", "p")
	for _, own := range []string{"203.0.115.5:9", "203.0.115.77:9", "203.0.114.255:9", "203.0.114.11:9"} {
		if code := four.permit(peer(own)); code != stun.CodeForbidden {
			t.Errorf("CreatePermission for %s: %d", own, code)
		}
		if code := four.bind(0x4000, peer(own)); code != stun.CodeForbidden {
			t.Errorf("ChannelBind to %s: %d", own, code)
		}
	}
	four.send(peer("203.0.115.5:9"), "let me in")
	four.settle()
	if data := firstDatagram(service, 100*time.Millisecond); data != "" {
		t.Errorf("%q reached a service of the server's", data)
	}

	conn, err := out.DialContext(t.Context(), "udp4", server.Host()+":3478")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	six := &turnClient{t: t, conn: conn, username: "u", password: "p"}
	// RFC 8656 §18.9: IPv6, then padding.
	family := stun.RawAttribute{Type: stun.AttrRequestedAddressFamily, Value: []byte{2, 0, 0, 0}}
	if code := errorCode(six.ask(stun.MethodAllocate, requestedUDP, family)); code != 0 {
		t.Fatalf("an IPv6 relay: %d", code)
	}
	if code := six.permit(peer("[2bad::]:9")); code != stun.CodeForbidden {
		t.Errorf("the subnet-router anycast address: %d", code)
	}
	if code := six.permit(peer("[" + host + "]:9")); code != 0 {
		t.Errorf("a host of the same subnet: %d", code)
	}

	// A local route that comes later: the permission that there is allows nothing any more,
	// although its client asks for no new one.
	if code := four.bind(0x4001, peer("203.0.116.5:9")); code != 0 {
		t.Fatalf("an address of somebody else's: %d", code)
	}
	l.Server.Exec(t, "ip", "route", "add", "local", "203.0.116.0/24", "dev", "lo")
	later := l.Server.ListenUDP(t, "203.0.116.5:9")
	for deadline := time.Now().Add(15 * time.Second); ; { // the books look once a second
		four.channelData(0x4001, "let me in")
		four.settle()
		data := firstDatagram(later, 100*time.Millisecond)
		if data == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("%q reached a service of the server's by an earlier permission", data)
			break
		}
	}

	// A permission for the server's relay address is for relays: another program there reaches no
	// client by it.
	if code := four.permit(peer(server.Host() + ":0")); code != 0 {
		t.Fatalf("the relay address: %d", code)
	}
	local := l.Server.ListenUDP(t, server.Host()+":0")
	friend := out.ListenUDP(t, out.Public+":0")
	if code := four.permit(friend.LocalAddr().(*net.UDPAddr).AddrPort()); code != 0 {
		t.Fatalf("a public peer: %d", code)
	}
	for _, from := range []*net.UDPConn{local, friend} {
		if _, err := from.WriteToUDPAddrPort([]byte("from "+from.LocalAddr().String()), four.relayed); err != nil {
			t.Fatal(err)
		}
	}
	if data := four.awaitData(); data != "from "+friend.LocalAddr().String() {
		t.Errorf("a program on the server reached the client: %q", data)
	}
}

// firstDatagram returns what comes to a socket within the time, or nothing.
func firstDatagram(conn *net.UDPConn, within time.Duration) string {
	buf := make([]byte, 2048)
	conn.SetReadDeadline(time.Now().Add(within))
	n, _, _ := conn.ReadFromUDPAddrPort(buf)
	return string(buf[:n])
}
