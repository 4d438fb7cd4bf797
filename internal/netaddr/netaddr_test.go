package netaddr

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestParseListen(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		":3478": "[::]:3478", "[::ffff:192.0.2.1]:80": "192.0.2.1:80", "192.0.2.1:80": "192.0.2.1:80",
		"[2001:db8::1]:0": "[2001:db8::1]:0",
		"3478":            "not an address to listen on", ":99999": "not a port", "localhost:80": "not an IP address",
	} {
		got, err := ParseListen(s)
		if err != nil && strings.Contains(err.Error(), want) {
			continue
		}
		if err != nil || got.String() != want {
			t.Errorf("%s: %v, %v, want %s", s, got, err, want)
		}
	}
}

func TestParsePrefix(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"10.1.2.3": "10.1.2.3/32", "10.0.0.0/8": "10.0.0.0/8", "2001:db8::1": "2001:db8::1/128",
		"::ffff:10.1.2.3": "10.1.2.3/32", "::ffff:10.0.0.0/104": "10.0.0.0/8", "::ffff:0.0.0.0/95": `write "0.0.0.0/0"`,
		"10.1.2.3/8": `write "10.0.0.0/8"`, "nobody": "neither an address nor a network",
		"fe80::1%eth0": "neither an address nor a network",
	} {
		got, err := ParsePrefix(s)
		if err != nil && strings.Contains(err.Error(), want) {
			continue
		}
		if err != nil || got.String() != want {
			t.Errorf("%s: %v, %v, want %s", s, got, err, want)
		}
	}
}

func TestParsePorts(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"203.0.113.10:10000":          "203.0.113.10/32 10000-10000",
		"198.51.100.0/24:20000-40000": "198.51.100.0/24 20000-40000",
		"[2001:db8::1]:10000":         "2001:db8::1/128 10000-10000",
		"[2001:db8::/32]:1-65535":     "2001:db8::/32 1-65535",
		"[::ffff:10.1.2.3]:9":         "10.1.2.3/32 9-9", "10.1.2.3": "no ports", "2001:db8::1": "no ports",
		"[2001:db8::1]": "no ports", "10.1.2.3:": "neither a port", "10.1.2.3:0": "neither a port",
		"10.1.2.3:9-8": "neither a port", "10.1.2.3:1-65536": "neither a port", "10.1.2.3:-1": "neither a port",
		"10.1.2.3:1-2-3": "neither a port", "10.1.2.3/8:9": `write "10.0.0.0/8"`, "box:9": "neither an address",
	} {
		got, ok, err := ParsePorts(s)
		text := fmt.Sprintf("%v %d-%d", got.Network, got.First, got.Last)
		switch {
		case err != nil:
			text = err.Error()
		case !ok:
			text = "no ports"
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s: %s, want %s", s, text, want)
		}
	}
}

func TestValidHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"example.org": true, "example.org.": true, "a_b": true, "192.0.2.1": true, "2001:db8::1": true,
		"": false, "192.0.2": false, "exa mple": false, "a/b": false, "fe80::1%eth0": false, "münchen.example": false,
		"a..b": false, "..": false, "-": false, "_": false, ".": false, strings.Repeat("a", 254): false,
	} {
		if got := ValidHost(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

func TestIsLocalName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"localhost": true, "box": true, "Box.Local": true, "box.local.": true, "a.box.lan": true, "box.home.arpa": true,
		"box.internal": true, "x.localhost": true,
		"example.org": false, "local.example.org": false, "notlocal": true, "evil.notlocal": false, "": false,
		".": false, "box.local/x": false, "192.0.2.7": false, "2001:db8::1": false,
	} {
		if got := IsLocalName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// One table for the whole product: there were four, and they differed on some of these.
func TestGlobal(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]bool{
		"8.8.8.8": true, "203.0.114.1": true, "2606:4700::1": true, "2a00::1": true,
		"198.51.100.7": false, "198.18.0.1": false, "240.0.0.1": false, "2001:db8::1": false, "fec0::1": false,
		"10.0.0.1": false, "100.64.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "127.0.0.1": false,
		"169.254.169.254": false, "0.0.0.0": false, "224.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "fe80::1": false, "fd00::1": false, "ff02::1": false, "2002:7f00:1::": false,
	} {
		if got := Global(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
	if Global(netip.Addr{}) {
		t.Error("the zero address is global")
	}
}

// The rows of IANA's special-purpose registries, and of what else no peer may be: what each is to
// us, at both of its ends. Rows within another one stand for themselves.
func TestSpecialPurposeRegistries(t *testing.T) {
	t.Parallel()
	const closed, special, private, global = "never", "special", "private", "global"
	for prefix, want := range map[string]string{
		"0.0.0.0/8": closed, "10.0.0.0/8": private, "100.64.0.0/10": private, "127.0.0.0/8": closed,
		"169.254.0.0/16": closed, "172.16.0.0/12": private, "192.0.0.0/24": special, "192.0.0.0/29": special,
		"192.0.0.8/32": special, "192.0.0.9/32": special, "192.0.0.10/32": special, "192.0.0.170/32": special,
		"192.0.2.0/24": special, "192.31.196.0/24": global, "192.52.193.0/24": global, "192.88.99.0/24": special,
		"192.168.0.0/16": private, "192.175.48.0/24": global, "198.18.0.0/15": special, "198.51.100.0/24": special,
		"203.0.113.0/24": special, "224.0.0.0/4": closed, "240.0.0.0/4": closed,

		"::1/128": closed, "::/128": closed, "::ffff:0:0/96": special, "64:ff9b::/96": private,
		"64:ff9b:1::/48": private, "100::/64": special, "100:0:0:1::/64": special, "2001::/23": special,
		"2001::/32": special, "2001:1::1/128": special, "2001:2::/48": special, "2001:3::/32": special,
		"2001:4:112::/48": special, "2001:10::/28": special, "2001:20::/28": special, "2001:30::/28": special,
		"2001:db8::/32": special, "2002::/16": special, "2620:4f:8000::/48": global, "3fff::/20": special,
		"5f00::/16": special, "fc00::/7": private, "fe80::/10": closed, "fec0::/10": closed, "ff00::/8": closed,

		"fd00:ec2::/32": closed, "fd20:ce::254/128": closed, "fd00:c1::a9fe:a9fe/128": closed,
		"fd00:a9fe:a9fe::/48": closed, "fd00:42::42/128": closed, "168.63.129.16/32": closed,
		"100.100.100.200/32": closed, "192.0.0.192/32": closed,
	} {
		for _, ip := range ends(netip.MustParsePrefix(prefix)) {
			got := special
			switch {
			case Never(ip):
				got = closed
			case Global(ip):
				got = global
			case Usable(ip):
				got = private
			}
			if got != want || Usable(ip) != (want == private || want == global) {
				t.Errorf("%s in %s is %s, usable %v; want %s", ip, prefix, got, Usable(ip), want)
			}
		}
	}
}

// ends are the first and the last address of a network.
func ends(p netip.Prefix) [2]netip.Addr {
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(last); i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return [2]netip.Addr{p.Addr(), end}
}

func TestNever(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]bool{
		"127.0.0.1": true, "0.0.0.0": true, "169.254.169.254": true, "168.63.129.16": true, "fd00:ec2::254": true,
		"fe80::1": true, "224.0.0.251": true, "10.0.0.1": false, "8.8.8.8": false, "fd00::1": false,
	} {
		if got := Never(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"::ffff:10.0.0.1": "10.0.0.1", "::10.0.0.1": "10.0.0.1", "::ffff:0:10.0.0.1": "10.0.0.1",
		"64:ff9b::10.0.0.1": "10.0.0.1", "2002:a00:1::": "10.0.0.1", "2001:db8::5efe:10.0.0.1": "10.0.0.1",
		"2001:0:808:808::f5ff:fffe": "8.8.8.8 10.0.0.1", "2606:4700::1": "", "10.0.0.1": "",
	} {
		var got []string
		for _, a := range Embedded(netip.MustParseAddr(ip)) {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", ip, got, want)
		}
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "[fe80::1%eth0]:80": "fe80::1",
	} {
		if got := Of(s); got.String() != want {
			t.Errorf("%s: %s", s, got)
		}
	}
	if Of("@").IsValid() {
		t.Error("a Unix socket has an address")
	}
}

func TestLocal(t *testing.T) {
	t.Parallel()
	own, err := Own()
	if err != nil {
		t.Fatal(err)
	}
	local, err := Local()
	if err != nil {
		t.Fatal(err)
	}
	if len(local) == 0 || len(local) > len(own) {
		t.Errorf("own %v, local %v", own, local)
	}
	for _, ip := range local {
		if ip.IsMulticast() || ip.Is6() && ip.IsLinkLocalUnicast() {
			t.Errorf("%s is no address that a client could name", ip)
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"example.org", "443", "https://example.org"}, {"example.org", "8443", "https://example.org:8443"},
		{"2001:db8::1", "443", "https://[2001:db8::1]"},
	} {
		if got := HTTPSOrigin(c[0], c[1]); got != c[2] {
			t.Errorf("%v: %s", c, got)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !Reaches(l, netip.MustParseAddr("127.0.0.1")) || Reaches(l, netip.MustParseAddr("127.0.0.2")) {
		t.Error("the listener is bound to 127.0.0.1 alone")
	}
}
