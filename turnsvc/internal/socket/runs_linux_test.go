//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"signalbox/turnsvc/internal/wire"
)

// run is data of these sizes, each in a place of its own.
func run(sizes ...int) (r wire.Run, data []string) {
	for i, size := range sizes {
		b := new(wire.Buffer)
		data = append(data, strings.Repeat(string(rune('a'+i%26)), size))
		r = append(r, wire.Datagram{Packet: b.Packet(copy(b.Room(), data[i]))})
	}
	return r, data
}

// A run leaves in one system call, and arrives as what it is: datagrams.
func TestRunsAreDatagrams(t *testing.T) {
	t.Parallel()
	for network, ip := range loopbacks() {
		o, bare := outlets(t, listen(t, network, ip))
		relay, single := openRelay(t, ip), openRelay(t, ip)
		single.runs.refuse(1)
		const number = 0x4000
		for name, send := range map[string]func(wire.Run, netip.AddrPort) (int, int, error){
			"a relay":                               relay.bare,
			"a relay, one by one":                   single.bare,
			"an outlet":                             through(o, number),
			"an outlet without a socket of its own": through(bare, number),
		} {
			header := 0
			if strings.HasPrefix(name, "an outlet") {
				header = wire.ChannelHeader
			}
			for _, merged := range []bool{false, true} {
				to := listen(t, network, ip)
				var in receiver
				if merged {
					err := rawConn(t, to).Control(func(fd uintptr) { in.merge.learn(fd, mergingLook, mergingLook) })
					if err != nil {
						t.Fatal(err)
					}
				}
				for _, sizes := range [][]int{{100, 100, 100}, {1200, 1200, 1}, {5, 5}, slices.Repeat([]int{1}, 64)} {
					r, want := run(sizes...)
					packets, size, err := send(r, wire.AddrPort(to.LocalAddr()))
					if packets != len(want) || size != len(strings.Join(want, "")) || err != nil {
						t.Fatalf("%s: %d packets, %d bytes, %v", name, packets, size, err)
					}
					got, messages := in.take(t, to, len(want))
					if header > 0 {
						for i, frame := range got {
							b := new(wire.Buffer)
							n, data, ok := wire.ChannelData(b.Packet(copy(b.Room(), frame)))
							if !ok || n != number || data.N != len(frame)-header {
								t.Errorf("%s: a frame of %d bytes: % x", name, len(frame), frame[:4])
							}
							got[i] = string(data.Data())
						}
					}
					if strings.Join(got, "|") != strings.Join(want, "|") {
						t.Errorf("%s, %v: got %d", name, sizes, len(got))
					}
					// Loopback hands a run over as it is, to who takes it so.
					if whole := merged && !strings.Contains(name, "one by one"); whole != (messages == 1) {
						t.Errorf("%s, %v: %d messages", name, sizes, messages)
					}
				}
			}
		}
	}
}

// bare sends runs that the network may fragment.
func (r *Relay) bare(run wire.Run, to netip.AddrPort) (packets, bytes int, err error) {
	return r.SendRun(run, to, false)
}

// through sends runs of a channel through an outlet.
func through(o *Outlet, number uint16) func(wire.Run, netip.AddrPort) (int, int, error) {
	return func(r wire.Run, to netip.AddrPort) (int, int, error) { return o.SendRun(r, number, to, new(RunLimit)) }
}

func rawConn(t *testing.T, conn *net.UDPConn) syscall.RawConn {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// take reads so many datagrams, and counts the messages in which they come.
func (r *receiver) take(t *testing.T, conn *net.UDPConn, datagrams int) (got []string, messages int) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience)) //nolint:errcheck // the reading fails, too
	err := rawConn(t, conn).Read(func(fd uintptr) bool {
		c := catches.Get().(*catch)
		defer catches.Put(c)
		for len(got) < datagrams {
			n, errno := c.read(fd, readBatch)
			if errno != 0 {
				return false
			}
			messages += n
			r.pass(c, n, fd, func(list []wire.Datagram) {
				for _, d := range list {
					got = append(got, string(d.Data()))
				}
			})
		}
		return true
	})
	if err != nil {
		t.Fatalf("%d of %d came: %v", len(got), datagrams, err)
	}
	return got, messages
}

// The kernel merges from when that makes runs of what comes. What it has merged comes apart again,
// whatever is decided meanwhile.
func TestMerging(t *testing.T) {
	t.Parallel()
	conn, from := listen(t, "udp4", "127.0.0.1"), listen(t, "udp4", "127.0.0.1")
	var r receiver
	learn := func(datagrams, alike int) {
		t.Helper()
		if err := rawConn(t, conn).Control(func(fd uintptr) { r.merge.learn(fd, datagrams, alike) }); err != nil {
			t.Fatal(err)
		}
	}
	sender := newDirect(from)
	messages := func() (n int) {
		t.Helper()
		all, want := run(100, 100, 100)
		if err := sender.sendRun(all, 0, wire.AddrPort(conn.LocalAddr()), 0); err != nil {
			t.Fatal(err)
		}
		learn(1000, 0) // between sending and reading
		got, n := r.take(t, conn, len(want))
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("got %q", got)
		}
		return n
	}
	learn(mergingLook, mergingLook/8)
	if n := messages(); n != 3 {
		t.Errorf("single datagrams: %d messages", n)
	}
	learn(mergingLook, mergingLook/2)
	for range 3 {
		if n := messages(); n != 1 {
			t.Errorf("runs: %d messages", n)
		}
	}
}

// A run that the system refuses is sent one by one, once, and is not tried again for a while.
func TestRefusedRuns(t *testing.T) {
	t.Parallel()
	relay := openRelay(t, "127.0.0.1")
	// Without checksums, the kernel segments nothing.
	err := relay.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	to := listen(t, "udp4", "127.0.0.1")
	var in receiver
	for range 2 {
		r, want := run(100, 100, 7)
		packets, bytes, err := relay.bare(r, wire.AddrPort(to.LocalAddr()))
		if packets != 3 || bytes != 207 || err != nil {
			t.Fatalf("%d packets, %d bytes, %v", packets, bytes, err)
		}
		if got, _ := in.take(t, to, len(want)); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("got %q", got)
		}
	}
	if relay.runs.allows(100) || relay.runs.allows(1000) || !relay.runs.allows(99) {
		t.Error("the refusal is not remembered")
	}
	relay.runs.refused.Store(uint64(time.Now().Add(-2*forgetRefusal).Unix())<<32 | 100)
	if !relay.runs.allows(100) {
		t.Error("the refusal is never forgotten")
	}
}
