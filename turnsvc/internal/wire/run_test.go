package wire

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
)

// got is datagrams of these sizes, as they lie behind each other where the kernel has merged them.
func got(from netip.AddrPort, sizes ...int) (list []Datagram) {
	b, off := new(Buffer), Headroom
	for _, size := range sizes {
		list = append(list, Datagram{Packet{b[:], off, size}, from})
		off += size
	}
	return list
}

func TestNextRun(t *testing.T) {
	t.Parallel()
	here := netip.MustParseAddrPort("192.0.2.1:9")
	for _, c := range []struct {
		sizes []int
		want  int
	}{
		{[]int{300}, 1},
		{[]int{300, 300, 300}, 3},
		{[]int{300, 300, 40, 300}, 3}, // a shorter one ends it
		{[]int{300, 40, 40}, 2},
		{[]int{300, 301}, 1},
		{[]int{0, 0}, 1},
		{[]int{300, 0}, 1},
		{[]int{100, 100}, 1},
		{[]int{2000, 2000}, 1}, // which the network may fragment
		{slices.Repeat([]int{300}, 200), MaxRun},
	} {
		if n := len(NextRun(got(here, c.sizes...))); n != c.want {
			t.Errorf("%v: a run of %d, want %d", c.sizes, n, c.want)
		}
	}
	if run := NextRun(got(here, slices.Repeat([]int{1200}, 60)...)); run.Bytes() > maxRunBytes || len(run) < 50 {
		t.Errorf("%d datagrams, %d bytes", len(run), run.Bytes())
	}
	mixed := append(got(here, 300), got(netip.MustParseAddrPort("192.0.2.1:10"), 300)...)
	if n := len(NextRun(mixed)); n != 1 {
		t.Errorf("a run of %d, from two sources", n)
	}
}

func TestChannelRun(t *testing.T) {
	t.Parallel()
	here := netip.MustParseAddrPort("192.0.2.1:9")
	frame := func(channel, size int) []byte {
		b := make([]byte, 12)
		binary.BigEndian.PutUint16(b, uint16(channel))
		binary.BigEndian.PutUint16(b[2:], uint16(size))
		return b
	}
	for _, c := range []struct {
		name   string
		frames [][]byte
		want   int
	}{
		{"alike", [][]byte{frame(0x4000, 8), frame(0x4000, 8), frame(0x4000, 8)}, 3},
		{"another channel", [][]byte{frame(0x4000, 8), frame(0x4000, 8), frame(0x4001, 8)}, 2},
		{"padded", [][]byte{frame(0x4000, 8), frame(0x4000, 7), frame(0x4000, 8)}, 1},
		{"padded at once", [][]byte{frame(0x4000, 7), frame(0x4000, 7)}, 1},
		{"too long", [][]byte{frame(0x4000, 9), frame(0x4000, 9)}, 1},
		{"STUN", [][]byte{frame(1, 8), frame(1, 8)}, 1},
		{"above the channels", [][]byte{frame(LastChannel+1, 8), frame(LastChannel+1, 8)}, 1},
		{"short", [][]byte{{0x40}, {0x40}}, 1},
		{"empty", [][]byte{{0x40, 0, 0, 0}, {0x40, 0, 0, 0}}, 1},
	} {
		list := got(here, make([]int, len(c.frames))...)
		off := Headroom
		for i, f := range c.frames {
			list[i].Packet.Off, list[i].Packet.N = off, copy(list[i].Packet.Buf[off:], f)
			off += len(f)
		}
		if n := len(ChannelRun(list)); n != c.want {
			t.Errorf("%s: a run of %d, want %d", c.name, n, c.want)
		}
	}
}
