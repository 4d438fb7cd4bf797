package source

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/internal/netaddr"
)

func TestSourceBlock(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"192.0.2.1":          "192.0.2.1/32",
		"::ffff:192.0.2.1":   "192.0.2.1/32",
		"2001:db8:1:2:3::4":  "2001:db8:1:2::/64",
		"fe80::1:2:3%eth0":   "fe80::/64",
		"2001:db8:1:2:ff::1": "2001:db8:1:2::/64",
	} {
		if got := Of(netip.MustParseAddr(source)).String(); got != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
	if Of(netip.Addr{}) != (netip.Prefix{}) {
		t.Error("no address is a block of its own")
	}
}

func TestSourceLimiter(t *testing.T) {
	t.Parallel()
	l := NewLimiter(1, 3)
	now := time.Unix(1_800_000_000, 0)
	allowed := func(ip string, n int, at time.Time) (ok int) {
		for range n {
			if l.Allow(netip.MustParseAddr(ip), at) {
				ok++
			}
		}
		return ok
	}
	if n := allowed("192.0.2.1", 10, now); n != 3 {
		t.Errorf("%d of 10 at once, want the burst of 3", n)
	}
	if n := allowed("192.0.2.1", 1, now.Add(999*time.Millisecond)); n != 0 {
		t.Error("a source that was refused has something left")
	}
	if n := allowed("192.0.2.2", 10, now) + allowed("::ffff:192.0.2.2", 10, now); n != 3 {
		t.Errorf("another source: %d", n)
	}
	if n := allowed("2001:db8::1", 10, now) + allowed("2001:db8::2", 10, now); n != 3 {
		t.Errorf("a /64 counts as %d", n)
	}
	if n := allowed("192.0.2.1", 10, now.Add(2*time.Second)); n != 2 {
		t.Errorf("%d after two seconds, want 2", n)
	}
	var none *Limiter
	if !none.Allow(netip.MustParseAddr("192.0.2.1"), now) {
		t.Error("no limiter limits")
	}
}

// A line of IPv6 has not the limit of a source for each of its /64s, of which a /48 has 65,536.
func TestAttackF5ALineIsNoCrowd(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for _, tc := range []struct {
		name string
		ip   func(i int) [16]byte
		want int
	}{
		{"a /64", func(i int) [16]byte { return [16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i)} }, 10},
		{"a /56", func(i int) [16]byte { return [16]byte{0x20, 1, 0xd, 0xb8, 7: byte(i)} }, 80},
		{"a /48", func(i int) [16]byte { return [16]byte{0x20, 1, 0xd, 0xb8, 6: byte(i), 7: byte(i >> 8)} }, 640},
	} {
		l, n := NewLimiter(1, 10), 0
		for range 4 {
			for i := range 1000 {
				if l.Allow(netip.AddrFrom16(tc.ip(i)), now) {
					n++
				}
			}
		}
		if n != tc.want {
			t.Errorf("%s got %d of 4000, want %d", tc.name, n, tc.want)
		}
		// A second later it gets as many times more than a single source.
		n = 0
		for i := range 1000 {
			if l.Allow(netip.AddrFrom16(tc.ip(i)), now.Add(time.Second)) {
				n++
			}
		}
		if n != tc.want/10 {
			t.Errorf("%s got %d a second later, want %d", tc.name, n, tc.want/10)
		}
		if !l.Allow(netip.MustParseAddr("2001:db8:1::1"), now) {
			t.Errorf("because of %s its neighbor is refused", tc.name)
		}
	}
}

// A carrier's block of phones, a /64 each, asks for one credential each when an event begins.
func TestAttackF5NeighborsMayCome(t *testing.T) {
	t.Parallel()
	l, start, refused := NewLimiter(5, 60), time.Unix(1_800_000_000, 0), 0
	for i := range 1000 { // in 10 s, one /56 after the other
		ip := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, byte(i >> 8), byte(i), 15: 1})
		if !l.Allow(ip, start.Add(time.Duration(i)*10*time.Millisecond)) {
			refused++
		}
	}
	if refused != 0 {
		t.Errorf("%d of 1000 neighbors were refused", refused)
	}
}

