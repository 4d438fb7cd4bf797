//go:build linux

package lab_test

import (
	"bufio"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// A natProbe measures how a NAT treats the client behind it, in the manner of
// RFC 5780: from one client socket to a server of two addresses and two ports.
type natProbe struct {
	lab                *lab.Lab
	first              *net.UDPConn // where the client sends first
	otherPort, otherIP *net.UDPConn
}

func newNATProbe(t *testing.T, l *lab.Lab) *natProbe {
	first := l.Server.ListenUDP(t, lab.AddrServer+":0")
	return &natProbe{
		lab:       l,
		first:     first,
		otherPort: l.Server.ListenUDP(t, lab.AddrServer+":0"),
		otherIP:   l.Server.ListenUDP(t, lab.AddrServer2+":0"),
	}
}

// mapped sends from the client to a server socket and returns the source
// address that the server sees; ok is false if nothing arrives.
func mapped(t *testing.T, client, server *net.UDPConn) (seen netip.AddrPort, ok bool) {
	t.Helper()
	const message = "what is my address?"
	if _, err := client.WriteTo([]byte(message), server.LocalAddr()); err != nil {
		t.Fatalf("send to %v: %v", server.LocalAddr(), err)
	}
	// Within one machine; only a packet that was dropped takes longer.
	server.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	buf := make([]byte, 64)
	n, seen, err := server.ReadFromUDPAddrPort(buf)
	if err != nil {
		return netip.AddrPort{}, false
	}
	if string(buf[:n]) != message {
		t.Fatalf("server received %q", buf[:n])
	}
	return netip.AddrPortFrom(seen.Addr().Unmap(), seen.Port()), true
}

func (p *natProbe) mapping(t *testing.T) string {
	client := p.lab.A.ListenUDP(t, lab.AddrA+":0")
	toFirst, ok := mapped(t, client, p.first)
	if !ok {
		return "blocked"
	}
	if toFirst.Addr() != netip.MustParseAddr(lab.AddrNATA) {
		t.Fatalf("the server sees %v, not the router's address", toFirst)
	}
	toOtherPort, _ := mapped(t, client, p.otherPort)
	toOtherIP, _ := mapped(t, client, p.otherIP)
	switch toFirst {
	case toOtherPort:
		if toFirst == toOtherIP {
			return "endpoint-independent"
		}
		return "address-dependent"
	default:
		return "address- and port-dependent"
	}
}

func (p *natProbe) filtering(t *testing.T) string {
	client := p.lab.A.ListenUDP(t, lab.AddrA+":0")
	seen, ok := mapped(t, client, p.first)
	if !ok {
		return "blocked"
	}
	// The last one passes every filter, so that its arrival ends the wait.
	for _, from := range []struct {
		conn *net.UDPConn
		word string
	}{{p.otherIP, "other ip"}, {p.otherPort, "other port"}, {p.first, "same"}} {
		if _, err := from.conn.WriteToUDPAddrPort([]byte(from.word), seen); err != nil {
			t.Fatal(err)
		}
	}
	client.SetReadDeadline(time.Now().Add(patience))
	passed := map[string]bool{}
	buf := make([]byte, 64)
	for !passed["same"] {
		n, err := client.Read(buf)
		if err != nil {
			t.Fatalf("the answer of the address that was asked does not arrive: %v", err)
		}
		passed[string(buf[:n])] = true
	}
	switch {
	case passed["other ip"]:
		return "endpoint-independent"
	case passed["other port"]:
		return "address-dependent"
	default:
		return "address- and port-dependent"
	}
}

// hairpins reports whether a client reaches another socket of its own host by
// that socket's public address.
func (p *natProbe) hairpins(t *testing.T) bool {
	to := p.lab.A.ListenUDP(t, lab.AddrA+":0")
	seen, ok := mapped(t, to, p.first)
	if !ok {
		return false
	}
	from := p.lab.A.ListenUDP(t, lab.AddrA+":0")
	if _, err := from.WriteToUDPAddrPort([]byte("hairpin"), seen); err != nil {
		t.Fatal(err)
	}
	to.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	_, err := to.Read(make([]byte, 64))
	return err == nil
}

func TestNATModes(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	const eim, adm, apdm = "endpoint-independent", "address-dependent", "address- and port-dependent"
	for _, tt := range []struct {
		mode               lab.NAT
		mapping, filtering string
		hairpins           bool
		tcp80, tcp8080     bool // what gets out
	}{
		{lab.PortRestricted, eim, apdm, false, true, true},
		{lab.AddressRestricted, eim, adm, false, true, true},
		{lab.FullCone, eim, eim, false, true, true},
		{lab.Hairpin, eim, eim, true, true, true},
		{lab.Symmetric, apdm, apdm, false, true, true},
		{lab.UDPBlocked, "blocked", "blocked", false, true, true},
		{lab.TCP443Only, "blocked", "blocked", false, true, false},
	} {
		t.Run(string(tt.mode), func(t *testing.T) {
			l.SetNAT(t, l.NATA, tt.mode)
			p := newNATProbe(t, l)
			// First, since an address-restricting NAT remembers its client, not the socket.
			if got := p.filtering(t); got != tt.filtering {
				t.Errorf("filtering is %s, want %s", got, tt.filtering)
			}
			if got := p.mapping(t); got != tt.mapping {
				t.Errorf("mapping is %s, want %s", got, tt.mapping)
			}
			if got := p.hairpins(t); got != tt.hairpins {
				t.Errorf("hairpins: %v, want %v", got, tt.hairpins)
			}
			if got := connects(t, l, ":80"); got != tt.tcp80 {
				t.Errorf("TCP port 80 gets out: %v, want %v", got, tt.tcp80)
			}
			if got := connects(t, l, ":8080"); got != tt.tcp8080 {
				t.Errorf("TCP port 8080 gets out: %v, want %v", got, tt.tcp8080)
			}
		})
	}
}

// connects reports whether a TCP connection from client A to the server comes
// about.
func connects(t *testing.T, l *lab.Lab, port string) bool {
	t.Helper()
	defer l.Server.ListenTCP(t, lab.AddrServer+port).Close()
	var conn net.Conn
	err := l.A.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp4", lab.AddrServer+port, 500*time.Millisecond)
		return err
	})
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func TestUnknownNATModeIsRefused(t *testing.T) {
	lab.Require(t)
	l, err := lab.Up("sideways", lab.Symmetric)
	if err == nil {
		l.Down()
		t.Fatal("a lab with an unknown mode came up")
	}
	if !strings.Contains(err.Error(), "sideways") {
		t.Errorf("the error does not name the mode: %v", err)
	}
}

