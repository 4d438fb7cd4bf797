package signalbox

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestClientsOfTrustedProxies(t *testing.T) {
	t.Parallel()
	app := newApp(t, `web.trusted_proxies=["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"]`)
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
		app.fromClient(http.HandlerFunc(func(_ http.ResponseWriter,
			r *http.Request) {
			got = r.RemoteAddr
		})).ServeHTTP(nil, r)
		if got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
		if r.RemoteAddr != tc.from {
			t.Errorf("%s: the request itself was changed", name)
		}
	}
}

// Limits count the clients behind a trusted proxy one by one, and those who only claim to be behind
// one by their own address.
func TestLimitsSeeThroughTrustedProxies(t *testing.T) {
	t.Parallel()
	for trusted, want := range map[string]int{"127.0.0.1": http.StatusOK, "192.0.2.1": http.StatusTooManyRequests} {
		app := startApp(t, "web.trusted_proxies="+trusted)
		var last int
		for i := 0; i < 2*iceBurst || last != want && i < 10*iceBurst; i++ { // some more are let through meanwhile
			last, _, _ = get(t, insecure(), "http://"+app.Addrs().Web+"/api/ice", "X-Forwarded-For",
				fmt.Sprintf("198.51.100.%d", i%250))
		}
		if last != want {
			t.Errorf("trusting %s: %d, want %d", trusted, last, want)
		}
	}
}

func TestTrustedProxiesAreNotRedirected(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeCertificate(t, dir+"/both.pem", "call.example.org")
	app := startApp(t, "tls.mode=files", "tls.cert="+dir+"/both.pem", "tls.key="+dir+"/both.pem",
		"web.trusted_proxies=10.0.0.0/8")
	handler := app.redirectToTLS(app.fromClient(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		w.Header().Set("From", r.RemoteAddr)
	})))
	for from, want := range map[string]int{"10.0.0.1:5": http.StatusOK, "192.0.2.1:5": http.StatusTemporaryRedirect} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = from
		r.Header.Set("X-Forwarded-For", "10.0.0.7, 198.51.100.7")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != want || want == http.StatusOK && w.Header().Get("From") != "198.51.100.7:0" {
			t.Errorf("from %s: %d, as %q", from, w.Code, w.Header().Get("From"))
		}
	}
}

// Whatever strangers write, they don't speak for a proxy.
func FuzzForwardedFor(f *testing.F) {
	app := newApp(f, `web.trusted_proxies=["127.0.0.1", "10.0.0.0/8"]`)
	proxy := netip.MustParseAddr("127.0.0.1")
	f.Add("192.0.2.1, 10.0.0.1", "")
	f.Add("[2001:db8::1]:80", ",,10.0.0.1")
	f.Add("fe80::1%eth0", "::ffff:10.0.0.1, unknown")
	f.Fuzz(func(t *testing.T, first, second string) {
		client := app.forwardedFor(proxy, []string{first, second})
		if !client.IsValid() || client.Is4In6() || client.Zone() != "" {
			t.Errorf("%q", client)
		}
		if stranger := netip.MustParseAddr("192.0.2.66"); app.forwardedFor(stranger,
			[]string{first, second}) != stranger {
			t.Error("a stranger's header is believed")
		}
		// A proxy's own word is the last one, whatever stands before it.
		if got := app.forwardedFor(proxy, []string{first, second,
			"198.51.100.7"}); got != netip.MustParseAddr("198.51.100.7") {
			t.Errorf("%s instead of what the proxy has seen", got)
		}
	})
}

// Others come through the proxy: the welcome names its address, and no port that only this machine
// reaches.
func TestWelcomeBehindAReverseProxy(t *testing.T) {
	t.Parallel()
	for _, tls := range []string{"web.tls_listen=", "web.tls_listen=127.0.0.1:0"} {
		app := startApp(t, "public_host=call.example.org", "public_ip=198.51.100.7", tls,
			"web.trusted_proxies=127.0.0.1")
		var welcome strings.Builder
		if err := app.Welcome(&welcome); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"https://call.example.org/call/ROOM ", "https://call.example.org/check ",
			"https://call.example.org/admin#code="} {
			if !strings.Contains(welcome.String(), want) {
				t.Errorf("the welcome lacks %s:\n%s", want, &welcome)
			}
		}
		if web := portOf(app.edge.web.Addr()) + "/tcp"; strings.Contains(welcome.String(), web) ||
			strings.Contains(welcome.String(), "Trust") {
			t.Errorf("the welcome names %s, which is on loopback, or a certificate that no client sees:\n%s", web,
				&welcome)
		}
	}
}