// What the wider block refuses does not count for the narrow ones.
func TestWhatIsRefusedCountsNowhere(t *testing.T) {
	t.Parallel()
	l, now := NewLimiter(1, 2), time.Unix(1_800_000_000, 0)
	for i := range 128 { // all of them fill the /48
		l.Allow(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 6: byte(i)}), now)
	}
	late := netip.MustParseAddr("2001:db8:0:ff00::1")
	if l.Allow(late, now) {
		t.Fatal("the /48 has something left")
	}
	block, at := Of(late), now.Sub(l.began)
	for range 2 {
		if !l.count(block, at, l.interval) {
			t.Error("what was refused has counted")
		}
	}
}

// Whoever has used up its share does not get it back because many others come, or because it comes
// from many sources: all are remembered, or newcomers share what is left.
func TestAttackF4ManySourcesResetNobody(t *testing.T) {
	t.Parallel()
	const crowd = 100_000
	l, now := NewLimiter(1, 20), time.Unix(1_800_000_000, 0)
	guesser := netip.MustParseAddr("192.0.2.1")
	for range 20 {
		if !l.Allow(guesser, now) {
			t.Fatal("less than the burst")
		}
	}
	total := 0
	for round := range 3 {
		for i := range crowd {
			if l.Allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now) {
				total++
			}
		}
		if l.Allow(guesser, now) {
			t.Fatalf("after round %d a source that has used up its share got it back", round)
		}
	}
	if most := 20 * limiterSets * len(set{}.places); total >= most {
		t.Errorf("%d sources could do %d, more than there is memory for", crowd, total)
	}
	if later := now.Add(20 * time.Second); !l.Allow(guesser, later) {
		t.Error("later nobody has something left")
	}
}

// Not parallel: it counts allocations.
func TestLimiterAllocatesNothing(t *testing.T) {
	l, i := NewLimiter(1, 3), 0
	if n := testing.AllocsPerRun(1000, func() {
		i++
		ip := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 4: byte(i), 6: byte(i >> 8)})
		l.Allow(ip, time.Now())
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// However many come at one time, no more are allowed than the limit.
func TestLimiterAtOneTime(t *testing.T) {
	t.Parallel()
	l, now := NewLimiter(1, 20), time.Unix(1_800_000_000, 0)
	line := func(i int) netip.Addr { return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 6: byte(i)}) }
	var all sync.WaitGroup
	var n atomic.Int32
	for i := range 100 {
		all.Go(func() {
			for range 30 {
				if l.Allow(line(i), now) {
					n.Add(1)
				}
			}
		})
	}
	all.Wait()
	if got := n.Load(); got != 64*20 {
		t.Errorf("%d were allowed, want %d", got, 64*20)
	}
}

func BenchmarkLimiter(b *testing.B) {
	l, i := NewLimiter(64, 2048), 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		ip := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 4: byte(i), 5: byte(i >> 8), 6: byte(i >> 16)})
		l.Allow(ip, time.Now())
	}
}

// Not parallel: it counts allocations.
func TestTable(t *testing.T) {
	table := NewTable[atomic.Int32](1 << 10)
	one := table.Of(netip.MustParseAddr("192.0.2.1"))
	one.Add(1)
	if table.Of(netip.MustParseAddr("::ffff:192.0.2.1")) != one {
		t.Error("one source has two slots")
	}
	seen := map[*atomic.Int32]bool{}
	for i := range 100 {
		seen[table.Of(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))] = true
	}
	if len(seen) < 80 { // 95 to be expected
		t.Errorf("100 sources have %d slots of 1024", len(seen))
	}
	if n := testing.AllocsPerRun(100, func() { table.Of(netip.AddrFrom4([4]byte{10, 0, 0, 1})) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"192.0.2.1": "[192.0.2.1/32]", "::ffff:192.0.2.1": "[192.0.2.1/32]",
		"2001:db8:1:203::4": "[2001:db8:1:203::/64 2001:db8:1:200::/56 2001:db8:1::/48]",
		"fe80::1%eth0":      "[fe80::/64 fe80::/56 fe80::/48]",
	} {
		blocks := Blocks(netip.MustParseAddr(ip))
		if got := fmt.Sprint(blocks); got != want {
			t.Errorf("%s: %v, want %s", ip, got, want)
		}
		if line := Line(netip.MustParseAddr(ip)); line != blocks[len(blocks)-1] {
			t.Errorf("the line of %s: %v", ip, line)
		}
	}
	if list := Blocks(netip.Addr{}); len(list) != 1 || list[0].IsValid() {
		t.Errorf("without an address: %v", list)
	}
}

