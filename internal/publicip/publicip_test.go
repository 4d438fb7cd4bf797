package publicip

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/internal/netaddr"
	"signalbox/turnsvc"
	"signalbox/turnsvc/cred"
)

func addrs(list ...string) (out []netip.Addr) {
	for _, ip := range list {
		out = append(out, netip.MustParseAddr(ip))
	}
	return out
}

// onLoopback has o listen on addresses of loopback.
func onLoopback(o Options, listen ...string) Options {
	o.Listen = addrs(listen...)
	return o
}

// An explicit address is taken as it is, even one of the documentation.
func TestRelayAddresses(t *testing.T) {
	t.Parallel()
	names := map[string][]netip.Addr{"box.example.org": addrs("198.52.100.9", "2a00::9")}
	v4 := func(o Options) Options { return onLoopback(o, "127.0.0.1") }
	both := func(o Options) Options { return onLoopback(o, "127.0.0.1", "::1") }
	for name, c := range map[string]struct {
		o    Options
		want string // bind>public of each family, or the error's beginning
	}{
		"a listen address": {o: v4(Options{Auto: true}), want: "127.0.0.1>127.0.0.1"},
		"of both families": {o: both(Options{Auto: true}), want: "127.0.0.1>127.0.0.1 ::1>::1"},
		"1:1 NAT":          {o: both(Options{Public: addrs("198.51.100.7")}), want: "127.0.0.1>198.51.100.7"},
		"1:1 NAT, both": {o: both(Options{Public: addrs("198.51.100.7", "2001:db8::7")}),
			want: "127.0.0.1>198.51.100.7 ::1>2001:db8::7"},
		"one fixed, one not": {o: both(Options{Public: addrs("198.51.100.7"), Auto: true}),
			want: "127.0.0.1>198.51.100.7 ::1>::1"},
		"IPv6 only": {o: both(Options{Public: addrs("2001:db8::7")}), want: "::1>2001:db8::7"},
		"a name": {o: both(Options{Names: []string{"box.example.org"}}),
			want: "127.0.0.1>198.52.100.9 ::1>2a00::9"},
		"a name, IPv4 here": {o: v4(Options{Names: []string{"box.example.org"}}),
			want: "127.0.0.1>198.52.100.9"},
		"an unknown name": {o: both(Options{Names: []string{"other.example.org"}}),
			want: "127.0.0.1>127.0.0.1 ::1>::1"},
		// no NAT leads to loopback
		"public_host": {o: v4(Options{Auto: true, Host: "box.example.org"}), want: "127.0.0.1>127.0.0.1"},
		"public_host, an address": {o: both(Options{Auto: true, Host: "198.51.100.7"}),
			want: "127.0.0.1>198.51.100.7 ::1>::1"},
		"relay_ip": {o: both(Options{Auto: true, Bind: addrs("127.0.0.1")}), want: "127.0.0.1>127.0.0.1"},
		"relay_ip, both": {o: both(Options{Bind: addrs("127.0.0.1", "::1"), Public: addrs("198.51.100.7")}),
			want: "127.0.0.1>198.51.100.7"},
		"not here": {o: both(Options{Auto: true, Bind: addrs("192.0.2.77")}),
			want: "turn.relay_ip: this machine has no address 192.0.2.77"},
		"no IPv6 here": {o: v4(Options{Public: addrs("2001:db8::7")}),
			want: "public_ip: this machine has no address to relay to and from 2001:db8::7"},
	} {
		c.o.Local = netaddr.Local
		f := &Finder{o: c.o, route: defaultRoute}
		found, err := f.decide(answers{names: names}, nil)
		text := asText(found.relays)
		if err != nil {
			text = err.Error()
		}
		if err == nil && text != c.want || err != nil && !strings.HasPrefix(text, c.want) {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
}

// 5 of the operators' reports: a machine relays on an address that others may reach it at, or not
// at all; and public_ip of one family leaves a public address of the other in use.
func TestIssue16NoLoopbackAsALastResort(t *testing.T) {
	t.Parallel()
	every := addrs("::")
	for name, c := range map[string]struct {
		o     Options
		local []netip.Addr
		want  string
		off   string
	}{
		"nothing yet": {o: Options{Auto: true}, local: addrs("127.0.0.1", "::1")},
		"nothing yet, public_ip": {o: Options{Public: addrs("198.51.100.7", "2001:db8::7")},
			local: addrs("127.0.0.1", "::1")},
		"nothing else, for development": {o: Options{Auto: true, Dev: true}, local: addrs("127.0.0.1", "::1"),
			want: "127.0.0.1>127.0.0.1"},
		"only link-local": {o: Options{Auto: true}, local: addrs("127.0.0.1", "169.254.3.4")},
		"no default route": {o: Options{Auto: true}, local: addrs("127.0.0.1", "10.0.0.5"),
			want: "10.0.0.5>10.0.0.5"},
		"IPv6 only, no default route": {o: Options{Auto: true}, local: addrs("127.0.0.1", "::1", "fd00::5"),
			want: "fd00::5>fd00::5"},
		"both, no default route": {o: Options{Auto: true}, local: addrs("10.0.0.5", "fd00::5"),
			want: "10.0.0.5>10.0.0.5"},
		"public_ip of IPv6, IPv4 private": {o: Options{Public: addrs("2a00::7")}, local: addrs("10.0.0.5", "2a00::7"),
			want: "2a00::7>2a00::7", off: "no IPv4 relays: public_ip gives no IPv4 address, and the internet does " +
				"not route this machine's 10.0.0.5"},
		"public_ip of IPv6, IPv4 public": {o: Options{Public: addrs("2a00::7")}, local: addrs("8.8.8.8", "2a00::7"),
			want: "8.8.8.8>8.8.8.8 2a00::7>2a00::7"},
		"relay_ip of IPv6": {o: Options{Auto: true, Bind: addrs("2a00::7")}, local: addrs("8.8.8.8", "2a00::7"),
			want: "2a00::7>2a00::7", off: "no IPv4 relays: turn.relay_ip names no IPv4 address"},
	} {
		c.o.Listen, c.o.Local = every, func() ([]netip.Addr, error) { return c.local, nil }
		f := &Finder{o: c.o, route: func(bool) netip.Addr { return netip.Addr{} }}
		found, err := f.decide(answers{}, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := asText(found.relays); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if got := strings.Join(found.off, "; "); got != c.off {
			t.Errorf("%s: off: %q, want %q", name, got, c.off)
		}
	}
}

// asText writes bind>public of each family.
func asText(relays Relays) string {
	var out []string
	for _, r := range relays {
		out = append(out, r.Bind.IP.String()+">"+r.Public.IP.String())
	}
	return strings.Join(out, " ")
}

// at is a relay whose one address is this machine's own.
func at(ip string) Relay {
	a := Choice{IP: netip.MustParseAddr(ip)}
	return Relay{Bind: a, Public: a}
}

// publicOf is the public address that f knows of a machine with an address of its own.
func publicOf(f *Finder, known answers, own Choice) netip.Addr {
	fam := family{o: &f.o, v4: own.IP.Is4(), known: known}
	return fam.behindNAT(own).IP
}

// A name that is not found keeps the addresses that it had, and stops no other. public_host is
// asked for only where there can be a NAT.
func TestLookUp(t *testing.T) {
	t.Parallel()
	known, public := netip.MustParseAddr("198.52.100.1"), netip.MustParseAddr("198.52.100.5")
	var asked []string
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		asked = append(asked, host)
		if host == "a.example.org" {
			return nil, &net.DNSError{Err: "no such host", Name: host}
		}
		return []netip.Addr{known}, nil
	}
	f := &Finder{
		o:     Options{Host: "a.example.org", Names: []string{"b.example.org"}, Auto: true, Lookup: lookup},
		known: answers{names: map[string][]netip.Addr{"a.example.org": {public}}},
	}
	for _, ip := range []string{"203.0.114.5", "127.0.0.1", "2a00::1"} {
		asked = nil
		if _, err := f.ask(t.Context(), Relays{at(ip)}); err != nil || len(asked) != 1 {
			t.Errorf("at %s, %v are looked up (%v)", ip, asked, err)
		}
	}
	for _, ip := range []string{"10.0.0.5", "100.64.0.1", "fd00::5"} {
		next, err := f.ask(t.Context(), Relays{at(ip)})
		if err == nil || !strings.Contains(err.Error(), "a.example.org") {
			t.Errorf("at %s: error %v", ip, err)
		}
		if !slices.Contains(next.names["b.example.org"], known) ||
			!slices.Contains(next.names["a.example.org"], public) {
			t.Errorf("at %s: names %v", ip, next.names)
		}
		r := at(ip)
		if found := publicOf(f, next, r.Bind); r.Bind.IP.Is4() != (found == public) {
			t.Errorf("at %s: the public address is %s", ip, found)
		}
	}
}

// A STUN server of the operator's choice tells the public address where nothing else does, and only
// there.
func TestProbe(t *testing.T) {
	t.Parallel()
	probe := func(_ context.Context, from netip.Addr, server string) (netip.Addr, error) {
		switch {
		case server != "stun.example.org:3478":
			t.Errorf("%s was asked", server)
		case from.String() == "10.0.0.6":
			return netip.MustParseAddr("100.64.0.1"), nil
		case from.String() == "10.0.0.7":
			return netip.Addr{}, errors.New("no answer")
		case from.String() == "10.0.0.8":
			return netip.MustParseAddr("198.51.100.1"), nil
		}
		return netip.MustParseAddr("198.52.100.1"), nil
	}
	lookup := func(context.Context, string) ([]netip.Addr, error) { return addrs("198.52.100.9"), nil }
	for _, tc := range []struct{ host, from, want string }{
		{"", "10.0.0.5", "198.52.100.1"},
		{"", "203.0.114.5", "203.0.114.5"},              // it has a public address
		{"box.example.org", "10.0.0.5", "198.52.100.9"}, // public_host comes first
		{"", "10.0.0.6", "10.0.0.6"},                    // another NAT behind the NAT
		{"", "10.0.0.7", "198.52.100.2"},                // no answer now, but one before
		{"", "10.0.0.8", "10.0.0.8"},                    // what the internet does not route is no answer
		{"", "203.0.113.5", "198.52.100.1"},             // nor is an own address of the documentation public
	} {
		f := &Finder{
			o:     Options{Host: tc.host, Probe: "stun.example.org:3478", Auto: true, Lookup: lookup, Ask: probe},
			known: answers{probed: addrs("198.52.100.2")},
		}
		r := at(tc.from)
		next, _ := f.ask(t.Context(), Relays{r})
		if found := publicOf(f, next, r.Bind); found.String() != tc.want {
			t.Errorf("%s at %s: %v, want %s", tc.host, tc.from, found, tc.want)
		}
	}
}

// The probe's other side is any STUN server: another box, for example.
func TestProbeAsksASTUNServer(t *testing.T) {
	t.Parallel()
	loopback := netip.MustParseAddr("127.0.0.1")
	server, err := turnsvc.New(turnsvc.Options{Realm: "test", MinPort: 49152, MaxPort: 65535, AllowLoopback: true,
		Relays: []turnsvc.RelayAddress{{Bind: loopback, Public: loopback}},
		Live:   turnsvc.Live{Keys: cred.NewKeys("a secret of the tests")}})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- server.Run(ctx) }()
	go func() { done <- server.ServePacket(conn) }()
	defer func() {
		stop()
		conn.Close()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}()
	if ip, err := askSTUN(t.Context(), loopback, conn.LocalAddr().String()); err != nil || ip != loopback {
		t.Errorf("seen at %v, %v", ip, err)
	}
	deaf, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	began := time.Now()
	if ip, err := askSTUN(t.Context(), loopback, deaf.LocalAddr().String()); err == nil ||
		time.Since(began) > 30*time.Second {
		t.Errorf("seen at %v, %v, after %v", ip, err, time.Since(began))
	}
}

// everySort has addresses of every sort, as those who count an address as public or not see them.
var everySort = []string{
	"8.8.8.8", "203.0.114.1", "198.52.100.7", "192.88.98.1", "2606:4700::1", "2a00::1", "2001:500::1",
	"198.51.100.7", "203.0.113.7", "192.0.2.7", "198.18.0.1", "192.0.0.1", "192.88.99.1", "240.0.0.1",
	"255.255.255.255",
	"10.0.0.1", "172.16.0.1", "172.17.0.2", "192.168.1.1", "100.64.0.1", "100.100.100.200", "168.63.129.16",
	"127.0.0.1", "169.254.1.1", "169.254.169.254", "0.0.0.0", "224.0.0.1",
	"2001:db8::1", "2001::1", "2002:808:808::", "3fff::1", "64:ff9b::808:808", "::ffff:8.8.8.8", "fc00::1", "fd00::1",
	"fec0::1", "fe80::1", "ff02::1", "::", "::1", "4000::1",
}

// There is one table of what the internet routes: the words for an address, whether it may have a
// NAT in front of it, and whether the answers of name servers and of stun.probe are believed go by
// it alone.
func TestOneTableOfGlobalAddresses(t *testing.T) {
	t.Parallel()
	for _, s := range everySort {
		ip := netip.MustParseAddr(s)
		global := netaddr.Global(ip)
		if note := Scope(ip); (note == "") != global {
			t.Errorf("%s is global: %v, but its scope is %q", s, global, note)
		}
		if mayBeBehindNAT(ip) != (!global && !ip.IsLoopback()) {
			t.Errorf("%s is global: %v, but there may be a NAT: %v", s, global, mayBeBehindNAT(ip))
		}
		own := Choice{IP: netip.MustParseAddr("10.0.0.5")}
		if ip.Is6() {
			own.IP = netip.MustParseAddr("fd00::5")
		}
		f := &Finder{o: Options{Host: "box.example.org"}}
		for what, known := range map[string]answers{
			"public_host": {names: map[string][]netip.Addr{"box.example.org": {ip}}},
			"stun.probe":  {probed: []netip.Addr{ip}},
		} {
			if found := publicOf(f, known, own); (found == ip) != global {
				t.Errorf("%s is global: %v, but %s, which says so, leads to %s", s, global, what, found)
			}
		}
	}
}

// Scope has words for every address that the internet does not route, and special ones for the most
// common mistakes.
func TestScope(t *testing.T) {
	t.Parallel()
	const unrouted = "an address that the internet does not route"
	for ip, want := range map[string]string{
		"127.0.0.1": "a loopback address", "::1": "a loopback address",
		"10.0.0.1": "a private address", "192.168.1.1": "a private address", "fd00::1": "a private address",
		"100.64.0.1": "a carrier's shared address", "8.8.8.8": "", "2a00::1": "",
		"198.51.100.7": unrouted, "2001:db8::1": unrouted, "240.0.0.1": unrouted, "198.18.0.1": unrouted,
		"fe80::1": unrouted, "169.254.1.1": unrouted,
	} {
		if got := Scope(netip.MustParseAddr(ip)); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", ip, got, want)
		}
	}
}

