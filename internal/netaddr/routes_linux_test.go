package netaddr

import (
	"encoding/binary"
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

func TestNotificationsOfRoutes(t *testing.T) {
	t.Parallel()
	note := func(typ uint16, kind byte) []byte {
		b := make([]byte, kindAt+5)
		binary.NativeEndian.PutUint32(b, uint32(len(b)))
		binary.NativeEndian.PutUint16(b[4:], typ)
		b[kindAt] = kind
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
	} {
		if got := tellsOfOwn(c.b); got != c.want {
			t.Errorf("% x: %v", c.b, got)
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
