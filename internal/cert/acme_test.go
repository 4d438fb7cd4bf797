package cert

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/internal/state"
	"signalbox/internal/testkit"
	"signalbox/internal/testkit/acmetest"

	"github.com/caddyserver/certmagic"
	acmeclient "github.com/mholt/acmez/v3/acme"
)

// said is what the log says when there is no new certificate.
const said = "no new certificate from the ACME directory"

// openACMEBox opens a box that is to get a certificate for host from d. It tries often.
func openACMEBox(t testing.TB, dir *state.Dir, d *acmetest.Directory, host string, log *testkit.Log,
	at ...string) (*box, *acme) {
	t.Helper()
	b := openBox(t, Options{
		Mode: ACME, Host: host, State: dir, Log: log.Logger(),
		Names: func() []string { return []string{"localhost", host} },
		ACME:  ACMEOptions{Directory: d.URL, CAFile: d.CAFile},
	}, at...)
	source := b.source.(*acme)
	source.every, source.retry = 300*time.Millisecond, 300*time.Millisecond
	source.refused = 300 * time.Millisecond // and a validation that takes a busy machine too long is one
	return b, source
}

// certified reports whether a box serves a certificate for host that d has issued.
func (b *box) certified(t testing.TB, d *acmetest.Directory, host string) bool {
	t.Helper()
	return d.Issued(b.servedTo(t, host), host)
}

// The directory is down at start, and again when a certificate is due; the box runs on and tries
// again. What was opened outlives renewals.
func TestACMEOutlastsItsDirectory(t *testing.T) {
	t.Parallel()
	const host = "three.example.org"
	d := acmetest.New(t)
	var log testkit.Log
	b, _ := openACMEBox(t, newState(t), d, host, &log)
	d.Down.Store(true)
	d.Open(t, b.web, b.webTLS, 2*time.Hour) // of which so little is left that every look renews it
	b.run(t)
	eventually(t, "a failure at start is said", func() bool { return log.Count(said) >= 2 })
	if b.certified(t, d, host) || b.Status().Problem == "" {
		t.Fatalf("what is served is not self-signed: %+v", b.Status())
	}

	d.Down.Store(false)
	eventually(t, "there is a certificate", func() bool { return b.certified(t, d, host) })
	first := b.servedTo(t, host)
	echo := b.open(t)
	eventually(t, "it is renewed", func() bool { return !b.servedTo(t, host).Equal(first) })
	echo()

	d.Down.Store(true)
	before := log.Count(said)
	eventually(t, "a failed renewal is said", func() bool {
		return log.Count(said) >= before+2 && b.Status().Problem != ""
	})
	old := b.servedTo(t, host)
	if !d.Issued(old, host) {
		t.Error("the old certificate is not served on")
	}
	d.Down.Store(false)
	eventually(t, "it is renewed once more", func() bool { return !b.servedTo(t, host).Equal(old) })
	eventually(t, "nothing is wrong any more", func() bool { return b.Status().Problem == "" })
	echo()
}

// While somebody debugs DNS, the directory is not asked, so that its allowance of failures is there
// when the name leads here.
func TestACMELooksAtDNSFirst(t *testing.T) {
	t.Parallel()
	const host = "late.example.org"
	d := acmetest.New(t)
	var log testkit.Log
	b, s := openACMEBox(t, newState(t), d, host, &log)
	var leads atomic.Bool
	s.lookup = func(context.Context, string) error {
		if leads.Load() {
			return nil
		}
		return errLeadsNowhere
	}
	d.Validates = make(chan func(), 100)
	d.Open(t, b.web, b.webTLS, 90*24*time.Hour)
	b.run(t)
	eventually(t, "two looks are said", func() bool { return log.Count(said) >= 2 })
	if len(d.Validates) > 0 {
		t.Error("the directory has been asked")
	}
	if st := b.Status(); !st.StandIn || !strings.Contains(st.Problem, "DNS knows no address") {
		t.Errorf("the status is %+v", st)
	}
	leads.Store(true)
	eventually(t, "there is a certificate", func() bool {
		select {
		case on := <-d.Validates:
			on()
		default:
		}
		return b.certified(t, d, host)
	})
	eventually(t, "nothing is wrong any more", func() bool { return b.Status().Problem == "" && !b.Status().StandIn })
}

