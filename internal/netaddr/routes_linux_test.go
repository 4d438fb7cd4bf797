package netaddr

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func openRoutes(t testing.TB) *Routes {
	t.Helper()
	r, err := OpenRoutes()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// 127.0.0.0/8 is a local route on every Linux: most of its addresses are no interface's. That other
// local routes and the anycast address of a subnet are seen is tested in scripts/lab.
func TestRoutesKnowMoreThanInterfaces(t *testing.T) {
	t.Parallel()
	r := openRoutes(t)
	own, err := Own()
	if err != nil {
		t.Fatal(err)
	}
	want := map[netip.Addr]bool{netip.MustParseAddr("127.9.9.9"): true, netip.MustParseAddr("198.41.0.4"): false,
		netip.MustParseAddr("2001:503:ba3e::2:30"): false}
	for _, ip := range own {
		if !ip.IsLinkLocalUnicast() {
			want[ip] = true
		}
	}
	for ip, want := range want {
		for _, from := range []netip.Addr{{}, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.77")} {
			if from.IsValid() && from.Is4() != ip.Is4() {
				continue
			}
			if got, err := r.Own(ip, from); got != want || err != nil {
				t.Errorf("%s from %v: %v, %v", ip, from, got, err)
			}
		}
	}
	var none *Routes
	if got, err := none.Own(netip.MustParseAddr("127.0.0.1"), netip.Addr{}); got || err != nil || none.Changed() {
		t.Error("a nil Routes knows an address")
	}
	none.Close()
	r.Close()
	if _, err := r.Own(netip.MustParseAddr("127.0.0.1"), netip.Addr{}); err == nil || r.Changed() {
		t.Error("a closed Routes answers")
	}
}

// A connection that fails is made anew, and as long as it can't be, that is an error: it does not
// mean that an address is somebody else's.
func TestAttackF2RoutesThatFail(t *testing.T) {
	t.Parallel()
	r := openRoutes(t)
	mine := netip.MustParseAddr("127.9.9.9")
	fail := func(fd int) { // as one whose other end is gone
		t.Helper()
		null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(null)
		if err := unix.Dup3(null, fd, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
	r.Changed()
	fail(r.ask)
	if own, err := r.Own(mine, netip.Addr{}); !own || err != nil {
		t.Errorf("after a failure: %v, %v", own, err)
	}
	fail(r.tell)
	if !r.Changed() {
		t.Error("nobody is told that notifications were lost")
	}
	if !r.Changed() {
		t.Error("nobody is told that some may have been lost before there was another socket")
	}

	socket := r.socket
	r.socket = func(uint32) (int, error) { return -1, unix.EMFILE }
	fail(r.ask)
	fail(r.tell)
	for range 2 {
		if _, err := r.Own(mine, netip.Addr{}); !errors.Is(err, unix.EMFILE) {
			t.Errorf("without a socket: %v", err)
		}
	}
	r.Changed()
	if r.Changed() {
		t.Error("changes are reported, again and again, while nobody can know")
	}
	r.socket = socket
	if own, err := r.Own(mine, netip.Addr{}); !own || err != nil {
		t.Errorf("when there are sockets again: %v, %v", own, err)
	}
	if !r.Changed() {
		t.Error("nobody is told that notifications may have been lost")
	}
}

// What is short at the start only is asked for again; what is forbidden is not.
func TestAttackF2RoutesAtTheStart(t *testing.T) {
	t.Parallel()
	for fault, want := range map[unix.Errno]error{unix.EMFILE: nil, unix.ENOMEM: nil,
		unix.EAFNOSUPPORT: unix.EAFNOSUPPORT, unix.EPERM: unix.EPERM} {
		r := new(Routes)
		r.socket = func(uint32) (int, error) { return -1, fault }
		if err := r.open(); !errors.Is(err, want) {
			t.Errorf("%v: %v", fault, err)
			continue
		}
		if _, err := r.Own(netip.MustParseAddr("127.0.0.1"), netip.Addr{}); err == nil {
			t.Errorf("%v: it knows", fault)
		}
		r.socket = openNetlink
		if own, _ := r.Own(netip.MustParseAddr("127.0.0.1"), netip.Addr{}); own != (want == nil) {
			t.Errorf("%v: later %v", fault, own)
		}
		r.Close()
	}
}

func TestNotificationsOfRoutes(t *testing.T) {
	t.Parallel()
	note := func(typ uint16, kind byte, to ...string) []byte {
		b := make([]byte, headerSize+unix.SizeofRtMsg)
		binary.NativeEndian.PutUint16(b[4:], typ)
		b[kindAt] = kind
		for _, prefix := range to {
			p := netip.MustParsePrefix(prefix)
			b[headerSize+1] = byte(p.Bits())
			b = binary.NativeEndian.AppendUint16(b, 8)
			b = binary.NativeEndian.AppendUint16(b, unix.RTA_TABLE)
			b = binary.NativeEndian.AppendUint32(b, unix.RT_TABLE_LOCAL)
			b = appendAttribute(b, unix.RTA_DST, p.Addr())
		}
		binary.NativeEndian.PutUint32(b, uint32(len(b)))
		return b
	}
	for _, c := range []struct {
		b    []byte
		want bool
	}{
		{nil, false}, {make([]byte, 100), false},
		{note(unix.RTM_NEWROUTE, unix.RTN_UNICAST), false}, {note(unix.RTM_NEWROUTE, unix.RTN_LOCAL), true},
		{note(unix.RTM_NEWROUTE, unix.RTN_ANYCAST), true}, {note(unix.RTM_DELROUTE, unix.RTN_LOCAL), false},
		{note(unix.RTM_NEWRULE, 0), true},
		{append(note(unix.RTM_NEWROUTE, unix.RTN_UNICAST), note(unix.RTM_NEWROUTE, unix.RTN_LOCAL)...), true},
		{note(unix.RTM_NEWROUTE, unix.RTN_LOCAL)[:20], false},
		{note(unix.RTM_NEWROUTE, unix.RTN_LOCAL, "203.0.116.0/24"), true},
		{note(unix.RTM_NEWROUTE, unix.RTN_LOCAL, "0.0.0.0/0"), true},
		{note(unix.RTM_NEWROUTE, unix.RTN_LOCAL, "::/0"), true},
		// What a container's interface brings.
		{note(unix.RTM_NEWROUTE, unix.RTN_MULTICAST, "ff00::/8"), false},
		{note(unix.RTM_NEWROUTE, unix.RTN_LOCAL, "fe80::1/128"), false},
		{note(unix.RTM_NEWROUTE, unix.RTN_ANYCAST, "fe80::/128"), false},
		{note(unix.RTM_NEWROUTE, unix.RTN_LOCAL, "fe00::/7"), true},
		{note(unix.RTM_NEWROUTE, unix.RTN_LOCAL, "172.17.0.1/32"), true},
		{note(unix.RTM_NEWROUTE, unix.RTN_LOCAL, "172.17.0.1/32")[:40], false},
	} {
		if got := tellsOfOwn(c.b); got != c.want {
			t.Errorf("% x: %v", c.b, got)
		}
	}
	// No notification tells of multicast: it is closed by itself.
	for _, ip := range []string{"224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"} {
		if !Never(netip.MustParseAddr(ip)) {
			t.Errorf("%s may be a peer's", ip)
		}
	}
}

// It is asked in a goroutine that others wait for.
func BenchmarkRoutesOwn(b *testing.B) {
	r := openRoutes(b)
	for _, ip := range []string{"198.41.0.4", "2001:503:ba3e::2:30", "127.9.9.9"} {
		b.Run(ip, func(b *testing.B) {
			addr := netip.MustParseAddr(ip)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Own(addr, netip.Addr{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
