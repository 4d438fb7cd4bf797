package app

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/internal/cert"
	"signalbox/internal/config"
	"signalbox/internal/site"
	"signalbox/internal/testkit"
	"signalbox/internal/testkit/acmetest"

	"github.com/pion/turn/v4"
)

// newACMEApp is to get a certificate for host from d. It tries when it starts, and with a reload.
func newACMEApp(t testing.TB, dir string, d *acmetest.Directory, host string, log *testkit.Log, set ...string) *App {
	t.Helper()
	app := newAppIn(t, dir, log.Logger(), append([]string{
		"tls.mode=acme", "public_host=" + host, "tls.acme_directory=" + d.URL, "tls.acme_ca_file=" + d.CAFile,
		"public_ip=127.0.0.1",
	}, set...)...)
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	return app
}

// The first certificate comes by either challenge, on the ports that serve everything else; after a
// restart the box has it at once.
func TestACMEFirstCertificate(t *testing.T) {
	t.Parallel()
	for challenge, host := range map[string]string{"http-01": "one.example.org", "tls-alpn-01": "Two.example.org"} {
		t.Run(challenge, func(t *testing.T) {
			t.Parallel()
			d, dir := acmetest.New(t), t.TempDir()
			var log testkit.Log
			app := newACMEApp(t, dir, d, host, &log)
			if n := log.Count("public directories come to port 80 or 443"); n != 1 {
				t.Errorf("the ports are warned of %d times", n)
			}
			handler := site.New(app.siteOptions()).Plain()
			code, _ := fromAbroad(handler, "/nothing")
			status, urls := app.Status().Certificate, iceURLs(app, "")[1:]
			if code != http.StatusNotFound || len(urls) != 2 || !strings.Contains(status.Problem, "no certificate") {
				t.Errorf("before there is a certificate: http answers %d, ICE servers are %v, the status is %+v", code,
					urls, status)
			}
			web, webTLS := app.edge.Web(), app.edge.WebTLS()
			if challenge == "http-01" { // the directory finds nobody elsewhere
				webTLS = nil
			} else {
				web = nil
			}
			d.Open(t, web, webTLS, 90*24*time.Hour)
			stop := runApp(t, app)
			eventually(t, "there is a certificate", func() bool { return d.Issued(servedTo(t, app, host), host) })
			for _, name := range []string{"", "elsewhere.example.org"} {
				if !d.Issued(servedTo(t, app, name), host) {
					t.Errorf("a client that asks for %q gets another certificate", name)
				}
			}
			eventually(t, "nothing is wrong", func() bool { return app.Status().Certificate.Problem == "" })
			if code, to := fromAbroad(handler, "/call/x"); code != http.StatusTemporaryRedirect ||
				!strings.HasPrefix(to, "https://"+host) {
				t.Errorf("http answers %d, to %s", code, to)
			}
			if code, _ := fromAbroad(handler, cert.ChallengePath+"token"); code != http.StatusNotFound {
				t.Errorf("a challenge is answered with %d", code)
			}
			if urls := iceURLs(app, "")[1:]; len(urls) != 3 || !strings.HasPrefix(urls[2], "turns:"+host) {
				t.Errorf("ICE servers %v", urls)
			}
			if _, err := tls.Dial("tcp", app.Addrs().WebTLS, &tls.Config{
				ServerName: host, InsecureSkipVerify: true, NextProtos: []string{cert.ALPNChallenge},
				RootCAs: x509.NewCertPool(),
			}); err == nil {
				t.Error("there is an answer to a challenge that nobody has ordered")
			}
			first := servedTo(t, app, host)
			stop()

			d.Down.Store(true)
			again := newACMEApp(t, dir, d, host, &log)
			runApp(t, again)
			if !servedTo(t, again, host).Equal(first) {
				t.Error("after a restart another certificate is served")
			}
			info, err := os.Stat(filepath.Join(dir, "acme"))
			if err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("where it is kept: %v, %v", info.Mode(), err)
			}
		})
	}
}

// fromAbroad asks a handler for a path as somebody from elsewhere.
func fromAbroad(handler http.Handler, path string) (code int, location string) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = "192.0.2.1:5"
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code, w.Header().Get("Location")
}