func TestLabsStandSideBySide(t *testing.T) {
	one := lab.New(t, lab.Symmetric, lab.Symmetric)
	two := lab.New(t, lab.UDPBlocked, lab.Symmetric)
	if got := newNATProbe(t, one).mapping(t); got != "address- and port-dependent" {
		t.Errorf("first lab: mapping is %s", got)
	}
	if got := newNATProbe(t, two).mapping(t); got != "blocked" {
		t.Errorf("second lab: mapping is %s", got)
	}
	// Taking one down must leave the other alone.
	if err := two.Down(); err != nil {
		t.Fatal(err)
	}
	if _, ok := mapped(t, one.A.ListenUDP(t, lab.AddrA+":0"), one.Server.ListenUDP(t, lab.AddrServer+":0")); !ok {
		t.Error("the first lab went down with the second")
	}
}

// A run that is killed can't clean up; the next one does it.
func TestNextLabClearsAwayTheLeftoversOfAKilledRun(t *testing.T) {
	lab.Require(t)
	// No process has the pid 2^22+1: it is above the kernel's limit.
	left := &lab.Namespace{Name: "sbx-4194305-1-abcdef-srv"}
	if out, err := exec.Command("ip", "netns", "add", left.Name).CombinedOutput(); err != nil {
		t.Fatalf("ip netns add: %v\n%s", err, out)
	}
	cmd := left.Command(t.Context(), "sh", "-c", "echo inside; exec sleep 60")
	says, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Until it says so it has not entered the namespace, and nobody finds it there.
	if _, err := bufio.NewReader(says).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	lab.New(t, lab.PortRestricted, lab.PortRestricted)

	if _, err := os.Stat("/run/netns/" + left.Name); err == nil {
		t.Error("the namespace is still there")
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("what ran in the namespace still runs")
	}
}
