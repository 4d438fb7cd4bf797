//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// onLink is a route to neighbors; by is one by way of a router.
func onLink(to string) route {
	return route{networkAt(netip.MustParsePrefix(to), 0), true, rank{1, 0}}
}

func by(to string) route {
	r := onLink(to)
	r.direct = false
	return r
}

func routes(list ...route) func(func(route)) error {
	return func(visit func(route)) error {
		for _, r := range list {
			visit(r)
		}
		return nil
	}
}

// lan returns the i-th address of 10.1.0.0/16.
func lan(i int) netip.Addr {
	b := [4]byte{10, 1}
	binary.BigEndian.PutUint16(b[2:], uint16(i))
	return netip.AddrFrom4(b)
}

// flooded are neighbors who run in a bubble of synctest. Somebody names ever new missing hosts of
// 10.1.0.0/16, a hundred a second, of which the kernel knows those that pass and forgets them every
// 15 seconds, until calm.
type flooded struct {
	*Neighbors
	began time.Time
	mu    sync.Mutex
	asked map[netip.Addr]time.Time // when it was that they were first
	calm  time.Time
	next  int
}

func flood(t *testing.T, known []route, lasts time.Duration, run func(t *testing.T, f *flooded)) {
	synctest.Test(t, func(t *testing.T) {
		f := &flooded{Neighbors: NewNeighbors(slog.New(slog.DiscardHandler)), began: time.Now(),
			asked: map[netip.Addr]time.Time{}, next: 1000}
		f.calm = f.began.Add(lasts)
		f.answered = func() []host { return nil }
		f.routes = routes(known...)
		f.read = func() (list []unanswered, err error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			forgot := time.Now().Add(-time.Since(f.began) % forgetTime)
			for ip, at := range f.asked {
				const gaveUp = 3 * time.Second
				switch since := time.Since(at); {
				case since < gaveUp:
					list = append(list, unanswered{host{ip, 0}, true, since})
				case at.Add(gaveUp).Before(forgot):
					delete(f.asked, ip)
				default:
					list = append(list, unanswered{host{ip, 0}, false, since - gaveUp})
				}
			}
			return list, nil
		}
		done := make(chan struct{})
		var running sync.WaitGroup
		defer running.Wait()
		defer close(done)
		running.Go(func() { f.Run(done) })
		running.Go(func() {
			for range crowdSize + 10 { // at once
				f.send(lan(f.next))
				f.next++
			}
			f.alarm()
			for time.Now().Before(f.calm) {
				time.Sleep(10 * time.Millisecond)
				f.send(lan(f.next))
				f.next++
			}
		})
		time.Sleep(500 * time.Millisecond)
		run(t, f)
	})
}

// send reports whether a datagram for a host that isn't there passes. Then the kernel asks for it.
func (f *flooded) send(ip netip.Addr) bool {
	if f.absent(ip, 0) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, is := f.asked[ip]; !is || time.Since(at) >= 3*time.Second {
		f.asked[ip] = time.Now()
	}
	return true
}

func (f *flooded) crowded() bool {
	all := f.missing.Load()
	return all != nil && all.crowds != nil
}

// Hosts that another route leads to are in no crowd, whichever network their addresses lie in: they
// are never in the table, or are known by their router. And a crowd ends although its hosts, and
// these, are still sent to.
func TestAttackF1CrowdsKnowRoutes(t *testing.T) {
	lan := onLink("10.0.0.0/8")
	for name, c := range map[string]struct {
		ip    string
		known []route
	}{
		"a tunnel":              {"10.8.0.5", []route{lan, onLink("10.8.0.0/24")}},
		"behind a router":       {"10.1.0.5", []route{by("10.1.0.0/29"), lan, by("0.0.0.0/0")}},
		"an address of its own": {"10.1.0.5", []route{{lan.network, true, rank{1, 9}}, by("10.1.0.5/32"), lan}},
	} {
		t.Run(name, func(t *testing.T) {
			flood(t, c.known, 5*time.Second, func(t *testing.T, f *flooded) {
				if !f.crowded() {
					t.Fatal("there is no crowd")
				}
				ip := netip.MustParseAddr(c.ip)
				for range 50 * 30 {
					if f.absent(ip, 0) {
						t.Fatalf("after %v it is taken for missing", time.Since(f.began))
					}
					time.Sleep(20 * time.Millisecond)
				}
			})
		})
	}
}

