package signalbox

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
	"github.com/pion/turn/v4"

	"signalbox/internal/testkit"
)

// directory is an ACME directory, pebble, with an authority of its own. It may be down.
type directory struct {
	url    string
	caFile string
	root   *x509.Certificate // what it issues is verified with
	inner  *x509.Certificate // signs, and is signed by root

	listener net.Listener
	cert     tls.Certificate
	down     atomic.Bool
	// validates gets each request to look for an answer, as a func that lets it go on; nil: they go
	// on by themselves.
	validates chan func()
}

// newDirectory makes a directory that begins to serve with open.
func newDirectory(t testing.TB) *directory {
	t.Helper()
	local, err := newLocalCA(time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := local.sign(time.Now(), []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	d := &directory{caFile: filepath.Join(t.TempDir(), "directory.pem")}
	if d.cert, err = tls.X509KeyPair(text, text); err != nil {
		t.Fatal(err)
	}
	write(t, d.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: local.cert.Raw}))
	if d.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.listener.Close() })
	d.url = "https://" + d.listener.Addr().String() + wfe.DirectoryPath
	return d
}

// open serves. Challenges are looked for at the ports of app; certificates live that long.
func (d *directory) open(t testing.TB, app *App, life time.Duration) {
	t.Helper()
	port := func(l net.Listener) int {
		if l == nil {
			return 1 // nobody
		}
		return l.Addr().(*net.TCPAddr).Port
	}
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0",
		"PEBBLE_AUTHZREUSE": "0"} {
		if err := os.Setenv(name, value); err != nil { // read by New below; the same for every test
			t.Fatal(err)
		}
	}
	quiet, store := stdlog.New(io.Discard, "", 0), db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1,
		map[string]ca.Profile{"only": {ValidityPeriod: uint64(life / time.Second)}})
	d.root, d.inner = authority.GetRootCert(0).Cert, authority.GetIntermediateCert(0).Cert
	validator := va.New(quiet, port(app.edge.web), port(app.edge.webTLS), false, resolver(t), store)
	front := wfe.New(quiet, store, validator, authority, nil, false, false, 1, 1)
	handler := front.Handler()
	srv := &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{d.cert}}, ErrorLog: quiet,
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if d.down.Load() {
				panic(http.ErrAbortHandler)
			}
			if d.validates != nil && strings.HasPrefix(r.URL.Path, challengePath) {
				d.hold(r)
			}
			handler.ServeHTTP(w, r)
		}),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.ServeTLS(d.listener, "", "") //nolint:errcheck // it is closed
	}()
	t.Cleanup(func() {
		srv.Close()
		<-done
	})
}

// challengePath is where pebble is told to look.
const challengePath = "/chalZ/"

// hold waits for what validates got to be called.
func (d *directory) hold(r *http.Request) {
	on := make(chan struct{})
	select {
	case d.validates <- sync.OnceFunc(func() { close(on) }):
	case <-r.Context().Done():
		return
	}
	select {
	case <-on:
	case <-r.Context().Done():
	}
}

// resolver is a DNS server to which every name is this machine.
func resolver(t testing.TB) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			header := dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}
			answer.Answer = []dns.RR{&dns.A{Hdr: header, A: net.IPv4(127, 0, 0, 1)}}
		}
		w.WriteMsg(answer) //nolint:errcheck // the client is gone
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.ActivateAndServe() //nolint:errcheck // it is closed
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// newACMEApp is to get a certificate for host from d. It tries often.
func newACMEApp(t testing.TB, dir string, d *directory, host string, log *logged, set ...string) *App {
	t.Helper()
	app := newAppIn(t, dir, log.logger(), append([]string{
		"tls.mode=acme", "public_host=" + host, "tls.acme_directory=" + d.url, "tls.acme_ca_file=" + d.caFile,
		"public_ip=127.0.0.1",
	}, set...)...)
	s := app.certs.(*acmeCertificate)
	s.every, s.retry = 300*time.Millisecond, 300*time.Millisecond
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	return app
}

// byDirectory tells whether a certificate is from the directory.
func (d *directory) byDirectory(leaf *x509.Certificate, host string) bool {
	return verifies(leaf, d.root, host, d.inner) == nil
}

