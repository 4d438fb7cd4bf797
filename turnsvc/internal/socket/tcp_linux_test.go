package socket

import (
	"net"
	"syscall"
	"testing"
)

// DF on TCP is the system's, which finds out what a path takes: it was cleared, and what is cut on
// the way can be put together with a stranger's pieces.
func TestTCPFindsOutWhatThePathTakes(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	discovery := func() (value int) {
		raw, err := conn.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if cerr := raw.Control(func(fd uintptr) {
			value, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER)
		}); cerr != nil || err != nil {
			t.Fatal(cerr, err)
		}
		return value
	}
	was := discovery()
	NewSending(conn, 1024)
	if is := discovery(); is != was {
		t.Errorf("IP_MTU_DISCOVER is %d, the system's %d", is, was)
	}
}
