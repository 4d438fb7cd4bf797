package turnsvc

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"signalbox/turnsvc/internal/wire"
)

// A read error on a front's socket is counted, logged once, and nobody's end: ports that are closed
// where an answer was sent to are one, on systems that report them.
func TestReadErrorsAreCounted(t *testing.T) {
	t.Parallel()
	for name, serve := range map[string]func(s *Server, conn *net.UDPConn) error{
		"TURN": (*Server).ServePacket, "STUN only": (*Server).ServeSTUN,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var logged lines
			r := newRig(t, logged.log)
			conn := listenLoopback(t)
			raw, err := conn.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			if cerr := raw.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_RECVERR, 1)
			}); cerr != nil || err != nil {
				t.Fatal(cerr, err)
			}
			done := make(chan error)
			go func() { done <- serve(r.s, conn) }()
			gone := listenLoopback(t)
			to := wire.AddrPort(gone.LocalAddr())
			gone.Close()
			eventually(t, "read errors are counted", func() bool {
				conn.WriteToUDPAddrPort([]byte("x"), to) //nolint:errcheck // it may report the one before
				return r.s.Snapshot().Drops["read-failed"] >= 3
			})
			count := func() int { return strings.Count(logged.String(), "read a UDP socket") }
			eventually(t, "they are logged", func() bool { return count() > 0 })
			if n := count(); n != 1 {
				t.Errorf("%d lines are logged, want 1", n)
			}
			client, err := net.Dial("udp4", conn.LocalAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			c := r.clientOn(client, "udp")
			c.write(c.build(wire.MethodBinding))
			c.answer()
			conn.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