// The first certificate comes by either challenge, on the ports that serve everything else; whoever
// starts again has it at once.
func TestACMEFirstCertificate(t *testing.T) {
	t.Parallel()
	for challenge, host := range map[string]string{"http-01": "one.example.org", "tls-alpn-01": "Two.example.org"} {
		t.Run(challenge, func(t *testing.T) {
			t.Parallel()
			d, dir := newDirectory(t), t.TempDir()
			var log logged
			app := newACMEApp(t, dir, d, host, &log)
			template := &app.certs.(*acmeCertificate).template
			template.DisableHTTPChallenge, template.DisableTLSALPNChallenge = challenge != "http-01",
				challenge == "http-01"
			if n := log.count("public directories come to port 80 or 443"); n != 1 {
				t.Errorf("the ports are warned of %d times", n)
			}
			handler := app.acmeHTTP(app.redirectToTLS(http.NotFoundHandler()))
			code, _ := fromAbroad(handler, "/")
			status, urls := app.Status().Certificate, app.turnURLs("")
			if code != http.StatusNotFound || len(urls) != 2 || !strings.Contains(status.Problem, "no certificate") {
				t.Errorf("before there is a certificate: http answers %d, ICE servers are %v, the status is %+v", code,
					urls, status)
			}
			d.open(t, app, 90*24*time.Hour)
			stop := runApp(t, app)
			eventually(t, "there is a certificate", func() bool { return d.byDirectory(servedTo(t, app, host), host) })
			for _, name := range []string{"", "elsewhere.example.org"} {
				if !d.byDirectory(servedTo(t, app, name), host) {
					t.Errorf("a client that asks for %q gets another certificate", name)
				}
			}
			eventually(t, "nothing is wrong", func() bool { return app.Status().Certificate.Problem == "" })
			if code, to := fromAbroad(handler, "/call/x"); code != http.StatusTemporaryRedirect ||
				!strings.HasPrefix(to, "https://"+host) {
				t.Errorf("http answers %d, to %s", code, to)
			}
			if code, _ := fromAbroad(handler, acmePrefix+"token"); code != http.StatusNotFound {
				t.Errorf("a challenge is answered with %d", code)
			}
			if urls := app.turnURLs(""); len(urls) != 3 || !strings.HasPrefix(urls[2], "turns:"+host) {
				t.Errorf("ICE servers %v", urls)
			}
			if _, err := tls.Dial("tcp", app.Addrs().WebTLS, &tls.Config{
				ServerName: host, InsecureSkipVerify: true, NextProtos: []string{acmeProtocol},
				RootCAs: x509.NewCertPool(),
			}); err == nil {
				t.Error("there is an answer to a challenge that nobody has ordered")
			}
			first := servedTo(t, app, host)
			stop()

			d.down.Store(true)
			again := newACMEApp(t, dir, d, host, &log)
			runApp(t, again)
			if !servedTo(t, again, host).Equal(first) {
				t.Error("after a restart another certificate is served")
			}
			info, err := os.Stat(filepath.Join(dir, acmeDir))
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

// The directory is down at start, and again when a certificate is due; the box runs on and tries
// again. An allocation over TLS outlives renewals.
func TestACMEOutlastsItsDirectory(t *testing.T) {
	t.Parallel()
	const host = "three.example.org"
	d := newDirectory(t)
	var log logged
	app := newACMEApp(t, t.TempDir(), d, host, &log)
	d.down.Store(true)
	d.open(t, app, 2*time.Hour) // of which so little is left that every look renews it
	runApp(t, app)
	eventually(t, "a failure at start is said",
		func() bool { return log.count("no new certificate from the ACME directory") >= 2 })
	if d.byDirectory(servedTo(t, app, host), host) || app.Status().Certificate.Problem == "" {
		t.Fatalf("what is served is not self-signed: %+v", app.Status().Certificate)
	}

	d.down.Store(false)
	eventually(t, "there is a certificate", func() bool { return d.byDirectory(servedTo(t, app, host), host) })
	first := servedTo(t, app, host)
	call := callOverTLS(t, app)
	eventually(t, "it is renewed", func() bool { return !servedTo(t, app, host).Equal(first) })
	call()

	d.down.Store(true)
	said := log.count("no new certificate from the ACME directory")
	eventually(t, "a failed renewal is said", func() bool {
		return log.count("no new certificate from the ACME directory") >= said+2 &&
			app.Status().Certificate.Problem != ""
	})
	old := servedTo(t, app, host)
	if !d.byDirectory(old, host) {
		t.Error("the old certificate is not served on")
	}
	d.down.Store(false)
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
		"":                                      "public_host: tls.mode \"acme\" needs the name",
		"public_host=192.0.2.1":                 "public_host: tls.mode \"acme\" needs the name",
		"public_host=a.example.org":             "",
		"public_host=a.example.org web.listen=": "",
		"public_host=a.example.org web.listen= web.tls_listen=":        "web.listen, web.tls_listen: ",
		"public_host=a.example.org tls.acme_directory=http://a/b":      "tls.acme_directory: ",
		"public_host=a.example.org tls.acme_email=me":                  "tls.acme_email: ",
		"public_host=a.example.org tls.acme_email=me@example.org":      "",
		"public_host=a.example.org tls.acme_directory=https://ca/acme": "",
	} {
		_, err := Load(LoadOptions{Set: append(strings.Fields(set), "tls.mode=acme")})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
	for listen, want := range map[[2]string][2]bool{
		{":80", ":443"}: {true, true}, {":8080", ":443"}: {false, true}, {"", "192.0.2.1:443"}: {false, true},
		{":80", ":8443"}:   {true, false},
		{":8080", ":8443"}: {true, true}, {"", ":8443"}: {false, true},
	} {
		var c Config
		c.Web.Listen, c.Web.TLSListen = listen[0], listen[1]
		viaHTTP, viaALPN, note := c.acmeChallenges()
		fits := strings.HasSuffix(listen[0], ":80") || strings.HasSuffix(listen[1], ":443")
		if viaHTTP != want[0] || viaALPN != want[1] || (note == "") != fits {
			t.Errorf("%v: HTTP-01 %t, TLS-ALPN-01 %t, %q", listen, viaHTTP, viaALPN, note)
		}
	}
}

// Whoever reloads may have mended what an hour's wait is for.
func TestAReloadAsksTheDirectoryAtOnce(t *testing.T) {
	t.Parallel()
	const host = "six.example.org"
	d := newDirectory(t)
	var log logged
	app := newACMEApp(t, t.TempDir(), d, host, &log)
	s := app.certs.(*acmeCertificate)
	s.every, s.retry = time.Hour, time.Hour
	d.down.Store(true)
	d.open(t, app, 90*24*time.Hour)
	runApp(t, app)
	eventually(t, "the directory is down", func() bool { return log.count("no new certificate from the ACME directory") == 1 })
	d.down.Store(false)
	if _, err := app.Reload(app.cfg); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is a certificate", func() bool { return d.byDirectory(servedTo(t, app, host), host) })
}

// kept is where certmagic keeps the certificate and the key of host.
func kept(t testing.TB, dir, host string) certFiles {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, acmeDir, "certificates", "*", host, host+".crt"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v are kept: %v", found, err)
	}
	return certFiles{found[0], strings.TrimSuffix(found[0], ".crt") + ".key"}
}

// firstCertificate has an appliance get one from d, and stops it. It returns the settings with
// which another listens where d looks.
func firstCertificate(t testing.TB, dir string, d *directory, host string) (set []string) {
	t.Helper()
	var log logged
	set = []string{"web.listen=" + testkit.FreeAddr(t), "web.tls_listen=" + testkit.FreeAddr(t)}
	app := newACMEApp(t, dir, d, host, &log, set...)
	d.open(t, app, 90*24*time.Hour)
	stop := runApp(t, app)
	eventually(t, "there is a certificate", func() bool { return d.byDirectory(servedTo(t, app, host), host) })
	stop()
	return set
}

// Power fails between the writes of a new key and of its certificate.
func TestATornPairIsOrderedAnew(t *testing.T) {
	t.Parallel()
	const host = "eight.example.org"
	d, dir := newDirectory(t), t.TempDir()
	set := firstCertificate(t, dir, d, host)
	_, otherKey := pair(t, host, time.Now())
	write(t, kept(t, dir, host).key, otherKey)

	var log logged
	app := newACMEApp(t, dir, d, host, &log, set...)
	runApp(t, app)
	eventually(t, "there is a certificate again", func() bool { return d.byDirectory(servedTo(t, app, host), host) })
	eventually(t, "nothing is wrong any more", func() bool { return app.Status().Certificate.Problem == "" })
	if n := log.count("is deleted and another is ordered"); n != 1 {
		t.Errorf("the log says so %d times", n)
	}
}

// What can't be read just now is not deleted.
func TestAnUnreadablePairIsKept(t *testing.T) {
	t.Parallel()
	const host = "nine.example.org"
	d, dir := newDirectory(t), t.TempDir()
	set := firstCertificate(t, dir, d, host)
	f := kept(t, dir, host)
	if err := os.Remove(f.key); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(f.key, 0o700); err != nil { // not even root can read it
		t.Fatal(err)
	}
	var log logged
	app := newACMEApp(t, dir, d, host, &log, set...)
	if err := app.certs.(*acmeCertificate).dropTornPair(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := app.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.cert); err != nil {
		t.Error(err)
	}
}

// While the directory is down the expired certificate is served, and nobody is sent to it; then it
// is renewed.
func TestACMERestartsWithAnExpiredCertificate(t *testing.T) {
	t.Parallel()
	const host = "ten.example.org"
	d, dir := newDirectory(t), t.TempDir()
	set := firstCertificate(t, dir, d, host)
	expired, key := pair(t, host, time.Now().Add(-2*selfSignedLife))
	f := kept(t, dir, host)
	write(t, f.cert, expired)
	write(t, f.key, key)
	d.down.Store(true)

	var log logged
	app := newACMEApp(t, dir, d, host, &log, set...)
	if s := app.Status().Certificate; !strings.Contains(s.Problem, "it expired on") {
		t.Errorf("status %+v", s)
	}
	runApp(t, app)
	eventually(t, "a failure is said", func() bool { return log.count("no new certificate from the ACME directory") > 0 })
	block, _ := pem.Decode(expired)
	if !bytes.Equal(servedTo(t, app, host).Raw, block.Bytes) {
		t.Error("another certificate is served than the one that is kept")
	}
	if urls := app.turnURLs(""); len(urls) != 2 || app.Status().Certificate.Problem == "" {
		t.Errorf("ICE servers %v, status %+v", urls, app.Status().Certificate)
	}
	d.down.Store(false)
	eventually(t, "it is renewed", func() bool { return d.byDirectory(servedTo(t, app, host), host) })
	if urls := app.turnURLs(""); len(urls) != 3 {
		t.Errorf("ICE servers %v", urls)
	}
}

// challenge asks the web port for an answer to HTTP-01.
func challenge(t testing.TB, app *App, method, host, path string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+app.Addrs().Web+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := insecure().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// While an order is under way, the one token of the one name is answered.
func TestOnlyTheChallengeOfTheOrderIsAnswered(t *testing.T) {
	t.Parallel()
	const host = "eleven.example.org"
	d := newDirectory(t)
	var log logged
	app := newACMEApp(t, t.TempDir(), d, host, &log)
	app.certs.(*acmeCertificate).template.DisableTLSALPNChallenge = true
	d.validates = make(chan func()) // the test lets it go on
	d.open(t, app, 90*24*time.Hour)
	runApp(t, app)
	var goOn func()
	select {
	case goOn = <-d.validates:
	case <-time.After(patience):
		t.Fatal("the directory is not asked to look")
	}
	order, ok := certmagic.GetACMEChallenge(host)
	if !ok {
		t.Fatal("there is no challenge")
	}
	path := order.HTTP01ResourcePath()
	for name, c := range map[string]struct {
		method, host, path string
		want               int
	}{
		"the directory's":  {http.MethodGet, host, path, http.StatusOK},
		"with a port":      {http.MethodGet, "Eleven.example.org:80", path, http.StatusOK},
		"another token":    {http.MethodGet, host, acmePrefix + "i-made-this-up", http.StatusNotFound},
		"another host":     {http.MethodGet, "evil.example.com", path, http.StatusNotFound},
		"both":             {http.MethodGet, "evil.example.com", acmePrefix + "i-made-this-up", http.StatusNotFound},
		"another method":   {http.MethodPost, host, path, http.StatusNotFound},
		"below the answer": {http.MethodGet, host, path + "/x", http.StatusNotFound},
	} {
		code, body := challenge(t, app, c.method, c.host, c.path)
		if code != c.want || (body == order.KeyAuthorization) != (c.want == http.StatusOK) {
			t.Errorf("%s: %d %q, want %d", name, code, body, c.want)
		}
	}
	goOn()
	eventually(t, "there is a certificate", func() bool { return d.byDirectory(servedTo(t, app, host), host) })
	if code, body := challenge(t, app, http.MethodGet, host, path); code != http.StatusNotFound {
		t.Errorf("after the order: %d %q", code, body)
	}
}

// A directory that says nothing holds nobody up who wants to stop.
func TestASilentDirectoryHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	var log logged
	app := newACMEApp(t, t.TempDir(), d, "seven.example.org", &log)
	stop := runApp(t, app)
	conn, err := d.listener.Accept() // and not a word
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if own := app.certs.(*acmeCertificate).own.inForce(); !servedTo(t, app, "seven.example.org").Equal(own.pair.Leaf) {
		t.Error("meanwhile another certificate is served than the self-signed one")
	}
	if code, body := challenge(t, app, http.MethodGet, "seven.example.org", acmePrefix+
		"i-made-this-up"); code != http.StatusNotFound {
		t.Errorf("a challenge that nobody has made is answered: %d %q", code, body)
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it takes %v to stop", took)
	}
}
