package socket

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/turnsvc/internal/wire"
)

func listen(t *testing.T, network, ip string) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP(network, &net.UDPAddr{IP: net.ParseIP(ip)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// What leaves through an outlet comes from the address of the socket that it is made for, also
// after it has taken another of its own, and that socket alone gets what is sent there.
func TestOutletSendsFromItsAddress(t *testing.T) {
	for network, ip := range map[string]string{"udp4": "127.0.0.1", "udp6": "::1"} {
		if network == "udp6" && !haveIPv6() {
			continue
		}
		conn, client := listen(t, network, ip), listen(t, network, ip)
		o := NewOutlet(conn, NewNeighbors())
		defer o.Close()
		if o.own.Load() == nil {
			t.Fatalf("%s: it has no socket of its own", network)
		}
		buf := make([]byte, 100)
		for range 3 {
			if err := o.Send([]byte("hello"), wire.AddrPort(client.LocalAddr())); err != nil {
				t.Fatal(err)
			}
			n, from, err := client.ReadFromUDPAddrPort(buf)
			if err != nil || string(buf[:n]) != "hello" || from != wire.AddrPort(conn.LocalAddr()) {
				t.Fatalf("%q came from %v: %v", buf[:n], from, err)
			}
			if _, err := client.WriteToUDPAddrPort([]byte("answer"), from); err != nil {
				t.Fatal(err)
			}
			conn.SetReadDeadline(time.Now().Add(patience)) //nolint:errcheck // it is open
			if n, _, err := conn.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != "answer" {
				t.Fatalf("%q: %v", buf[:n], err)
			}
			o.replace()
		}
		if err := o.Send(nil, wire.AddrPort(client.LocalAddr())); err != nil {
			t.Errorf("an empty datagram: %v", err)
		}
	}
}

// Sockets are replaced and closed while others send.
func TestOutletIsReplacedInUse(t *testing.T) {
	conn, client := listen(t, "udp4", "127.0.0.1"), listen(t, "udp4", "127.0.0.1")
	o := NewOutlet(conn, NewNeighbors())
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := o.Send([]byte("x"), wire.AddrPort(client.LocalAddr())); err != nil && err != ErrFull {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 200 {
		o.replace()
	}
	o.Close()
	close(stop)
	senders.Wait()
	if o.own.Load() != nil {
		t.Error("it holds a socket after it was closed")
	}
	conn.Close()
	if err := o.Send([]byte("x"), wire.AddrPort(client.LocalAddr())); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after that: %v", err)
	}
}

// Nobody who is missing is sent anything but a question now and then, and the rest never waits.
func TestNeighborsWhoAreMissing(t *testing.T) {
	n := NewNeighbors()
	gone := netip.MustParseAddr("192.0.2.1")
	if n.absent(gone) {
		t.Error("nobody is known to be missing")
	}
	n.missing.Store(&map[netip.Addr]*missing{gone: new(missing), netip.MustParseAddr("fe80::1"): new(missing)})
	passed := 0
	for range 1000 {
		if !n.absent(gone) {
			passed++
		}
	}
	if passed != 1 {
		t.Errorf("%d of 1000 datagrams pass, want 1", passed)
	}
	if n.absent(netip.MustParseAddr("192.0.2.2")) {
		t.Error("another is missing, too")
	}
	n.absent(netip.MustParseAddr("fe80::1%lo"))
	if !n.absent(netip.MustParseAddr("fe80::1%lo")) {
		t.Error("a zone hides who is missing")
	}
	r, err := OpenRelay(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Neighbors = n
	if err := r.Send([]byte("x"), netip.AddrPortFrom(gone, 9), false); err != ErrAbsent {
		t.Errorf("a relay sends to it: %v", err)
	}
	n.look(true)
	if n.absent(gone) {
		t.Error("it is never forgotten")
	}
}

// The kernel's table is read and understood: a test of the lab sees what is in it.
func TestUnresolvedIsRead(t *testing.T) {
	for _, u := range unresolved() {
		if !u.ip.IsValid() || u.since < 0 || strings.Contains(u.ip.String(), "invalid") {
			t.Errorf("%+v", u)
		}
	}
}