func TestCrowd(t *testing.T) {
	t.Parallel()
	c := NewCrowd(4, 2)
	var leaves []func()
	for _, step := range []struct {
		ip string
		ok bool
	}{
		{"192.0.2.1", true}, {"192.0.2.1", true}, {"192.0.2.1", false}, {"2001:db8::1", true}, {"2001:db8::2", true},
		{"192.0.2.2", false},
	} {
		leave, ok := c.Enter(netip.MustParseAddr(step.ip))
		if ok != step.ok {
			t.Errorf("%s: %v", step.ip, ok)
		}
		if ok {
			leaves = append(leaves, leave)
		}
	}
	leaves[2]()
	if _, ok := c.Enter(netip.MustParseAddr("2001:db8::ffff")); !ok {
		t.Error("a place was not given back")
	}
	for i, leave := range leaves {
		if i != 2 {
			leave()
		}
	}
	if open, refused := c.Counts(); open != 1 || refused != 2 || len(c.sources) != MaxBlocks {
		t.Errorf("%d open, %d refused, of %d blocks", open, refused, len(c.sources))
	}
	c.SetLimits(1, 0)
	if _, ok := c.Enter(netip.MustParseAddr("192.0.2.9")); ok {
		t.Error("a lower limit does not hold")
	}
	c.SetLimits(2, 0)
	if _, ok := c.Enter(netip.MustParseAddr("192.0.2.9")); !ok {
		t.Error("a higher limit does not hold")
	}
	// Asking is not being refused.
	other := netip.MustParseAddr("192.0.2.9")
	c.SetLimits(1, 0)
	if _, crowded := c.Crowded(other); !c.Full(other) || crowded {
		t.Error("it is not full")
	}
	if _, refused := c.Counts(); refused != 3 {
		t.Errorf("%d refused", refused)
	}
	unlimited := NewCrowd(0, 0)
	for range 10 {
		if _, ok := unlimited.Enter(netip.MustParseAddr("192.0.2.1")); !ok {
			t.Fatal("a limit of 0 is one")
		}
	}
	// Those without an address are not one source.
	strangers := NewCrowd(0, 1)
	for range 2 {
		if _, ok := strangers.Enter(netip.Addr{}); !ok {
			t.Error("one without an address is refused")
		}
	}
}

// A line of IPv6 fills no crowd with its many /64s.
func TestAttackF5ALineFillsNoCrowd(t *testing.T) {
	t.Parallel()
	c, leaves := NewCrowd(1000, 3), []func(){}
	for i := range 1000 {
		if leave, ok := c.Enter(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 6: byte(i), 7: byte(i >> 8)})); ok {
			leaves = append(leaves, leave)
		}
	}
	if len(leaves) != 4*3 {
		t.Errorf("a /48 is %d of the crowd, want %d", len(leaves), 4*3)
	}
	late := netip.MustParseAddr("2001:db8:0:ffff::1")
	block, crowded := c.Crowded(late)
	if !crowded || block != netip.MustParsePrefix("2001:db8::/48") {
		t.Errorf("%v of the line is full: %v", block, crowded)
	}
	if _, crowded := c.Crowded(netip.MustParseAddr("2001:db8:1::1")); crowded {
		t.Error("its neighbor is full")
	}
	leaves[0]()
	if _, crowded := c.Crowded(late); crowded {
		t.Error("a place was not given back")
	}
	for _, leave := range leaves[1:] {
		leave()
	}
	if len(c.sources) != 0 {
		t.Errorf("%d blocks are remembered", len(c.sources))
	}
}

