//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"signalbox/turnsvc/internal/wire"
)

func listen(t *testing.T, network, ip string) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP(network, &net.UDPAddr{IP: net.ParseIP(ip)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// outlets are an outlet, closed when the test ends, and one beside the same socket that could not
// have a socket of its own.
func outlets(t *testing.T, conn *net.UDPConn) (own, bare *Outlet) {
	t.Helper()
	own = NewOutlet(conn, NewNeighbors(slog.New(slog.DiscardHandler)))
	t.Cleanup(own.Close)
	return own, &Outlet{conn: newDirect(conn), neighbors: own.neighbors}
}

// What leaves through an outlet comes from the address of the socket that it is made for, also
// after it has taken another of its own, and that socket alone gets what is sent there.
func TestOutletSendsFromItsAddress(t *testing.T) {
	for network, ip := range loopbacks() {
		conn, client := listen(t, network, ip), listen(t, network, ip)
		o := NewOutlet(conn, NewNeighbors(slog.New(slog.DiscardHandler)))
		defer o.Close()
		if o.own.Load() == nil {
			t.Fatalf("%s: it has no socket of its own", network)
		}
		buf := make([]byte, 100)
		for range 3 {
			if err := o.Send([]byte("hello"), wire.AddrPort(client.LocalAddr())); err != nil {
				t.Fatal(err)
			}
			n, from, err := client.ReadFromUDPAddrPort(buf)
			if err != nil || string(buf[:n]) != "hello" || from != wire.AddrPort(conn.LocalAddr()) {
				t.Fatalf("%q came from %v: %v", buf[:n], from, err)
			}
			if _, err := client.WriteToUDPAddrPort([]byte("answer"), from); err != nil {
				t.Fatal(err)
			}
			conn.SetReadDeadline(time.Now().Add(patience)) //nolint:errcheck // it is open
			if n, _, err := conn.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != "answer" {
				t.Fatalf("%q: %v", buf[:n], err)
			}
			o.replace()
		}
		if err := o.Send(nil, wire.AddrPort(client.LocalAddr())); err != nil {
			t.Errorf("an empty datagram: %v", err)
		}
	}
}

// Sockets are replaced and closed while others send.
func TestOutletIsReplacedInUse(t *testing.T) {
	conn, client := listen(t, "udp4", "127.0.0.1"), listen(t, "udp4", "127.0.0.1")
	o := NewOutlet(conn, NewNeighbors(slog.New(slog.DiscardHandler)))
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := o.Send([]byte("x"), wire.AddrPort(client.LocalAddr())); err != nil && err != ErrFull {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 200 {
		o.replace()
	}
	o.Close()
	close(stop)
	senders.Wait()
	if o.own.Load() != nil {
		t.Error("it holds a socket after it was closed")
	}
	conn.Close()
	if err := o.Send([]byte("x"), wire.AddrPort(client.LocalAddr())); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after that: %v", err)
	}
}

// Nobody who is missing is sent anything but a question now and then, and the rest never waits.
func TestNeighborsWhoAreMissing(t *testing.T) {
	n := NewNeighbors(slog.New(slog.DiscardHandler))
	gone := netip.MustParseAddr("192.0.2.1")
	if n.absent(gone, 0) {
		t.Error("nobody is known to be missing")
	}
	router := netip.MustParseAddr("fe80::1")
	n.missing.Store(&absentees{hosts: map[host]*missing{{gone, 0}: new(missing), {router, 2}: new(missing)}})
	passed := 0
	for range 1000 {
		if !n.absent(gone, 0) {
			passed++
		}
	}
	if passed != 1 {
		t.Errorf("%d of 1000 datagrams pass, want 1", passed)
	}
	if n.absent(netip.MustParseAddr("192.0.2.2"), 0) {
		t.Error("another is missing, too")
	}
	n.absent(router.WithZone("eth0"), 2)
	if !n.absent(router.WithZone("eth0"), 2) {
		t.Error("a zone hides who is missing")
	}
	n.absent(router.WithZone("eth1"), 3)
	if n.absent(router.WithZone("eth1"), 3) {
		t.Error("who has the same link-local address at another interface is missing, too")
	}
	r, err := OpenRelay(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Neighbors = n
	if err := r.Send([]byte("x"), netip.AddrPortFrom(gone, 9), false); err != ErrAbsent {
		t.Errorf("a relay sends to it: %v", err)
	}
	n.look(true)
	if n.absent(gone, 0) {
		t.Error("it is never forgotten")
	}
}

// The kernel's table is read and understood, over one connection, which is made anew when it has
// failed: a test of the lab sees what is in it.
func TestUnresolvedIsRead(t *testing.T) {
	table := newTable()
	defer table.close()
	first := -1
	for i := range 4 {
		list, err := table.unresolved()
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range list {
			if !u.ip.IsValid() || u.since < 0 || strings.Contains(u.ip.String(), "invalid") {
				t.Errorf("%+v", u)
			}
		}
		if first < 0 {
			first = table.fd
		}
		if table.fd != first {
			t.Errorf("look %d is over another connection", i)
		}
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	if err := unix.Dup3(null, table.fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if _, err := table.unresolved(); err == nil {
		t.Error("nothing answers, and that is no error")
	}
	if _, err := table.unresolved(); err != nil {
		t.Error(err)
	}
}

func TestNeighborsAreParsed(t *testing.T) {
	entry := func(link uint32, state uint16, ip string, age uint32) []byte {
		addr := netip.MustParseAddr(ip).AsSlice()
		b := make([]byte, unix.SizeofNlMsghdr+unix.SizeofNdMsg)
		binary.NativeEndian.PutUint16(b[4:], unix.RTM_NEWNEIGH)
		binary.NativeEndian.PutUint32(b[unix.SizeofNlMsghdr+4:], link)
		binary.NativeEndian.PutUint16(b[unix.SizeofNlMsghdr+8:], state)
		b = binary.NativeEndian.AppendUint16(b, uint16(4+len(addr)))
		b = append(binary.NativeEndian.AppendUint16(b, unix.NDA_DST), addr...)
		b = binary.NativeEndian.AppendUint16(b, 4+16)
		b = binary.NativeEndian.AppendUint16(b, unix.NDA_CACHEINFO)
		for _, n := range []uint32{0, 0, age, 0} {
			b = binary.NativeEndian.AppendUint32(b, n)
		}
		binary.NativeEndian.PutUint32(b, uint32(len(b)))
		return b
	}
	b := slices.Concat(entry(2, unix.NUD_REACHABLE, "192.0.2.1", 9), entry(2, unix.NUD_INCOMPLETE, "192.0.2.2", 10),
		entry(3, unix.NUD_FAILED, "fe80::1", 11), entry(4, unix.NUD_INCOMPLETE, "2001:db8::1", 12))
	want := []unanswered{
		{host{netip.MustParseAddr("192.0.2.2"), 0}, true, 100 * time.Millisecond},
		{host{netip.MustParseAddr("fe80::1"), 3}, false, 110 * time.Millisecond},
		{host{netip.MustParseAddr("2001:db8::1"), 0}, true, 120 * time.Millisecond},
	}
	table := newTable()
	read := func(b []byte) (list []unanswered, done bool, err error) {
		done, err = take(b, func(typ uint16, data []byte) { list = table.neighbor(list, typ, data) })
		return list, done, err
	}
	if got, done, err := read(b); !slices.Equal(got, want) || done || err != nil {
		t.Errorf("%+v, %v, %v", got, done, err)
	}
	if got := table.resolved(); !slices.Equal(got, []host{{netip.MustParseAddr("192.0.2.1"), 0}}) {
		t.Errorf("%+v have answered", got)
	}
	for i := range b { // whatever is cut off
		read(b[:i]) //nolint:errcheck // it doesn't panic
	}
	if _, _, err := read(b[:len(b)-1]); err == nil {
		t.Error("half an entry is an answer")
	}
	done := make([]byte, unix.SizeofNlMsghdr+4)
	binary.NativeEndian.PutUint32(done, uint32(len(done)))
	binary.NativeEndian.PutUint16(done[4:], unix.NLMSG_DONE)
	if _, done, err := read(done); !done || err != nil {
		t.Errorf("the end: %v, %v", done, err)
	}
	binary.NativeEndian.PutUint16(done[4:], unix.NLMSG_ERROR)
	no := unix.EPERM
	binary.NativeEndian.PutUint32(done[unix.SizeofNlMsghdr:], uint32(-int32(no)))
	if _, _, err := read(done); !errors.Is(err, unix.EPERM) {
		t.Errorf("a refusal: %v", err)
	}
}

// Where more are missing than the kernel can remember, those who are there are sent to, and few
// others, whatever their number; elsewhere nothing changes.
func TestAttackF1CrowdsAreMissing(t *testing.T) {
	n := NewNeighbors(slog.New(slog.DiscardHandler))
	network := netip.MustParsePrefix("2bad::/64")
	at := func(i int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x2b, 0xad, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
	}
	size, there := crowdSize-1, at(1<<16)
	n.routes = routes(onLink(network.String()), onLink("192.0.2.0/24"))
	n.answered = func() []host { return []host{{there, 0}} }
	n.read = func() (list []unanswered, err error) {
		for i := range size {
			list = append(list, unanswered{host{at(i), 0}, true, 0})
		}
		return list, nil
	}
	passed := func(from int) (passed int) {
		for i := range 10_000 {
			if !n.absent(at(from+i), 0) {
				passed++
			}
		}
		return passed
	}
	n.look(false)
	if got := passed(0); got != 10_000 {
		t.Errorf("%d of 10000 datagrams pass before many are missing", got)
	}
	size++
	n.look(false)
	began := time.Now()
	got := passed(0)
	size = 0 // also while the kernel has forgotten them
	n.look(false)
	got += passed(10_000)
	if most := 1 + int(time.Since(began)/crowdInterval); got < 1 || got > most {
		t.Errorf("%d datagrams pass to those who are not there, want 1 to %d", got, most)
	}
	select {
	case <-n.wake:
	default:
		t.Error("nobody looks whether they have come")
	}
	for _, ip := range []netip.Addr{there, netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("2bad:1::1")} {
		for range 100 {
			if n.absent(ip, 0) {
				t.Fatalf("%v is taken for missing", ip)
			}
		}
	}
	if n.look(true); passed(0) != 10_000 {
		t.Error("it is never over")
	}
}

// Not parallel: it counts allocations.
func TestAbsentAllocatesNothing(t *testing.T) {
	n := NewNeighbors(slog.New(slog.DiscardHandler))
	n.missing.Store(&absentees{
		hosts: map[host]*missing{{netip.MustParseAddr("2bad::2"), 0}: new(missing)},
		crowds: &crowds{bits: []int{80, 64, 24}, of: map[network]*crowd{
			onLink("2bad::/64").network: new(crowd), by("2bad::5:0:0:0/80").network: nil}},
	})
	for _, s := range []string{"2bad::1", "2bad::2", "2bad::5:0:0:1", "192.0.2.1", "fe80::1%eth0"} {
		ip := netip.MustParseAddr(s)
		if got := testing.AllocsPerRun(100, func() { n.absent(ip, 0) }); got != 0 {
			t.Errorf("%s: %v allocations", s, got)
		}
	}
}

// asking is a table in which somebody does not answer.
func asking() ([]unanswered, error) {
	return []unanswered{{host{netip.MustParseAddr("192.0.2.1"), 0}, true, 0}}, nil
}

// Whoever names ever new addresses that nobody has fills a buffer on and on. The kernel keeps what
// was in the former ones for three seconds, so there are few of them in that time.
func TestAttackF1ReplacementsAreBounded(t *testing.T) {
	const most = 16
	var o Outlet
	start := time.Now()
	var at []time.Duration
	for now := time.Duration(0); now < 20*time.Second; now += lookPause {
		if o.due(start.Add(now)) {
			at = append(at, now)
		}
	}
	for i := most; i < len(at); i++ {
		if within := at[i] - at[i-most]; within < lookTime {
			t.Errorf("%d replacements within %v", most+1, within)
		}
	}
	for i := range at[1:] {
		if wait := at[i+1] - at[i]; wait > replaceInterval {
			t.Errorf("it waits for the next one for %v", wait)
		}
	}
	if at[replaceBurst-1] != (replaceBurst-1)*lookPause {
		t.Errorf("the first are at %v", at[:replaceBurst])
	}

	n := NewNeighbors(slog.New(slog.DiscardHandler))
	n.read = asking
	busy := NewOutlet(listen(t, "udp4", "127.0.0.1"), n)
	defer busy.Close()
	exits := map[*exit]bool{busy.own.Load(): true}
	began := time.Now()
	for range 200 {
		busy.full.Store(true)
		n.look(false)
		exits[busy.own.Load()] = true
	}
	replaced := len(exits) - 1
	if most := replaceBurst + int(time.Since(began)/replaceInterval); replaced < replaceBurst || replaced > most {
		t.Errorf("it was replaced %d times, want %d to %d", replaced, replaceBurst, most)
	}
	if !busy.full.Load() {
		t.Error("nobody knows that it is still full")
	}
}

// A relay whose buffer is full makes Neighbors look for who is missing. It is nobody's reason to
// replace an outlet that isn't full.
func TestAttackF1RelaysReplaceNoOutlet(t *testing.T) {
	n := NewNeighbors(slog.New(slog.DiscardHandler))
	looked := make(chan bool)
	n.read = func() ([]unanswered, error) {
		looked <- true
		list, err := asking()
		list[0].since = slowAnswer
		return list, err
	}
	o := NewOutlet(listen(t, "udp4", "127.0.0.1"), n)
	defer o.Close()
	own := o.own.Load()
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { n.Run(done) })
	for range 3 {
		n.alarm() // as a relay's Send
		<-looked
	}
	close(done)
	running.Wait()
	if o.own.Load() != own {
		t.Error("the outlet was replaced")
	}
	n.absent(netip.MustParseAddr("192.0.2.1"), 0)
	if !n.absent(netip.MustParseAddr("192.0.2.1"), 0) {
		t.Error("who is missing was not found")
	}
}

// However large the table is, and however often there is an alarm, reading it takes a small part of
// the time.
func TestAttackF1LooksRest(t *testing.T) {
	n := NewNeighbors(slog.New(slog.DiscardHandler))
	const took, looks = 2 * time.Millisecond, 5
	looked := make(chan bool)
	n.read = func() ([]unanswered, error) {
		for began := time.Now(); time.Since(began) < took; {
			runtime.Gosched()
		}
		looked <- true
		return asking()
	}
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { n.Run(done) })
	var began time.Time
	for i := range looks + 1 {
		n.alarm()
		<-looked
		if i == 0 {
			began = time.Now()
		}
	}
	if took, least := time.Since(began), looks*(lookRest+1)*took; took < least {
		t.Errorf("%d looks within %v, want %v", looks, took, least)
	}
	close(done)
	running.Wait()
}

// What can't be had is logged once, and what is known stays.
func TestNeighborsThatCannotLook(t *testing.T) {
	var said bytes.Buffer
	n := NewNeighbors(slog.New(slog.NewTextHandler(&said, nil)))
	gone := netip.MustParseAddr("192.0.2.1")
	n.missing.Store(&absentees{hosts: map[host]*missing{{gone, 0}: new(missing)}})
	n.read = func() ([]unanswered, error) { return nil, unix.EMFILE }
	for range 3 {
		n.look(false)
	}
	n.absent(gone, 0)
	if !n.absent(gone, 0) {
		t.Error("who was missing is forgotten")
	}
	o := &Outlet{at: netip.MustParseAddrPort("192.0.2.1:9"), neighbors: n}
	limit := o.at
	o.at = netip.AddrPort{} // there is no such socket
	o.replace()
	o.replace()
	o.at = limit
	if lines := strings.Count(said.String(), "\n"); lines != 2 {
		t.Errorf("%d lines, want 2:\n%s", lines, said.String())
	}
	o.replace()
	defer o.own.Load().leave()
	if lines := strings.Count(said.String(), "\n"); lines != 3 {
		t.Errorf("%d lines, want 3:\n%s", lines, said.String())
	}
}

// An interface that comes back has another index.
func TestZonesAreReadAgain(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip(err)
	}
	n := NewNeighbors(slog.New(slog.DiscardHandler))
	o := NewOutlet(listen(t, "udp4", "127.0.0.1"), n)
	defer o.Close()
	index := uint32(lo.Index)
	if o.scope("lo") != index || o.scope("7") != 7 || o.scope("nobody") != 0 {
		t.Error("zones are misread")
	}
	long := time.Now().Add(-zoneTime)
	for _, c := range []struct {
		known zone
		want  uint32
	}{
		{zone{index, time.Now()}, index}, {zone{1 << 20, long}, index}, {zone{1 << 20, time.Now()}, 1 << 20},
		{zone{0, long}, index}, {zone{0, time.Now()}, 0},
	} {
		o.zones.Store("lo", c.known)
		o.Send([]byte("x"), netip.MustParseAddrPort("[fe80::1%lo]:9")) //nolint:errcheck // an IPv4 socket refuses it
		if got := o.scope("lo"); got != c.want {
			t.Errorf("%+v: %d, want %d", c.known, got, c.want)
		}
	}
}
