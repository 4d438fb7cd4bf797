package turnsvc

import (
	"encoding/binary"
	"os"
	"syscall"
	"testing"
	"time"

	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// keepsWhole reads back what keepWhole set.
func keepsWhole(t *testing.T, relay *socket.Relay) bool {
	t.Helper()
	level, option := syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER
	if relay.Addr.Addr().Is6() {
		level, option = syscall.IPPROTO_IPV6, syscall.IPV6_MTU_DISCOVER
	}
	value := 0
	var err error
	if cerr := relay.Control(func(fd uintptr) {
		value, err = syscall.GetsockoptInt(int(fd), level, option)
	}); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	return value == syscall.IP_PMTUDISC_DO
}

// The same, on the wire.
func TestDontFragmentOnTheWire(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.IPPROTO_UDP)
	if err != nil {
		if os.Getenv("SIGNALBOX_TEST_ALL") == "1" {
			t.Fatalf("it takes root to see IP headers: %v", err)
		}
		t.Skipf("it takes root to see IP headers: %v", err)
	}
	defer syscall.Close(fd)
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO,
		&syscall.Timeval{Usec: 200_000}); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	c := r.dial("udp", "u", "p")
	relayed := c.allocate()
	peer := r.peer()
	at := wire.AddrPort(peer.LocalAddr())
	c.ok(wire.MethodCreatePermission, withPeer(at.String()))
	buf := make([]byte, 2048)
	for step, want := range []bool{false, true, false} {
		mark := byte('0' + step)
		b := wire.Begin(nil, wire.MethodSend, wire.ClassIndication, make([]byte, 12))
		withPeer(at.String())(&b)
		if want {
			b.Attr(wire.AttrDontFragment, nil)
		}
		b.Attr(wire.AttrData, []byte{mark})
		frame := b.End(false)
		c.write(frame)
		for deadline := time.Now().Add(patience); ; {
			n, _, err := syscall.Recvfrom(fd, buf, 0)
			if time.Now().After(deadline) {
				t.Fatalf("the packet was not seen: %v", err)
			}
			if err != nil {
				c.write(frame) // others' packets, which the socket gets too, may have left no room for it
				continue
			}
			if n != 29 || buf[28] != mark || binary.BigEndian.Uint16(buf[20:]) != relayed.Port() ||
				binary.BigEndian.Uint16(buf[22:]) != at.Port() {
				continue // somebody else's
			}
			if df := buf[6]&0x40 != 0; df != want {
				t.Errorf("DF on the wire is %v, want %v", df, want)
			}
			break
		}
	}
}