// A change of this machine's addresses is in use before anybody is asked, and nobody is asked
// unless it is one of the relay's.
func TestAChangeHereWaitsForNobody(t *testing.T) {
	t.Parallel()
	own := netip.MustParseAddr("127.0.0.2")
	var relays []string // as they were when names were asked for
	asked := make(chan struct{}, 1)
	f := &Finder{o: Options{Names: []string{"box.example.org"}, Log: slog.New(slog.DiscardHandler), Listen: addrs("::"),
		Local: netaddr.Local,
		Lookup: func(context.Context, string) ([]netip.Addr, error) {
			asked <- struct{}{}
			return addrs("198.52.100.1"), nil
		}}}
	f.route = func(v4 bool) netip.Addr {
		if v4 {
			return own
		}
		return netip.Addr{}
	}
	f.inUse.Store(&decision{})
	apply := func(r Relays) error { relays = append(relays, asText(r)); return nil }
	for i, c := range []struct {
		own   string
		asked int
		want  string
	}{
		{"127.0.0.2", 1, "127.0.0.2>127.0.0.2 127.0.0.2>198.52.100.1"},
		{"127.0.0.2", 0, ""},
		{"127.0.0.3", 1, "127.0.0.3>198.52.100.1"},
	} {
		own, relays = netip.MustParseAddr(c.own), nil
		if err := f.here(t.Context(), apply); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(relays, " "); got != c.want || len(asked) != c.asked {
			t.Errorf("%d: relays %q, want %q; asked: %d", i, got, c.want, len(asked))
		}
		for len(asked) > 0 {
			<-asked
		}
	}
}

