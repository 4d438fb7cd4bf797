package coturn

import (
	"net/netip"
	"strings"
	"testing"
)

func TestRanges(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		deny  string
		allow []string
		want  string
	}{
		{"10.0.0.0-10.255.255.255", nil, "10.0.0.0/8"},
		{"10.0.0.0/8", []string{"10.0.0.0/9"}, "10.128.0.0/9"},
		{"10.0.0.1-10.0.0.6", nil, "10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32"},
		{"10.0.0.0-10.0.0.3", []string{"10.0.0.1"}, "10.0.0.0/32 10.0.0.2/31"},
		{"10.0.0.0-10.0.0.3", []string{"10.0.0.3", "10.0.0.0-10.0.0.1"}, "10.0.0.2/32"},
		{"10.0.0.0-10.0.0.3", []string{"9.0.0.0-11.0.0.0", "::1"}, ""},
		{"0.0.0.0-255.255.255.255", nil, "0.0.0.0/0"},
		{"fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil, "fc00::/7"},
		{"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", []string{"10.0.0.1"}, "::/0"},
	} {
		s, err := parseSpan(test.deny)
		if err != nil {
			t.Fatal(err)
		}
		var allow []span
		for _, text := range test.allow {
			a, err := parseSpan(text)
			if err != nil {
				t.Fatal(err)
			}
			allow = append(allow, a)
		}
		var got []string
		for _, left := range s.without(allow) {
			for _, network := range left.networks() {
				got = append(got, network.String())
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s without %v is %v, want %s", test.deny, test.allow, got, test.want)
		}
	}
	for _, bad := range []string{"", "x", "10.0.0.2-10.0.0.1", "10.0.0.1-::1", "10.0.0.0/33"} {
		if _, err := parseSpan(bad); err == nil {
			t.Errorf("%q is a range", bad)
		}
	}
}

func FuzzRanges(f *testing.F) {
	f.Add("10.0.0.1-10.0.0.6", "10.0.0.3")
	f.Add("fc00::/7", "fd00::1")
	f.Fuzz(func(t *testing.T, all, hole string) {
		s, err := parseSpan(all)
		h, err2 := parseSpan(hole)
		if err != nil || err2 != nil || s.first.Zone() != "" || h.first.Zone() != "" {
			return
		}
		holds := func(ip netip.Addr) (in bool) {
			for _, left := range s.without([]span{h}) {
				for _, network := range left.networks() {
					in = in || network.Contains(ip)
				}
			}
			return in
		}
		for _, ip := range []netip.Addr{s.first, s.last, h.first, h.last, h.first.Prev(), h.last.Next()} {
			in := func(x span) bool {
				return ip.Is4() == x.first.Is4() && !ip.Less(x.first) && !x.last.Less(ip)
			}
			if ip.IsValid() && holds(ip) != (in(s) && !in(h)) {
				t.Errorf("%v in %s without %s: %t", ip, all, hole, holds(ip))
			}
		}
	})
}