// A crowd lasts as long as somebody names ever new hosts that aren't there, however often the
// kernel forgets them, and not longer than the kernel remembers them.
func TestAttackF1CrowdsEnd(t *testing.T) {
	const lasts = time.Minute
	flood(t, []route{onLink("10.1.0.0/16")}, lasts, func(t *testing.T, f *flooded) {
		for time.Now().Before(f.calm) {
			if !f.crowded() {
				t.Fatalf("it is over after %v", time.Since(f.began))
			}
			time.Sleep(50 * time.Millisecond)
		}
		for f.crowded() { // all the time somebody is sent to
			f.absent(lan(1), 0)
			time.Sleep(20 * time.Millisecond)
		}
		if took := time.Since(f.calm); took > forgetTime+2*lookTime {
			t.Errorf("it is over %v after the attack", took)
		}
		for range 50 * 30 {
			f.alarm()
			if f.absent(lan(1), 0); f.crowded() {
				t.Fatal("what was over has begun again")
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

// Those of a crowd who are known to be missing are asked for no more often, all together, than
// those of whom nothing is known: else they would stay in the kernel's table, and in send buffers.
func TestAttackF1KnownHostsOfCrowds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNeighbors(slog.New(slog.DiscardHandler))
		n.routes, n.answered = routes(onLink("10.1.0.0/16")), func() []host { return nil }
		n.read = func() (list []unanswered, err error) {
			for i := range 1000 {
				list = append(list, unanswered{host{lan(i), 0}, true, time.Second})
			}
			return list, nil
		}
		n.look(false)
		const hosts = 1000
		passed := map[int]int{}
		for range 10 {
			all := 0
			for range 100 {
				for i := range hosts {
					if !n.absent(lan(i), 0) {
						passed[i]++
						all++
					}
				}
				time.Sleep(hosts * crowdInterval / 10 / 100)
			}
			if want := hosts / 10; all < want/2 || all > want*3/2 {
				t.Errorf("in ten seconds %d datagrams pass, want %d", all, want)
			}
			n.look(false)
		}
		for i := range hosts {
			if passed[i] > 1 {
				t.Errorf("host %d is asked for %d times", i, passed[i])
			}
		}
		if all := len(passed); all < hosts*95/100 {
			t.Errorf("%d of %d are asked for", all, hosts)
		}
	})
}

// Those who have left take nothing from newcomers, and don't keep a crowd alive.
func TestAttackF1LeaversInCrowds(t *testing.T) {
	flood(t, []route{onLink("10.1.0.0/16")}, time.Second, func(t *testing.T, f *flooded) {
		newcomer, leaver := 20_000, lan(5)
		f.mu.Lock()
		f.asked[leaver] = time.Now()
		f.mu.Unlock()
		time.Sleep(time.Second)
		all := 0
		for s := range 60 {
			asked, answered, tries, crowded := 0, 0, 0, f.crowded()
			for i := range 200 {
				if f.send(leaver) {
					asked++
				}
				if i%20 == 19 {
					newcomer++
					tries++
					if !f.absent(lan(newcomer), 0) {
						answered++
					}
				}
				time.Sleep(5 * time.Millisecond)
			}
			if all += asked; crowded && f.crowded() && asked > 2 {
				t.Errorf("second %d: %d datagrams to one who has left", s, asked)
			}
			if answered < tries-1 {
				t.Errorf("second %d: %d of %d newcomers are answered", s, answered, tries)
			}
		}
		if all > 60*4 { // also when the kernel has forgotten him, and asks him anew
			t.Errorf("%d datagrams to one who has left", all)
		}
		if f.crowded() {
			t.Error("the crowd never ends")
		}
	})
}

// The route that counts is the one that the kernel takes, and only neighbors make a crowd.
func TestCrowdsOfRoutes(t *testing.T) {
	ranked := func(r route, table byte, metric uint32) route {
		return route{r.network, r.direct, rank{table, metric}}
	}
	lan, other := onLink("10.1.0.0/16"), by("10.1.0.0/16")
	for name, c := range map[string]struct {
		known []route
		want  bool
	}{
		"none":                {nil, false},
		"to neighbors":        {[]route{lan}, true},
		"by a router":         {[]route{other}, false},
		"by default":          {[]route{by("0.0.0.0/0")}, false},
		"to all as neighbors": {[]route{onLink("0.0.0.0/0")}, true},
		"to each":             {[]route{onLink("0.0.0.0/0"), by("10.1.0.0/24")}, false},
		"the better metric":   {[]route{ranked(other, 1, 9), lan}, true},
		"the worse metric":    {[]route{ranked(lan, 1, 9), other}, false},
		"the main table":      {[]route{ranked(other, 2, 0), ranked(lan, 1, 9)}, true},
		"another table":       {[]route{ranked(lan, 2, 0)}, true},
		"of this host":        {[]route{lan, ranked(other, 0, 9)}, false},
		"another interface's": {[]route{{network{lan.Prefix, 7}, true, rank{}}}, false},
		"spread over two":     {[]route{onLink("10.1.0.0/25"), onLink("10.0.0.0/8"), onLink("10.1.0.0/24")}, false},
	} {
		n := NewNeighbors(slog.New(slog.DiscardHandler))
		n.routes = routes(c.known...)
		n.answered = func() []host { return nil }
		n.read = func() (list []unanswered, err error) {
			for i := range crowdSize {
				list = append(list, unanswered{host{netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), 0}, true, 0})
			}
			return list, nil
		}
		if n.look(false); (n.missing.Load().crowds != nil) != c.want {
			t.Errorf("%s: it is a crowd: %v", name, !c.want)
		}
		n.read = func() (list []unanswered, err error) {
			for i := range crowdSize {
				list = append(list, unanswered{host{netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), 0}, false, forgetTime})
			}
			return list, nil
		}
		n.look(true)
		if n.look(false); n.missing.Load().crowds != nil {
			t.Errorf("%s: what the kernel does not forget is a crowd", name)
		}
	}
}