// Let's Encrypt allows five failures of a name an hour, and an attempt may have two.
func TestACMERefusalsAreRationed(t *testing.T) {
	t.Parallel()
	s := &acme{every: acmeInterval, retry: acmeRetry, refused: acmeRefused}
	refused := fmt.Errorf("order: %w", acmeclient.Problem{Type: "urn:ietf:params:acme:error:unauthorized"})
	var at time.Duration
	attempts := 0
	for ; at < time.Hour; attempts++ {
		at += s.wait(refused, attempts)
	}
	if attempts > 3 {
		t.Errorf("%d attempts in the first hour", attempts)
	}
	for before := range 100 {
		if got := s.wait(errLeadsNowhere, before); got != acmeRetry {
			t.Errorf("after %d looks at DNS the next is in %s", before, got)
		}
		if got := s.wait(io.EOF, before); got < acmeRetry || got > acmeInterval {
			t.Errorf("after %d failures the next attempt is in %s", before, got)
		}
	}
}

// open opens a connection. What it returns sends something there and back.
func (b *box) open(t testing.TB) (echo func()) {
	t.Helper()
	conn, err := tls.Dial("tcp", b.webTLS.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return func() {
		t.Helper()
		text := []byte(rand.Text())
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(text); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("the connection is lost: %q, %v", got, err)
		}
	}
}

func TestACMEChallengesGoByPorts(t *testing.T) {
	t.Parallel()
	for listen, want := range map[[2]string][2]bool{
		{"[::]:80", "[::]:443"}: {true, true}, {"[::]:8080", "[::]:443"}: {false, true},
		{"", "192.0.2.1:443"}: {false, true}, {"[::]:80", "[::]:8443"}: {true, false},
		{"[::]:8080", "[::]:8443"}: {true, true}, {"", "[::]:8443"}: {false, true},
	} {
		var o ACMEOptions
		for i, at := range []*netip.AddrPort{&o.HTTP, &o.TLS} {
			if listen[i] != "" {
				*at = netip.MustParseAddrPort(listen[i])
			}
		}
		viaHTTP, viaALPN, unlikely := o.Challenges()
		fits := strings.HasSuffix(listen[0], ":80") || strings.HasSuffix(listen[1], ":443")
		if viaHTTP != want[0] || viaALPN != want[1] || (unlikely == nil) != fits {
			t.Errorf("%v: HTTP-01 %t, TLS-ALPN-01 %t, %v", listen, viaHTTP, viaALPN, unlikely)
		}
	}
}

// A reload tries again at once: the operator may have fixed what the hour's wait is for.
func TestAReloadAsksTheDirectoryAtOnce(t *testing.T) {
	t.Parallel()
	const host = "six.example.org"
	d := acmetest.New(t)
	var log testkit.Log
	b, s := openACMEBox(t, newState(t), d, host, &log)
	s.every, s.retry = time.Hour, time.Hour
	d.Down.Store(true)
	d.Open(t, b.web, b.webTLS, 90*24*time.Hour)
	b.run(t)
	eventually(t, "the directory is down", func() bool { return log.Count(said) == 1 })
	d.Down.Store(false)
	commit, err := b.Prepare([2]string{})
	if err != nil {
		t.Fatal(err)
	}
	commit()
	eventually(t, "there is a certificate", func() bool { return b.certified(t, d, host) })
}

