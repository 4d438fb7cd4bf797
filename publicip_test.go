package signalbox

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// nameServer is a resolver whose answer changes.
type nameServer struct {
	answer atomic.Pointer[[]netip.Addr]
	failed atomic.Int64
}

func (n *nameServer) set(ips ...string) {
	var list []netip.Addr
	for _, ip := range ips {
		list = append(list, netip.MustParseAddr(ip))
	}
	n.answer.Store(&list)
}

func (n *nameServer) lookup(context.Context, string) ([]netip.Addr, error) {
	list := *n.answer.Load()
	if len(list) == 0 {
		n.failed.Add(1)
		return nil, errors.New("no such host")
	}
	return list, nil
}

func TestPublicAddressFollowsItsName(t *testing.T) {
	t.Parallel()
	app := newApp(t, "public_ip=box.example.org")
	var dns nameServer
	app.outside.lookup = dns.lookup
	is := func(want string) func() bool {
		return func() bool { return strings.Join(app.Status().PublicIP, " ") == want }
	}
	dns.set() // not known yet
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	if !is("127.0.0.1")() {
		t.Errorf("before the name is known: %v", app.Status().PublicIP)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		app.followAddresses(ctx, time.Millisecond)
	}()
	dns.set("198.51.100.1", "2001:db8::1")
	eventually(t, "the address is known", is("198.51.100.1")) // nothing listens on IPv6
	dns.set("198.51.100.2")
	eventually(t, "the address has changed", is("198.51.100.2"))
	dns.set()
	before := dns.failed.Load()
	eventually(t, "two look-ups fail", func() bool { return dns.failed.Load() >= before+2 })
	if !is("198.51.100.2")() {
		t.Errorf("after a failed look-up: %v", app.Status().PublicIP)
	}
	cancel()
	<-done
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestRelayAddresses(t *testing.T) {
	t.Parallel()
	names := resolved{"box.example.org": {netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("2001:db8::9")}}
	listensOnLoopback := []string{"turn.listen=127.0.0.1:3478"}
	both := []string{`turn.listen=["127.0.0.1:3478", "[::1]:3478"]`}
	for name, c := range map[string]struct {
		set  []string
		want string // bind>public of each family, or the error's beginning
	}{
		"a listen address": {set: listensOnLoopback, want: "127.0.0.1>127.0.0.1"},
		"of both families": {set: both, want: "127.0.0.1>127.0.0.1 ::1>::1"},
		"1:1 NAT":          {set: append(both, "public_ip=198.51.100.7"), want: "127.0.0.1>198.51.100.7"},
		"1:1 NAT, both": {set: append(both, `public_ip=["198.51.100.7", "2001:db8::7"]`),
			want: "127.0.0.1>198.51.100.7 ::1>2001:db8::7"},
		"one fixed, one not": {set: append(both, `public_ip=["198.51.100.7", "auto"]`),
			want: "127.0.0.1>198.51.100.7 ::1>::1"},
		"IPv6 only": {set: append(both, "public_ip=2001:db8::7"), want: "::1>2001:db8::7"},
		"a name": {set: append(both, "public_ip=box.example.org"),
			want: "127.0.0.1>198.51.100.9 ::1>2001:db8::9"},
		"a name, IPv4 here": {set: append(listensOnLoopback, "public_ip=box.example.org"),
			want: "127.0.0.1>198.51.100.9"},
		"an unknown name": {set: append(both, "public_ip=other.example.org"),
			want: "127.0.0.1>127.0.0.1 ::1>::1"},
		// no NAT leads to loopback
		"public_host": {set: append(listensOnLoopback, "public_host=box.example.org"),
			want: "127.0.0.1>127.0.0.1"},
		"public_host, an address": {set: append(both, "public_host=198.51.100.7"),
			want: "127.0.0.1>198.51.100.7 ::1>::1"},
		"relay_ip": {set: append(both, "turn.relay_ip=127.0.0.1"), want: "127.0.0.1>127.0.0.1"},
		"relay_ip, both": {set: append(both, `turn.relay_ip=["127.0.0.1","::1"]`, "public_ip=198.51.100.7"),
			want: "127.0.0.1>198.51.100.7"},
		"not here": {set: append(both, "turn.relay_ip=192.0.2.77"),
			want: "turn.relay_ip: this machine has no address 192.0.2.77"},
		"no IPv6 here": {set: append(listensOnLoopback, "public_ip=2001:db8::7"),
			want: "public_ip: this machine has no address to relay to and from 2001:db8::7"},
	} {
		cfg, err := Load(LoadOptions{Dev: true, Set: c.set})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		where, err := relayAddresses(&cfg, names, nil)
		var got []string
		for _, r := range where {
			got = append(got, r.bind.ip.String()+">"+r.public.ip.String())
		}
		text := strings.Join(got, " ")
		if err != nil {
			text = err.Error()
		}
		if err == nil && text != c.want || err != nil && !strings.HasPrefix(text, c.want) {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
	for _, bad := range []string{`public_ip=["198.51.100.1", "198.51.100.2"]`, "public_ip=0.0.0.0", "public_ip=a b",
		`turn.relay_ip=["::1", "::2"]`, "turn.relay_ip=box.example.org"} {
		if _, err := Load(LoadOptions{Set: []string{bad}}); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

// A name that is not found keeps the addresses that it had, and stops no other. public_host is
// asked for only where there can be a NAT.
func TestLookUp(t *testing.T) {
	t.Parallel()
	cfg, err := Load(LoadOptions{Dev: true, Set: []string{"public_host=a.example.org",
		`public_ip=["b.example.org", "auto"]`}})
	if err != nil {
		t.Fatal(err)
	}
	known, public := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.5")
	var asked []string
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		asked = append(asked, host)
		if host == "a.example.org" {
			return nil, &net.DNSError{Err: "no such host", Name: host}
		}
		return []netip.Addr{known}, nil
	}
	old := resolved{"a.example.org": {public}}
	at := func(ip string) relayAddress {
		a := address{ip: netip.MustParseAddr(ip)}
		return relayAddress{bind: a, public: a}
	}
	for _, ip := range []string{"203.0.113.5", "127.0.0.1", "2001:db8::1"} {
		asked = nil
		if _, err := cfg.resolve(t.Context(), outside{lookup: lookup}, addressing{at(ip)}, old); err != nil ||
			len(asked) != 1 {
			t.Errorf("at %s, %v are looked up (%v)", ip, asked, err)
		}
	}
	for _, ip := range []string{"10.0.0.5", "100.64.0.1", "fd00::5"} {
		names, err := cfg.resolve(t.Context(), outside{lookup: lookup}, addressing{at(ip)}, old)
		if err == nil || !strings.Contains(err.Error(), "a.example.org") {
			t.Errorf("at %s: error %v", ip, err)
		}
		if !slices.Contains(names["b.example.org"], known) || !slices.Contains(names["a.example.org"], public) {
			t.Errorf("at %s: names %v", ip, names)
		}
		r := at(ip)
		if r.lookBehindNAT(&cfg, names); r.bind.ip.Is4() != (r.public.ip == public) {
			t.Errorf("at %s: the public address is %s", ip, r.public.ip)
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
		}
		return netip.MustParseAddr("198.51.100.1"), nil
	}
	lookup := func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("198.51.100.9")}, nil
	}
	for _, tc := range []struct{ set, from, want string }{
		{"", "10.0.0.5", "198.51.100.1"},
		{"", "203.0.113.5", "203.0.113.5"},                          // it has a public address
		{"public_host=box.example.org", "10.0.0.5", "198.51.100.9"}, // public_host comes first
		{"", "10.0.0.6", "10.0.0.6"},                                // another NAT behind the NAT
		{"", "10.0.0.7", "198.51.100.2"},                            // no answer now, but one before
	} {
		cfg, err := Load(LoadOptions{Dev: true,
			Set: append([]string{"stun.probe=stun.example.org:3478"}, strings.Fields(tc.set)...)})
		if err != nil {
			t.Fatal(err)
		}
		at := address{ip: netip.MustParseAddr(tc.from)}
		r := relayAddress{bind: at, public: at}
		names, _ := cfg.resolve(t.Context(), outside{lookup, probe}, addressing{r},
			resolved{probed: {netip.MustParseAddr("198.51.100.2")}})
		if r.lookBehindNAT(&cfg, names); r.public.ip.String() != tc.want {
			t.Errorf("%s at %s: %v, want %s", tc.set, tc.from, r.public, tc.want)
		}
	}
}

// The probe's other side is any STUN server: another box, for example.
func TestProbeAsksASTUNServer(t *testing.T) {
	t.Parallel()
	server := startApp(t).Addrs().TURN[0]
	if ip, err := probeSTUN(t.Context(), netip.MustParseAddr("127.0.0.1"), server); err != nil ||
		ip.String() != "127.0.0.1" {
		t.Errorf("seen at %v, %v", ip, err)
	}
	deaf, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	began := time.Now()
	if ip, err := probeSTUN(t.Context(), netip.MustParseAddr("127.0.0.1"), deaf.LocalAddr().String()); err == nil ||
		time.Since(began) > 30*time.Second {
		t.Errorf("seen at %v, %v, after %v", ip, err, time.Since(began))
	}
}