func TestBans(t *testing.T) {
	t.Parallel()
	b, now := NewBans(), time.Unix(1_800_000_000, 0)
	network := netip.MustParsePrefix("192.0.2.0/24")
	for _, ban := range []Ban{
		{User: "eve", Until: now.Add(time.Hour)},
		{Token: "sub:eve", Until: now.Add(time.Hour)},
		{Source: network, Until: now.Add(time.Minute)},
		{Until: now.Add(time.Hour)}, // of nobody
	} {
		if err := b.Add(now, ban); err != nil {
			t.Fatal(err)
		}
	}
	inside, outside := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("198.51.100.1")
	for _, c := range []struct {
		user, token string
		ip          netip.Addr
		at          time.Duration
		want        bool
	}{
		{user: "eve", want: true},
		{token: "sub:eve", want: true},
		{ip: inside, want: true},
		{user: "ann", token: "sub:ann", ip: outside},
		{},
		{user: "eve", at: time.Hour},
		{ip: inside, at: time.Minute},
	} {
		if got := b.Concern(c.user, c.token, c.ip, now.Add(c.at)); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	// The longer one of two bans holds, and what is over is forgotten.
	if err := b.Add(now.Add(30*time.Minute), Ban{User: "eve", Until: now.Add(31 * time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if !b.Concern("eve", "", netip.Addr{}, now.Add(50*time.Minute)) {
		t.Error("a short ban has ended a long one")
	}
	if list := b.inForce.Load(); len(list.sources) != 0 || len(list.users) != 1 {
		t.Errorf("bans that are over are kept: %+v", list)
	}
	var none *Bans
	if none.Concern("eve", "", inside, now) {
		t.Error("no list bans")
	}
}

// What is written in another way is the same address.
func TestBansSeeThroughSpellings(t *testing.T) {
	t.Parallel()
	b, now := NewBans(), time.Unix(1_800_000_000, 0)
	for _, source := range []string{"192.0.2.1", "fe80::/64"} {
		prefix, err := netaddr.ParsePrefix(source)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Add(now, Ban{Source: prefix, Until: now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	for ip, want := range map[string]bool{
		"192.0.2.1": true, "::ffff:192.0.2.1": true, "fe80::1%eth0": true, "192.0.2.2": false, "fe81::1": false,
	} {
		if got := b.Concern("", "", netip.MustParseAddr(ip), now); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
}

// A full list costs those who ask no more than a short one.
func BenchmarkConcern(b *testing.B) {
	bans, now := NewBans(), time.Unix(1_800_000_000, 0)
	var list []Ban
	for i := range maxBans {
		source := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		list = append(list, Ban{Source: source, Until: now.Add(time.Minute)})
	}
	if err := bans.Add(now, list...); err != nil {
		b.Fatal(err)
	}
	ip := netip.MustParseAddr("192.0.2.1")
	for b.Loop() {
		bans.Concern("ann", "", ip, now)
	}
}

// A ban that there is no room for is not confirmed as one.
func TestBansAreBounded(t *testing.T) {
	t.Parallel()
	b, now := NewBans(), time.Unix(1_800_000_000, 0)
	var list []Ban
	for i := range maxBans {
		source := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		list = append(list, Ban{Source: source, Until: now.Add(time.Minute)})
	}
	if err := b.Add(now, list...); err != nil {
		t.Fatal(err)
	}
	one := Ban{Source: netip.MustParsePrefix("192.0.2.1/32"), Until: now.Add(time.Hour)}
	if b.Add(now, one) == nil || b.Concern("", "", one.Source.Addr(), now) {
		t.Error("there is room for one more")
	}
	// Of several, all are put into force or none.
	some := Ban{User: "eve", Source: one.Source, Until: one.Until}
	if b.Add(now, some) == nil || b.Concern("eve", "", netip.Addr{}, now) {
		t.Error("half a ban is in force")
	}
	if err := b.Add(now.Add(time.Minute), one); err != nil ||
		!b.Concern("", "", one.Source.Addr(), now.Add(time.Minute)) {
		t.Errorf("bans that are over take the place of new ones: %v", err)
	}
}

func TestClientsOfTrustedProxies(t *testing.T) {
	t.Parallel()
	var proxies Proxies
	for _, s := range []string{"127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"} {
		p, err := netaddr.ParsePrefix(s)
		if err != nil {
			t.Fatal(err)
		}
		proxies = append(proxies, p)
	}
	for name, tc := range map[string]struct {
		from   string
		header []string
		want   string
	}{
		"no proxy":                   {"198.51.100.7:5", nil, "198.51.100.7:5"},
		"no proxy, but it says so":   {"198.51.100.7:5", []string{"192.0.2.1"}, "198.51.100.7:5"},
		"a proxy without the header": {"127.0.0.1:5", nil, "127.0.0.1:5"},
		"a proxy":                    {"127.0.0.1:5", []string{"192.0.2.1"}, "192.0.2.1:0"},
		"a proxy, in IPv6's dress":   {"[::ffff:127.0.0.1]:5", []string{"::ffff:192.0.2.1"}, "192.0.2.1:0"},
		"an IPv6 proxy":              {"[2001:db8:1::9]:5", []string{"2001:db8:2::1"}, "[2001:db8:2::1]:0"},
		"spoofed":                    {"127.0.0.1:5", []string{"192.0.2.66, 192.0.2.1"}, "192.0.2.1:0"},
		"spoofed as a proxy":         {"127.0.0.1:5", []string{"192.0.2.66, 10.0.0.1, 192.0.2.1"}, "192.0.2.1:0"},
		"spoofed in a line":          {"127.0.0.1:5", []string{"192.0.2.66", "192.0.2.1"}, "192.0.2.1:0"},
		"two proxies":                {"127.0.0.1:5", []string{"192.0.2.66, 192.0.2.1, 10.1.2.3"}, "192.0.2.1:0"},
		"two proxies in lines":       {"127.0.0.1:5", []string{"192.0.2.1", "10.1.2.3"}, "192.0.2.1:0"},
		"nothing but proxies":        {"127.0.0.1:5", []string{"10.1.2.4, 10.1.2.3"}, "10.1.2.4:0"},
		"a port":                     {"127.0.0.1:5", []string{"192.0.2.1:4711"}, "192.0.2.1:0"},
		"brackets":                   {"127.0.0.1:5", []string{"[2001:db8:2::1]"}, "[2001:db8:2::1]:0"},
		"brackets and a port":        {"127.0.0.1:5", []string{"[2001:db8:2::1]:4711"}, "[2001:db8:2::1]:0"},
		"a zone":                     {"127.0.0.1:5", []string{"fe80::1%eth0"}, "[fe80::1]:0"},
		"garbage":                    {"127.0.0.1:5", []string{"unknown"}, "127.0.0.1:5"},
		"garbage on the way":         {"127.0.0.1:5", []string{"192.0.2.1, _hidden, 10.1.2.3"}, "10.1.2.3:0"},
		"garbage that is not asked":  {"127.0.0.1:5", []string{"<script>, 192.0.2.1"}, "192.0.2.1:0"},
		"empty":                      {"127.0.0.1:5", []string{""}, "127.0.0.1:5"},
		"an empty entry":             {"127.0.0.1:5", []string{"192.0.2.1,"}, "127.0.0.1:5"},
		"no address at all":          {"@", []string{"192.0.2.1"}, "@"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tc.from
		r.Header["X-Forwarded-For"] = tc.header
		got := ""
		note := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })
		proxies.FromClient(note).ServeHTTP(nil, r)
		if got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
		if r.RemoteAddr != tc.from {
			t.Errorf("%s: the request itself was changed", name)
		}
	}
}

// Only a trusted proxy can say that its client came over TLS.
func TestScheme(t *testing.T) {
	t.Parallel()
	trusted := Proxies{netip.MustParsePrefix("127.0.0.1/32")}
	for _, tc := range []struct {
		proxies      Proxies
		from, header string
		tls          *tls.ConnectionState
		want         string
	}{
		{trusted, "127.0.0.1:1", "https", nil, "https"},
		{trusted, "127.0.0.1:1", "http", nil, "http"},
		{trusted, "127.0.0.1:1", "", nil, "http"},
		{trusted, "192.0.2.1:1", "https", nil, "http"},
		{nil, "127.0.0.1:1", "https", nil, "http"},
		{nil, "127.0.0.1:1", "", &tls.ConnectionState{}, "https"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.TLS = tc.from, tc.tls
		r.Header.Set("X-Forwarded-Proto", tc.header)
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		got := ""
		note := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = Scheme(r) })
		tc.proxies.FromClient(note).ServeHTTP(nil, r)
		if got != tc.want || r.Header.Get("X-Forwarded-Proto") != tc.header {
			t.Errorf("%+v: got %s; the request now has %q", tc, got, r.Header.Get("X-Forwarded-Proto"))
		}
	}
}

// Whom a proxy can't name has the unspecified address: nobody's proxy, even where all are trusted.
func TestAttackF10NobodyIsNoProxy(t *testing.T) {
	t.Parallel()
	all := Proxies{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	for ip, want := range map[string]bool{"0.0.0.0": false, "::": false, "192.0.2.1": true, "2001:db8::1": true} {
		if got := all.Trust(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s is trusted: %v", ip, got)
		}
	}
}

// Whatever strangers write, they don't speak for a proxy.
func FuzzForwardedFor(f *testing.F) {
	proxies := Proxies{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")}
	proxy := netip.MustParseAddr("127.0.0.1")
	f.Add("192.0.2.1, 10.0.0.1", "")
	f.Add("[2001:db8::1]:80", ",,10.0.0.1")
	f.Add("fe80::1%eth0", "::ffff:10.0.0.1, unknown")
	f.Fuzz(func(t *testing.T, first, second string) {
		client := proxies.forwardedFor(proxy, []string{first, second})
		if !client.IsValid() || client.Is4In6() || client.Zone() != "" {
			t.Errorf("%q", client)
		}
		if stranger := netip.MustParseAddr("192.0.2.66"); proxies.forwardedFor(stranger,
			[]string{first, second}) != stranger {
			t.Error("a stranger's header is believed")
		}
		// A proxy's own word is the last one, whatever stands before it.
		if got := proxies.forwardedFor(proxy, []string{first, second,
			"198.51.100.7"}); got != netip.MustParseAddr("198.51.100.7") {
			t.Errorf("%s instead of what the proxy has seen", got)
		}
	})
}

// What is over takes up no place, however many bans were ever made; a ban that there is no room for
// is refused by name.
func TestHub5BansThatAreOverTakeNoPlace(t *testing.T) {
	t.Parallel()
	b, now := NewBans(), time.Unix(1_800_000_000, 0)
	many := func(kind string) (list []Ban) {
		for i := range maxBans {
			list = append(list, Ban{User: fmt.Sprint(kind, i), Until: now.Add(time.Minute)})
		}
		return list
	}
	for _, kind := range []string{"a", "b", "c"} {
		if err := b.Add(now, many(kind)...); err != nil {
			t.Fatal(err)
		}
		if err := b.Add(now, Ban{User: "eve", Until: now.Add(time.Hour)}); !errors.Is(err, ErrTooManyBans) {
			t.Errorf("a full list: %v", err)
		}
		now = now.Add(time.Minute)
	}
	if err := b.Add(now, Ban{User: "eve", Until: now.Add(time.Hour)}); err != nil ||
		!b.Concern("eve", "", netip.Addr{}, now) {
		t.Error(err)
	}
	if list := b.List(now); len(list) != 1 {
		t.Errorf("%d bans", len(list))
	}
}

func TestHub5BansAreListedLiftedAndKept(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	var kept []Ban
	b := KeptBans(func(list []Ban) error { kept = list; return nil })
	network := netip.MustParsePrefix("192.0.2.0/24")
	if err := b.Add(now, Ban{User: "eve", Until: now.Add(time.Hour), For: "user:eve"}); err != nil {
		t.Fatal(err)
	}
	later := now.Add(time.Second)
	if err := b.Add(later, Ban{Peer: "p", User: "mallory", Source: network, Until: now.Add(time.Hour),
		For: "peer:p"}); err != nil {
		t.Fatal(err)
	}
	list := b.List(later)
	want := []Ban{
		{User: "eve", Until: now.Add(time.Hour), Made: now, For: "user:eve"},
		{Source: network, Until: now.Add(time.Hour), Made: later, For: "peer:p"},
		{User: "mallory", Until: now.Add(time.Hour), Made: later, For: "peer:p"},
		{Peer: "p", Until: now.Add(time.Hour), Made: later, For: "peer:p"},
	}
	if !slices.Equal(list, want) || !slices.Equal(kept, want) {
		t.Errorf("listed %+v\nkept %+v", list, kept)
	}
	if !b.ConcernPeer("p", later) || b.ConcernPeer("q", later) || b.ConcernPeer("", later) {
		t.Error("another peer is banned")
	}
	again := NewBans()
	if err := again.Restore(later, kept); err != nil || !slices.Equal(again.List(later), want) {
		t.Errorf("after a restart: %+v, %v", again.List(later), err)
	}
	if n, err := b.Lift(later, func(b Ban) bool { return b.For == "peer:p" }); n != 3 || err != nil ||
		b.ConcernPeer("p", later) || b.Concern("mallory", "", network.Addr(), later) ||
		!b.Concern("eve", "", netip.Addr{}, later) || len(kept) != 1 {
		t.Errorf("%d lifted, %v: %+v", n, err, kept)
	}
}

// What can't be kept is in force, and said to end with the process.
func TestHub5BansThatCannotBeKept(t *testing.T) {
	t.Parallel()
	later := time.Unix(1_800_000_000, 0)
	now := later.Add(-time.Second)
	var broken error
	b := KeptBans(func([]Ban) error { return broken })
	if err := b.Add(later, Ban{User: "eve", Until: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	broken = errors.New("the disk is full")
	if n, err := b.Lift(later, func(Ban) bool { return true }); n != 1 || !errors.Is(err, ErrBansNotKept) ||
		len(b.List(later)) != 0 {
		t.Errorf("%d lifted, %v", n, err)
	}
	if err := b.Add(later, Ban{User: "eve", Until: now.Add(time.Hour)}); !errors.Is(err, ErrBansNotKept) ||
		!b.Concern("eve", "", netip.Addr{}, later) {
		t.Errorf("a ban that can't be kept: %v", err)
	}
	var none *Bans
	if none.ConcernPeer("p", now) {
		t.Error("no list bans")
	}
}

// While some bans are lifted, the others hold: whoever comes meanwhile stays out.
func TestBansHoldWhileOthersAreLifted(t *testing.T) {
	t.Parallel()
	b, now := NewBans(), time.Now()
	bans := []Ban{{User: "eve", Until: now.Add(time.Hour)}}
	for i := range 1000 {
		bans = append(bans, Ban{Token: strconv.Itoa(i), Until: now.Add(time.Hour)})
	}
	if err := b.Add(now, bans...); err != nil {
		t.Fatal(err)
	}
	lifted := make(chan struct{})
	go func() {
		defer close(lifted)
		for i := range 20 {
			b.Lift(now, func(ban Ban) bool { return ban.Token == strconv.Itoa(i) }) //nolint:errcheck // kept nowhere
		}
	}()
	defer func() { <-lifted }()
	for {
		if !b.Concern("eve", "", netip.Addr{}, now) {
			t.Fatal("eve may come in")
		}
		select {
		case <-lifted:
			return
		default:
		}
	}
}

// A ban of a user holds for the user's other name, also one from an earlier run, until it is
// lifted. Only the user is listed.
func TestHub13BansHoldForOtherNames(t *testing.T) {
	t.Parallel()
	now, b := time.Now(), NewBans()
	if err := b.Restore(now, []Ban{{User: "bob", Until: now.Add(time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	b.Alias(func(user string) string { return "id of " + user })
	if err := b.Add(now, Ban{User: "eve", Until: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	banned := func(user string) bool { return b.Concern(user, "", netip.Addr{}, now) }
	for _, user := range []string{"bob", "eve"} {
		if !banned(user) || !banned("id of "+user) || !slices.Equal(b.Names(user), []string{user, "id of " + user}) {
			t.Errorf("%s: %v, %v, %v", user, banned(user), banned("id of "+user), b.Names(user))
		}
	}
	if banned("id of ann") || len(b.List(now)) != 2 {
		t.Errorf("%v, %v", banned("id of ann"), b.List(now))
	}
	n, err := b.Lift(now, func(ban Ban) bool { return ban.User == "bob" })
	if n != 1 || err != nil || banned("id of bob") {
		t.Errorf("%d, %v, %v", n, err, banned("id of bob"))
	}
	var none *Bans
	if !slices.Equal(none.Names("ann"), []string{"ann"}) || none.Concern("ann", "", netip.Addr{}, now) {
		t.Error("a nil list knows somebody")
	}
}
