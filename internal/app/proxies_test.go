package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"signalbox/internal/netaddr"
	"signalbox/internal/site"
)

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

// sourceEcho stands for the hub: it says where a request has come from.
type sourceEcho struct{ site.Hub }

func (sourceEcho) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("From", r.RemoteAddr)
}

func TestTrustedProxiesAreNotRedirected(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeCertificate(t, dir+"/both.pem", "call.example.org")
	app := startApp(t, "tls.mode=files", "tls.cert="+dir+"/both.pem", "tls.key="+dir+"/both.pem",
		"web.trusted_proxies=10.0.0.0/8")
	o := app.siteOptions()
	o.Hub = sourceEcho{}
	handler := site.New(o).Plain()
	for from, want := range map[string]int{"10.0.0.1:5": http.StatusOK, "192.0.2.1:5": http.StatusTemporaryRedirect} {
		r := httptest.NewRequest(http.MethodGet, "/signal", nil)
		r.RemoteAddr = from
		r.Header.Set("X-Forwarded-For", "10.0.0.7, 198.51.100.7")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != want || want == http.StatusOK && w.Header().Get("From") != "198.51.100.7:0" {
			t.Errorf("from %s: %d, as %q", from, w.Code, w.Header().Get("From"))
		}
	}
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
		if web := netaddr.Port(app.edge.Web().Addr()) + "/tcp"; strings.Contains(welcome.String(), web) ||
			strings.Contains(welcome.String(), "Trust") {
			t.Errorf("the welcome names %s, which is on loopback, or a certificate that no client sees:\n%s", web,
				&welcome)
		}
	}
}
