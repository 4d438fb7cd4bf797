//go:build linux

package lab_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// What operators report of the networks that their boxes stand in.

// Addresses that the registries take for global. They exist in the lab only.
const sixBox, sixClient = "2bad::66", "2bad::67"

// onlyIPv6 leaves a host of the outside an IPv6 address and no other.
func onlyIPv6(t *testing.T, n *lab.Namespace, ip string) {
	t.Helper()
	n.Exec(t, "ip", "-4", "addr", "flush", "dev", "eth0")
	n.Exec(t, "ip", "addr", "add", ip+"/64", "dev", "eth0", "nodad")
	n.Exec(t, "ip", "route", "add", "default", "via", sixClient)
	n.Public = ip
}

// 5 of the operators' reports: a box without IPv4 refuses who asks for no family, and says so;
// with turn.default_family = "auto" it relays on what it has.
func TestIssue16IPv6OnlyHost(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.FullCone, lab.FullCone)
	box, host := l.AddHost(t, "six", 66), l.AddHost(t, "sixer", 67)
	host.Exec(t, "ip", "addr", "add", sixClient+"/64", "dev", "eth0", "nodad")
	onlyIPv6(t, box, sixBox)
	peer := host.ListenUDP(t, "["+sixClient+"]:0")
	to := peer.LocalAddr().String()
	const auto = "turn.default_family=auto"

	server := lab.StartServer(t, box, ownConfig, "--set", "turn.allow_peers=2bad::/32")
	for _, network := range []string{"udp", "tcp"} {
		if code := allocateCode(t, host, sixBox, network); code != 440 {
			t.Errorf("Allocate without a family over %s: %d, want 440", network, code)
		}
	}
	server.Stop(t)
	server = lab.StartServer(t, box, ownConfig, "--set", "turn.allow_peers=2bad::/32", "--set", auto)
	for _, network := range []string{"udp", "tcp"} {
		client := newTURNClient(t, host, server, network, "u", "p")
		if client.relayed.Addr().String() != sixBox {
			t.Errorf("over %s it relays on %s", network, client.relayed)
		}
		if code := client.permit(netip.MustParseAddrPort(to)); code != 0 {
			t.Fatalf("CreatePermission: %d", code)
		}
		client.send(netip.MustParseAddrPort(to), "hello")
		if data := firstDatagram(peer, patience); data != "hello" {
			t.Errorf("over %s the peer got %q", network, data)
		}
	}
	server.Stop(t)

	for _, tt := range []struct{ set, says string }{
		{"turn.default_family=ipv4", `warning +relay address +` + sixBox +
			`.*\n +-> set turn.default_family = "auto"`},
		{auto, `ok +relay address +` + sixBox},
	} {
		out := doctor(t, box, "--set", "web.tls_listen=", "--set", tt.set)
		if !regexp.MustCompile(tt.says).MatchString(out) {
			t.Errorf("doctor with %s does not say %s:\n%s", tt.set, tt.says, out)
		}
	}
}

// 10 of the operators' reports: a path to the client takes 1,300 bytes and says nothing of it. What
// is larger arrives all the same.
func TestIssue16PathMTUWithoutICMP(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted, lab.GlobalAddresses)
	server := lab.StartServer(t, l.Server, ownConfig)
	l.NATA.Exec(t, "ip", "link", "set", "lan", "mtu", "1300")
	l.NATA.Nft(t, `table ip silent { chain out { type filter hook output priority 0; ip protocol icmp drop; }; }`)
	out := l.AddHost(t, "out", 64)
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			peer := out.ListenUDP(t, out.Public+":0")
			to := peer.LocalAddr().(*net.UDPAddr).AddrPort()
			client := newTURNClient(t, l.A, server, network, "u", "p")
			if code := client.bind(0x4000, to); code != 0 {
				t.Fatalf("ChannelBind: %d", code)
			}
			for _, size := range []int{1200, 1240, 1280, 1300, 1400, 1460} {
				data := strings.Repeat("x", size)
				if _, err := peer.WriteToUDPAddrPort([]byte(data), client.relayed); err != nil {
					t.Fatal(err)
				}
				if got := client.awaitData(); got != data {
					t.Errorf("%d bytes came, want %d", len(got), size)
				}
			}
		})
	}
}