// kept is where certmagic keeps the certificate and the key of host.
func kept(t testing.TB, dir *state.Dir, host string) testkit.CertFiles {
	t.Helper()
	found, err := filepath.Glob(dir.Path(acmeDir, "certificates", "*", host, host+".crt"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v are kept: %v", found, err)
	}
	return testkit.CertFiles{Cert: found[0], Key: strings.TrimSuffix(found[0], ".crt") + ".key"}
}

// firstCertificate has a box get one from d, and stops it. It returns the addresses at which
// another listens where d looks.
func firstCertificate(t testing.TB, dir *state.Dir, d *acmetest.Directory, host string) (at []string) {
	t.Helper()
	var log testkit.Log
	at = []string{testkit.FreeAddr(t), testkit.FreeAddr(t)}
	b, _ := openACMEBox(t, dir, d, host, &log, at...)
	d.Open(t, b.web, b.webTLS, 90*24*time.Hour)
	stop := b.run(t)
	eventually(t, "there is a certificate", func() bool { return b.certified(t, d, host) })
	stop()
	return at
}

// Power fails between the writes of a new key and of its certificate.
func TestATornPairIsOrderedAnew(t *testing.T) {
	t.Parallel()
	const host = "eight.example.org"
	d, dir := acmetest.New(t), newState(t)
	at := firstCertificate(t, dir, d, host)
	_, otherKey := testkit.Pair(t, host, time.Now())
	testkit.WriteFile(t, kept(t, dir, host).Key, otherKey)

	var log testkit.Log
	b, _ := openACMEBox(t, dir, d, host, &log, at...)
	b.run(t)
	eventually(t, "there is a certificate again", func() bool { return b.certified(t, d, host) })
	eventually(t, "nothing is wrong any more", func() bool { return b.Status().Problem == "" })
	if n := log.Count("deleting the kept certificate and ordering another"); n != 1 {
		t.Errorf("the log says so %d times", n)
	}
}

// What can't be read just now is not deleted.
func TestAnUnreadablePairIsKept(t *testing.T) {
	t.Parallel()
	const host = "nine.example.org"
	d, dir := acmetest.New(t), newState(t)
	at := firstCertificate(t, dir, d, host)
	f := kept(t, dir, host)
	if err := os.Remove(f.Key); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(f.Key, 0o700); err != nil { // not even root can read it
		t.Fatal(err)
	}
	var log testkit.Log
	_, s := openACMEBox(t, dir, d, host, &log, at...)
	if err := s.dropTornPair(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.Cert); err != nil {
		t.Error(err)
	}
}

// While the directory is down the expired certificate is served, and nobody is sent to it; then it
// is renewed.
func TestACMERestartsWithAnExpiredCertificate(t *testing.T) {
	t.Parallel()
	const host = "ten.example.org"
	d, dir := acmetest.New(t), newState(t)
	at := firstCertificate(t, dir, d, host)
	expired, key := testkit.Pair(t, host, time.Now().Add(-2*testkit.SelfSignedLife))
	f := kept(t, dir, host)
	testkit.WriteFile(t, f.Cert, expired)
	testkit.WriteFile(t, f.Key, key)
	d.Down.Store(true)

	var log testkit.Log
	b, _ := openACMEBox(t, dir, d, host, &log, at...)
	if s := b.Status(); !strings.Contains(s.Problem, "it expired on") {
		t.Errorf("status %+v", s)
	}
	b.run(t)
	eventually(t, "a failure is said", func() bool { return log.Count(said) > 0 })
	block, _ := pem.Decode(expired)
	if !bytes.Equal(b.servedTo(t, host).Raw, block.Bytes) {
		t.Error("another certificate is served than the one that is kept")
	}
	if b.Covers(host) || b.Usable() || b.Status().Problem == "" {
		t.Errorf("clients are sent to it: %t, it is usable: %t, status %+v", b.Covers(host), b.Usable(), b.Status())
	}
	d.Down.Store(false)
	eventually(t, "it is renewed", func() bool { return b.certified(t, d, host) })
	if !b.Covers(host) {
		t.Error("nobody is sent to the renewed one")
	}
}

// challenge asks the plain port for an answer to HTTP-01.
func (b *box) challenge(t testing.TB, method, host, path string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+b.web.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
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
	d := acmetest.New(t)
	var log testkit.Log
	b, s := openACMEBox(t, newState(t), d, host, &log)
	s.template.DisableTLSALPNChallenge = true
	d.Validates = make(chan func()) // the test lets it go on
	d.Open(t, b.web, b.webTLS, 90*24*time.Hour)
	b.run(t)
	var goOn func()
	select {
	case goOn = <-d.Validates:
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
		"another token":    {http.MethodGet, host, ChallengePath + "i-made-this-up", http.StatusNotFound},
		"another host":     {http.MethodGet, "evil.example.com", path, http.StatusNotFound},
		"both":             {http.MethodGet, "evil.example.com", ChallengePath + "i-made-this-up", http.StatusNotFound},
		"another method":   {http.MethodPost, host, path, http.StatusNotFound},
		"below the answer": {http.MethodGet, host, path + "/x", http.StatusNotFound},
	} {
		code, body := b.challenge(t, c.method, c.host, c.path)
		if code != c.want || (body == order.KeyAuthorization) != (c.want == http.StatusOK) {
			t.Errorf("%s: %d %q, want %d", name, code, body, c.want)
		}
	}
	goOn()
	eventually(t, "there is a certificate", func() bool { return b.certified(t, d, host) })
	if code, body := b.challenge(t, http.MethodGet, host, path); code != http.StatusNotFound {
		t.Errorf("after the order: %d %q", code, body)
	}
}

// A directory that says nothing holds nobody up who wants to stop.
func TestASilentDirectoryHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	const host = "seven.example.org"
	d := acmetest.New(t)
	var log testkit.Log
	b, s := openACMEBox(t, newState(t), d, host, &log)
	stop := b.run(t)
	conn, err := d.Accept() // and not a word
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if own := s.own.inForce(); !b.servedTo(t, host).Equal(own.Pair.Leaf) {
		t.Error("meanwhile another certificate is served than the self-signed one")
	}
	if code, body := b.challenge(t, http.MethodGet, host, ChallengePath+"i-made-this-up"); code != http.StatusNotFound {
		t.Errorf("a challenge that nobody has made is answered: %d %q", code, body)
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it takes %v to stop", took)
	}
}