// Look logs a failure once and each change, and no warning if none is wanted.
func TestLookSaysWhatChanges(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	next := addrs("198.52.100.1")
	o := onLoopback(Options{Names: []string{"box.example.org"}, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Lookup: func(context.Context, string) ([]netip.Addr, error) { return next, nil }}, "127.0.0.1")
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Relays().PublicIPs(); !slices.Equal(got, []string{"127.0.0.1"}) {
		t.Errorf("New has asked: %v", got)
	}
	applied := 0
	apply := func(Relays) error { applied++; return nil }
	for range 2 { // the second time nothing is new
		if err := f.Look(t.Context(), apply); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.Relays().Public().String(); got != "198.52.100.1" || applied != 1 {
		t.Errorf("at %s, applied %d times", got, applied)
	}
	if said := log.String(); !strings.Contains(said, "relay addresses changed") || strings.Contains(said, "WARN") {
		t.Errorf("said %s", said)
	}
	next = addrs("198.51.100.1")
	refused := errors.New("no")
	if err := f.Look(t.Context(), func(Relays) error { return refused }); !errors.Is(err, refused) ||
		f.Relays().Public().String() != "198.52.100.1" {
		t.Errorf("what could not be put into force is said to be: %v, %v", f.Relays(), err)
	}
	if err := f.Look(t.Context(), apply); err != nil {
		t.Fatal(err)
	}
	if said := log.String(); !strings.Contains(said, "the internet does not route the relay's address") {
		t.Errorf("an address that nobody reaches is not warned of: %s", said)
	}
	log.Reset()
	f.o.Dev = true
	if f.Warn(); log.Len() > 0 {
		t.Errorf("said %s", log.String())
	}
}
