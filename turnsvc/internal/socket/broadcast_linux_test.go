//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
)

func TestRelaySocketsDoNotBroadcast(t *testing.T) {
	for _, ip := range loopbacks() {
		r := openRelay(t, ip)
		value := 1
		var err error
		cerr := r.Control(func(fd uintptr) {
			value, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_BROADCAST)
		})
		if cerr != nil || err != nil || value != 0 {
			t.Errorf("%s: SO_BROADCAST is %d (%v, %v)", ip, value, cerr, err)
		}
	}
	r := openRelay(t, "127.0.0.1")
	if err := r.Send([]byte("to all"), netip.MustParseAddrPort("255.255.255.255:9"), false); err == nil {
		t.Error("a broadcast left")
	}
}

// loopbacks are the loopback addresses that this machine has, by network.
func loopbacks() map[string]string {
	list := map[string]string{"udp4": "127.0.0.1"}
	if haveIPv6() {
		list["udp6"] = "::1"
	}
	return list
}

// openRelay opens a relay that is closed when the test ends.
func openRelay(t *testing.T, ip string) *Relay {
	t.Helper()
	r, err := OpenRelay(netip.AddrPortFrom(netip.MustParseAddr(ip), 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func haveIPv6() bool {
	conn, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err == nil {
		conn.Close()
	}
	return err == nil
}