// Each interface has link-local neighbors of its own.
func TestCrowdsOfInterfaces(t *testing.T) {
	n := NewNeighbors(slog.New(slog.DiscardHandler))
	local := netip.MustParsePrefix("fe80::/64")
	n.routes = routes(route{networkAt(local, 2), true, rank{1, 0}}, route{networkAt(local, 3), true, rank{1, 0}})
	at := func(i int) netip.Addr { return netip.AddrFrom16([16]byte{0xfe, 0x80, 14: byte(i >> 8), 15: byte(i)}) }
	n.answered = func() []host { return []host{{at(5000), 3}} }
	n.read = func() (list []unanswered, err error) {
		for i := range crowdSize {
			list = append(list, unanswered{host{at(i), 2}, true, 0})
		}
		return list, nil
	}
	n.look(false)
	for link, want := range map[uint32]bool{2: true, 3: false, 0: false} {
		n.absent(at(5000), link)
		if got := n.absent(at(5000), link); got != want {
			t.Errorf("interface %d: missing: %v", link, got)
		}
	}
}

// While routes can't be read, crowds stay as they are, and the log says so once.
func TestCrowdsWithoutRoutes(t *testing.T) {
	var said bytes.Buffer
	n := NewNeighbors(slog.New(slog.NewTextHandler(&said, nil)))
	n.answered = func() []host { return nil }
	n.read = func() (list []unanswered, err error) {
		for i := range crowdSize {
			list = append(list, unanswered{host{lan(i), 0}, true, 0})
		}
		return list, nil
	}
	n.routes = func(func(route)) error { return unix.EMFILE }
	for range 2 {
		if n.look(false); n.missing.Load().crowds != nil {
			t.Error("there is a crowd")
		}
	}
	n.routes = routes(onLink("10.1.0.0/16"))
	n.look(false)
	n.routes = func(func(route)) error { return unix.EMFILE }
	for range 2 {
		if n.look(false); n.missing.Load().crowds.find(host{lan(9999), 0}) == nil {
			t.Error("it is forgotten")
		}
	}
	if got := strings.Count(said.String(), "can't be read"); got != 2 {
		t.Errorf("%d lines, want 2:\n%s", got, said.String())
	}
}

