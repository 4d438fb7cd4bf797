package socket

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
)

func TestRelaySocketsDoNotBroadcast(t *testing.T) {
	ips := []string{"127.0.0.1"}
	if haveIPv6() {
		ips = append(ips, "::1")
	}
	for _, ip := range ips {
		r, err := OpenRelay(netip.AddrPortFrom(netip.MustParseAddr(ip), 0))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		raw, err := r.Conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		value := 1
		cerr := raw.Control(func(fd uintptr) {
			value, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_BROADCAST)
		})
		if cerr != nil || err != nil || value != 0 {
			t.Errorf("%s: SO_BROADCAST is %d (%v, %v)", ip, value, cerr, err)
		}
	}
	r, err := OpenRelay(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Send([]byte("to all"), netip.MustParseAddrPort("255.255.255.255:9"), false); err == nil {
		t.Error("a broadcast left")
	}
}

func haveIPv6() bool {
	conn, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err == nil {
		conn.Close()
	}
	return err == nil
}
