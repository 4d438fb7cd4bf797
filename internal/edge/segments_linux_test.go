package edge

import (
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What is sent over TCP, by either side, passes paths that take less and lose the ICMP to say so.
func TestTCPSegmentsAreSmall(t *testing.T) {
	t.Parallel()
	l, err := listenTCP(netip.MustParseAddrPort("127.0.0.1:0"), "turn.listen")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for name, conn := range map[string]net.Conn{"server": server, "client": client} {
		raw, err := conn.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		segment := 0
		if cerr := raw.Control(func(fd uintptr) {
			segment, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG)
		}); cerr != nil || err != nil {
			t.Fatal(cerr, err)
		}
		if segment > maxSegment {
			t.Errorf("the %s sends segments of %d bytes", name, segment)
		}
	}
}