// The directory is down at start, and again when a certificate is due; the box runs on. An
// allocation over TLS outlives renewals.
func TestACallOutlastsTheACMEDirectory(t *testing.T) {
	t.Parallel()
	const host, said = "twelve.example.org", "no new certificate from the ACME directory"
	d := acmetest.New(t)
	var log testkit.Log
	app := newACMEApp(t, t.TempDir(), d, host, &log)
	ask := func() {
		t.Helper()
		if _, err := app.Reload(app.cfg, true); err != nil {
			t.Fatal(err)
		}
	}
	d.Down.Store(true)
	d.Open(t, app.edge.Web(), app.edge.WebTLS(), 2*time.Hour) // of which so little is left that every look renews it
	runApp(t, app)
	eventually(t, "a failure at start is said", func() bool { return log.Count(said) >= 1 })
	ask()
	eventually(t, "another failure is said", func() bool { return log.Count(said) >= 2 })
	if d.Issued(servedTo(t, app, host), host) || app.Status().Certificate.Problem == "" {
		t.Fatalf("what is served is not self-signed: %+v", app.Status().Certificate)
	}

	d.Down.Store(false)
	ask()
	eventually(t, "there is a certificate", func() bool { return d.Issued(servedTo(t, app, host), host) })
	first := servedTo(t, app, host)
	call := callOverTLS(t, app)
	ask()
	eventually(t, "it is renewed", func() bool { return !servedTo(t, app, host).Equal(first) })
	call()

	d.Down.Store(true)
	before := log.Count(said)
	ask()
	eventually(t, "a failed renewal is said",
		func() bool { return log.Count(said) > before && app.Status().Certificate.Problem != "" })
	old := servedTo(t, app, host)
	if !d.Issued(old, host) {
		t.Error("the old certificate is not served on")
	}
	d.Down.Store(false)
	ask()
	eventually(t, "it is renewed once more", func() bool { return !servedTo(t, app, host).Equal(old) })
	eventually(t, "nothing is wrong any more", func() bool { return app.Status().Certificate.Problem == "" })
	call()
}

// callOverTLS makes an allocation over TLS. What it returns sends something through it.
func callOverTLS(t testing.TB, app *App) func() {
	t.Helper()
	conn := dialTLS(t, app.Addrs().WebTLS, nil)
	if err := conn.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	client, err := turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: app.Addrs().WebTLS, Username: "u", Password: "p", Realm: "signalbox",
		Conn: turn.NewSTUNConn(conn),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := client.Listen(); err != nil {
		t.Fatal(err)
	}
	relay, err := client.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return func() {
		t.Helper()
		text := []byte(rand.Text())
		if _, err := relay.WriteTo(text, peer.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 100)
		if err := peer.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if n, _, err := peer.ReadFrom(got); err != nil || !bytes.Equal(got[:n], text) {
			t.Fatalf("the allocation is lost: %q, %v", got[:n], err)
		}
	}
}

func TestACMEConfigurations(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"":                                      "public_host (--set): tls.mode \"acme\" needs the name",
		"public_host=192.0.2.1":                 "public_host (--set): tls.mode \"acme\" needs the name",
		"public_host=a.example.org":             "",
		"public_host=a.example.org web.listen=": "",
		"public_host=a.example.org web.listen= web.tls_listen=":        "web.listen, web.tls_listen (--set): ",
		"public_host=a.example.org tls.acme_directory=http://a/b":      "tls.acme_directory (--set): ",
		"public_host=a.example.org tls.acme_email=me":                  "tls.acme_email (--set): ",
		"public_host=a.example.org tls.acme_email=me@example.org":      "",
		"public_host=a.example.org tls.acme_directory=https://ca/acme": "",
	} {
		_, err := load(config.LoadOptions{Set: append(strings.Fields(set), "tls.mode=acme")})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
	c, err := load(config.LoadOptions{Set: []string{"web.listen=:80", "web.tls_listen=:8443"}})
	if err != nil {
		t.Fatal(err)
	}
	o := certOptions(&c, nil) // TestACMEChallengesGoByPorts has the other cases
	if viaHTTP, viaALPN, unlikely := o.ACME.Challenges(); !viaHTTP || viaALPN || unlikely != nil {
		t.Errorf("HTTP-01 %t, TLS-ALPN-01 %t, %v", viaHTTP, viaALPN, unlikely)
	}
}