// 6 of the operators' reports: the box starts before its network does. When the address comes, it
// listens and relays there at once.
func TestIssue16LateAddress(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.FullCone, lab.FullCone, lab.GlobalAddresses)
	box, host := l.AddHost(t, "late", 66), l.AddHost(t, "out", 67)
	box.Exec(t, "ip", "addr", "flush", "dev", "eth0")
	server := lab.StartServer(t, box, ownConfig)
	box.Exec(t, "ip", "addr", "add", box.Public+"/24", "dev", "eth0")
	box.Exec(t, "ip", "route", "add", "default", "dev", "eth0")
	began := time.Now()
	const patience = 20 * time.Second // it has looked once in a minute
	for allocateCode(t, host, box.Public, "tcp") != 0 {
		if time.Since(began) > patience {
			t.Fatal("the box relays nowhere")
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("a relay after %v", time.Since(began))
	server.AwaitLog(t, "listening on a new address.*"+regexp.QuoteMeta(box.Public))
	if got := newTURNClient(t, host, server, "udp", "u", "p").relayed.Addr().String(); got != box.Public {
		t.Errorf("it relays on %s, want %s", got, box.Public)
	}
}

// An address that is away for a moment, as while a lease is renewed, was never gone: the box goes
// on relaying there, and refuses nobody.
func TestIssue16AddressBlinks(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.FullCone, lab.FullCone, lab.GlobalAddresses)
	out := l.AddHost(t, "out", 64)
	server := lab.StartServer(t, l.Server, ownConfig)
	other := strings.TrimSuffix(l.Server.Public, "10") + "11"
	conn, err := out.DialContext(t.Context(), "tcp", net.JoinHostPort(other, "3478"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := allocateOn(t, conn, true, "u", "p")
	allocate := func() {
		client.end()
		answer := client.ask(stun.MethodAllocate, requestedUDP)
		var relayed stun.XORMappedAddress
		if err := relayed.GetFromAs(answer, stun.AttrXORRelayedAddress); err != nil {
			t.Fatalf("allocate: %v", answer)
		}
		if got := relayed.IP.String(); got != server.Host() {
			t.Fatalf("it relays on %s", got)
		}
	}
	l.Server.Exec(t, "ip", "addr", "del", server.Host()+"/24", "dev", "eth0")
	l.Server.Exec(t, "ip", "addr", "add", other+"/24", "dev", "eth0") // which went with the first
	// Much less than the two seconds after which it is gone: a busy machine gives it back late.
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		allocate()
	}
	l.Server.Exec(t, "ip", "addr", "add", server.Host()+"/24", "dev", "eth0")
	peer, to := out.ListenUDP(t, out.Public+":0"), func(c *net.UDPConn) netip.AddrPort {
		return c.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	if code := client.permit(to(peer)); code != 0 {
		t.Fatalf("CreatePermission: %d", code)
	}
	client.send(to(peer), "hello")
	if data := firstDatagram(peer, patience); data != "hello" {
		t.Errorf("when the address is back, the peer got %q", data)
	}
	if server.Logged(t, "relay addresses changed|an address that is gone") {
		t.Error("the address counted as gone")
	}
}

// TestIssue16BoxMoves: the box's address is replaced by another. Whoever comes to the new one has
// his session, and relays there. Browsers do so once their name for the box leads there:
// TestLongIssue16BoxMovesInACall.
func TestIssue16BoxMoves(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Symmetric, lab.PortRestricted, lab.GlobalAddresses)
	server := lab.StartServer(t, l.Server, policyConfig(l, "room"))
	homes := []*lab.Namespace{l.A, l.B}
	var before, after []*member
	var clients []*turnClient
	for _, in := range homes {
		m := hello(t, in, server, "Ann", nil)
		m.join("tea")
		m.turn(in, server, "udp")
		before = append(before, m)
	}
	l.RenumberServer(t, 12)
	server.HTTP = "http://" + server.Host() + ":8080"
	server.AwaitLog(t, "relay addresses changed.*to="+regexp.QuoteMeta(server.Host()))
	server.AwaitLog(t, "listening on a new address.*"+regexp.QuoteMeta(server.Host()))
	for i, in := range homes {
		m := dialHub(t, in, server, nil)
		m.write(map[string]any{"type": "resume", "token": before[i].ResumeToken, "seq": 0})
		m.expect("resumed", m)
		if m.PeerID != before[i].PeerID {
			t.Errorf("%s is resumed as %s", before[i].PeerID, m.PeerID)
		}
		if url := m.ICEServers[0].URLs[0]; !strings.Contains(url, server.Host()) {
			t.Errorf("the client is told %s", url)
		}
		client := m.turn(in, server, "udp")
		if got := client.relayed.Addr().String(); got != server.Host() {
			t.Errorf("it relays on %s, want %s", got, server.Host())
		}
		after, clients = append(after, m), append(clients, client)
	}
	converse(t, clients[0], clients[1])
	after[0].signal(after[1], "tea", "hello")
	for _, m := range before {
		m.vanish()
	}
}

// 6 of the operators' reports: addresses come and go, and the sockets go with them; those over
// which a client has an allocation stay until that ends.
func TestLongIssue16AddressesComeAndGo(t *testing.T) {
	testkit.Long(t)
	t.Parallel()
	l := lab.New(t, lab.FullCone, lab.FullCone, lab.GlobalAddresses)
	out := l.AddHost(t, "out", 64)
	server := lab.StartServer(t, l.Server, ownConfig)
	files := newUsage(t, server).files
	address := func(n int) string { return fmt.Sprint("203.0.114.", 150+n) }
	change := func(verb string, first, last int) {
		for n := first; n <= last; n++ {
			l.Server.Exec(t, "ip", "addr", verb, address(n)+"/32", "dev", "eth0")
		}
	}
	here := func(n int) string { return "listening on a new address.*" + regexp.QuoteMeta(address(n)) + ":" }
	gone := func(n int) string { return "an address that is gone.*" + regexp.QuoteMeta(address(n)) + ":" }
	const many = 40
	// A box is ready before its readers have opened what they send through. They have once one
	// address more has come and gone.
	const first = many + 1
	change("add", first, first)
	server.AwaitLog(t, here(first))
	change("del", first, first)
	server.AwaitLog(t, gone(first))
	before := files()
	change("add", 0, many)
	for n := range many + 1 {
		server.AwaitLog(t, here(n))
	}
	most := files()
	client := newTURNClientOf(t, out, address(0), "udp", "u", "p")
	change("del", 0, many)
	for n := 1; n <= many; n++ {
		server.AwaitLog(t, gone(n))
	}
	if server.Logged(t, gone(0)) {
		t.Error("the socket of an allocation was closed")
	}
	change("add", 0, 0)
	if code := errorCode(client.ask(stun.MethodRefresh)); code != 0 {
		t.Errorf("when the address is back, a refresh gets %d", code)
	}
	client.end()
	change("del", 0, 0)
	server.AwaitLog(t, gone(0))
	const few = 8 // connections of the test's own
	after := files()
	for deadline := time.Now().Add(20 * time.Second); after > before+few && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond) // each socket's reader closes what else it has
		after = files()
	}
	if after > before+few {
		t.Errorf("%d files are open, %d were before %d addresses came and went (%d with them)", after, before, many+1,
			most)
	} else {
		t.Logf("files: %d, with %d addresses more %d, then %d", before, many+1, most, after)
	}
}

// allocateCode returns the error code that an Allocate of the static user gets, 0 without one.
func allocateCode(t *testing.T, in *lab.Namespace, host, network string) stun.ErrorCode {
	t.Helper()
	conn, err := in.DialContext(t.Context(), network, net.JoinHostPort(host, "3478"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &turnClient{t: t, conn: conn, stream: network == "tcp", username: "u", password: "p"}
	return errorCode(c.ask(stun.MethodAllocate, requestedUDP))
}

// doctor returns what doctor says of a host where no box runs.
func doctor(t *testing.T, in *lab.Namespace, args ...string) string {
	t.Helper()
	args = append([]string{"doctor", "--timeout", "2s", "--state", t.TempDir()}, args...)
	out, err := in.Command(t.Context(), lab.Binary(t), args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out)
}
