package turnsvc

import (
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
		r, err := openRelay(netip.AddrPortFrom(netip.MustParseAddr(ip), 0))
		if err != nil {
			t.Fatal(err)
		}
		defer r.close()
		raw, err := r.conn.SyscallConn()
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
	r, err := openRelay(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if err := r.send([]byte("to all"), netip.MustParseAddrPort("255.255.255.255:9"), false); err == nil {
		t.Error("a broadcast left")
	}
}