func TestRoutesAreParsed(t *testing.T) {
	type attribute struct {
		typ   uint16
		value []byte
	}
	number := func(typ uint16, n uint32) attribute { return attribute{typ, binary.NativeEndian.AppendUint32(nil, n)} }
	ip := func(typ uint16, s string) attribute { return attribute{typ, netip.MustParseAddr(s).AsSlice()} }
	entry := func(header [12]byte, attributes ...attribute) []byte {
		b := header[:]
		for _, a := range attributes {
			b = binary.NativeEndian.AppendUint16(b, uint16(4+len(a.value)))
			b = append(binary.NativeEndian.AppendUint16(b, a.typ), a.value...)
		}
		return b
	}
	header := func(family, bits byte, flags uint32) (b [12]byte) {
		b = [12]byte{0: family, 1: bits, 4: unix.RT_TABLE_MAIN, 7: unix.RTN_UNICAST}
		binary.NativeEndian.PutUint32(b[8:], flags)
		return b
	}
	const four, six = unix.AF_INET, unix.AF_INET6
	sender, service, own := header(six, 64, 0), header(four, 24, 0), header(four, 32, 0)
	sender[2], service[3], own[4], own[7] = 64, 4, unix.RT_TABLE_LOCAL, unix.RTN_LOCAL
	eth0, lan := number(unix.RTA_OIF, 2), ip(unix.RTA_DST, "192.0.2.0")
	ten, bad := ip(unix.RTA_DST, "10.0.0.0"), ip(unix.RTA_DST, "2bad::")
	want := func(to string, link uint32, direct bool, r rank) *route {
		return &route{network{netip.MustParsePrefix(to), link}, direct, r}
	}
	for name, c := range map[string]struct {
		b    []byte
		want *route
	}{
		"neighbors": {entry(header(four, 24, 0), lan, eth0), want("192.0.2.0/24", 0, true, rank{1, 0})},
		"of IPv6": {entry(header(six, 64, 0), bad, number(unix.RTA_PRIORITY, 256), eth0),
			want("2bad::/64", 0, true, rank{1, 256})},
		"link-local": {entry(header(six, 64, 0), ip(unix.RTA_DST, "fe80::"), eth0),
			want("fe80::/64", 2, true, rank{1, 0})},
		"default": {entry(header(six, 0, 0), eth0, ip(unix.RTA_GATEWAY, "fe80::1")),
			want("::/0", 0, false, rank{1, 0})},
		"of IPv4": {entry(header(four, 0, 0), eth0), want("0.0.0.0/0", 0, true, rank{1, 0})},
		"by IPv6": {entry(header(four, 8, 0), ten, eth0, attribute{unix.RTA_VIA, make([]byte, 18)}),
			want("10.0.0.0/8", 0, false, rank{1, 0})},
		"of several": {entry(header(four, 8, 0), ten, attribute{unix.RTA_MULTIPATH, make([]byte, 16)}),
			want("10.0.0.0/8", 0, false, rank{1, 0})},
		"another table": {entry(header(four, 8, 0), ten, number(unix.RTA_TABLE, 51820), eth0),
			want("10.0.0.0/8", 0, true, rank{2, 0})},
		"own":            {entry(own, ip(unix.RTA_DST, "10.0.0.1"), eth0), want("10.0.0.1/32", 0, false, rank{0, 0})},
		"of a sender":    {entry(sender, bad, eth0), nil},
		"of a service":   {entry(service, lan, eth0), nil},
		"an exception":   {entry(header(four, 24, unix.RTM_F_CLONED), lan, eth0), nil},
		"dead":           {entry(header(four, 24, unix.RTNH_F_DEAD), lan, eth0), nil},
		"multicast's":    {entry(header(128, 24, 0), lan, eth0), nil},
		"no address":     {entry(header(four, 24, 0), attribute{unix.RTA_DST, []byte{1, 2}}, eth0), nil},
		"too long":       {entry(header(four, 33, 0), lan, eth0), nil},
		"without a link": {entry(header(four, 24, 0), lan), want("192.0.2.0/24", 0, false, rank{1, 0})},
	} {
		got, ok := parseRoute(c.b)
		if ok != (c.want != nil) || ok && got != *c.want {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
		for i := range c.b {
			parseRoute(c.b[:i]) // whatever is cut off, it doesn't panic
		}
	}
}

// The kernel's routes are read and understood.
func TestRoutesAreRead(t *testing.T) {
	table := newTable()
	defer table.close()
	var all []route
	for range 2 {
		if err := table.routes(func(r route) { all = append(all, r) }); err != nil {
			t.Fatal(err)
		}
		if _, err := table.unresolved(); err != nil {
			t.Fatal(err)
		}
	}
	loopback := by("127.0.0.0/8")
	loopback.rank.table = 0
	if !slices.Contains(all, loopback) {
		t.Errorf("127.0.0.0/8 isn't among %v", all)
	}
	table.close()
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	table.fd = null
	if err := table.routes(func(route) {}); !errors.Is(err, unix.ENOTSOCK) || table.fd != -1 {
		t.Errorf("nothing answers: %v", err)
	}
}

// It is done in the time that reading the table takes, of which there is little.
func BenchmarkCrowded(b *testing.B) {
	var list []unanswered
	for i := range 1000 {
		list = append(list, unanswered{host{lan(i), 0}, true, 0})
	}
	for name, more := range map[string]int{"few routes": 0, "100,000 routes": 100_000} {
		known := []route{onLink("10.1.0.0/16"), by("0.0.0.0/0")}
		for i := range more {
			ip := netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
			known = append(known, by(ip.String()+"/32"))
		}
		b.Run(name, func(b *testing.B) {
			n := NewNeighbors(slog.New(slog.DiscardHandler))
			n.answered, n.routes = func() []host { return nil }, routes(known...)
			b.ReportAllocs()
			for b.Loop() {
				runtime.KeepAlive(n.crowded(list, nil))
			}
		})
	}
}
