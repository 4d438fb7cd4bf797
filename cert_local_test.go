package signalbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A device that trusts the authority verifies the certificate for every name and address of the
// box.
func TestLocalCAIsAllThatADeviceNeeds(t *testing.T) {
	t.Parallel()
	app := startApp(t, "public_host=box.example.org", "public_ip=198.51.100.7", "turn.relay_ip=127.0.0.1")
	base := "http://" + app.Addrs().Web
	_, header, text := get(t, insecure(), base+"/ca.pem")
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || strings.Contains(text, "KEY") {
		t.Fatalf("/ca.pem: %s %q", header.Get("Content-Type"), text)
	}
	_, header, der := get(t, insecure(), base+"/ca.crt")
	if header.Get("Content-Type") != "application/x-x509-ca-cert" || der != string(block.Bytes) {
		t.Errorf("/ca.crt: %s, %d bytes", header.Get("Content-Type"), len(der))
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	leaf := servedTo(t, app, "box.example.org")
	for _, name := range []string{"box.example.org", "localhost", "127.0.0.1", "::1"} {
		if err := verifies(leaf, root, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if verifies(leaf, root, "elsewhere.example.org") == nil {
		t.Error("the certificate is good for any name")
	}

	want := []string{"http://box.example.org:" + portOf(app.edge.web.Addr()) + "/", "https://box.example.org:" +
		portOf(app.edge.webTLS.Addr()) + "/"}
	var trust struct {
		Fingerprint string
		NotAfter    int64
		URLs        []string
	}
	if code, _, body := get(t, insecure(), base+"/api/trust"); code != http.StatusOK ||
		json.Unmarshal([]byte(body), &trust) != nil {
		t.Fatalf("/api/trust: %d %s", code, body)
	}
	sum := sha256.Sum256([]byte(der))
	digits := strings.ReplaceAll(trust.Fingerprint, ":", "")
	if !strings.EqualFold(digits, hex.EncodeToString(sum[:])) || trust.NotAfter != root.NotAfter.UnixMilli() {
		t.Errorf("/api/trust: %+v", trust)
	}
	var welcome strings.Builder
	if err := app.Welcome(&welcome); err != nil || !strings.Contains(welcome.String(), want[0]+"trust") ||
		!strings.Contains(welcome.String(), trust.Fingerprint) {
		t.Errorf("the welcome does not name the authority: %v, %s", err, welcome.String())
	}
	if !slices.Equal(trust.URLs, want) {
		t.Errorf("URLs %v, want %v", trust.URLs, want)
	}
	for _, url := range app.turnURLs("box.example.org") {
		if strings.HasPrefix(url, "turns:") {
			t.Errorf("%s is handed out, which a browser that does not trust the authority fails on", url)
		}
	}
}

func TestOtherModesHaveNoCertificateAuthority(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeCertificate(t, dir+"/both.pem", "call.example.org")
	app := startApp(t, "tls.mode=files", "tls.cert="+dir+"/both.pem", "tls.key="+dir+"/both.pem")
	for _, path := range []string{"/ca.crt", "/ca.pem", "/api/trust"} {
		if code, _, _ := get(t, insecure(), "http://"+app.Addrs().Web+path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	if _, err := os.Stat(filepath.Join(app.state.Dir(), localCAFile)); err == nil {
		t.Error("one is made all the same")
	}
}

// While the box runs, the certificate follows its names and the time; the authority stays.
func TestSelfSignedIsRenewedWhileItRuns(t *testing.T) {
	t.Parallel()
	app := newApp(t)
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	s := app.certs.(*selfSigned)
	names := s.wants()
	s.wants = func() []string { return names }
	now := time.Now()
	first := s.inForce()
	s.look(now)
	if s.inForce() != first {
		t.Error("it is renewed without need")
	}
	names = append(names, "192.0.2.7")
	s.look(now)
	second := s.inForce()
	if err := verifies(second.pair.Leaf, s.ca().cert, "192.0.2.7"); err != nil {
		t.Error(err)
	}
	s.look(now.Add(selfSignedLife - selfSignedRenew + time.Hour))
	if third := s.inForce(); third == second ||
		!third.pair.Leaf.NotAfter.After(second.pair.Leaf.NotAfter.Add(300*24*time.Hour)) {
		t.Errorf("thirty days before its end it is not renewed: until %s", third.pair.Leaf.NotAfter)
	}
	runApp(t, app)
	if got := servedTo(t, app, "localhost"); !got.Equal(s.inForce().pair.Leaf) {
		t.Error("another is served than the one in force")
	}
	kept, err := app.state.read(selfSignedFile)
	if block, _ := pem.Decode(kept); err != nil || !bytes.Equal(block.Bytes, s.inForce().pair.Leaf.Raw) {
		t.Errorf("the renewed one is not kept: %v", err)
	}
}

// A state directory of an earlier version holds a certificate that signed itself.
func TestACertificateWithoutAuthorityIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names := newApp(t).certificateNames()
	text, err := newSelfSigned(time.Now(), names) // by an authority that is not this box's
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, selfSignedFile), text, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newAppIn(t, dir, nil).certs.(*selfSigned)
	if err := verifies(s.inForce().pair.Leaf, s.ca().cert, "localhost"); err != nil {
		t.Error(err)
	}
}

func TestABrokenAuthorityIsNotReplacedUnasked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, localCAFile), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	state, err := OpenState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openSelfSigned(state, time.Now(), "", func() []string { return nil },
		slog.New(slog.DiscardHandler)); err == nil ||
		!strings.Contains(err.Error(), "delete the file and a new one is made") {
		t.Errorf("error %v", err)
	}
}

// openOwn opens what is kept in state for a box of that name, and stores it as once all sockets are
// bound.
func openOwn(t testing.TB, state *State, now time.Time, host string, log *logged) *selfSigned {
	t.Helper()
	names := []string{"localhost"}
	if host != "" {
		names = append(names, host)
	}
	s, err := openSelfSigned(state, now, host, func() []string { return names }, log.logger())
	if err == nil {
		err = s.save()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newState(t testing.TB) *State {
	t.Helper()
	state, err := OpenState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestAnAuthorityWhoseTimeIsNearlyOverIsReplaced(t *testing.T) {
	t.Parallel()
	state, now := newState(t), time.Now()
	var log logged
	first := openOwn(t, state, now, "", &log).ca()
	for _, late := range []bool{false, true} {
		at := now
		if late {
			at = now.Add(localCALife - 2*selfSignedLife)
		}
		if another := !openOwn(t, state, at, "", &log).ca().cert.Equal(first.cert); another != late ||
			(log.count("is replaced") == 1) != late {
			t.Errorf("late %t: another %t", late, another)
		}
	}
}

// An instance whose sockets are taken must not replace the authority of the one that has them.
func TestAnAuthorityIsReplacedOnlyWhenAllIsBound(t *testing.T) {
	t.Parallel()
	state, now := newState(t), time.Now()
	var log logged
	openOwn(t, state, now, "old.example.org", &log)
	before, err := state.read(localCAFile)
	if err != nil {
		t.Fatal(err)
	}
	s, err := openSelfSigned(state, now, "new.example.org",
		func() []string { return []string{"localhost", "new.example.org"} }, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := state.read(localCAFile); err != nil || !bytes.Equal(kept, before) {
		t.Errorf("it is replaced already: %v", err)
	}
	if err := s.bound(); err != nil {
		t.Fatal(err)
	}
	if kept, err := state.read(localCAFile); err != nil || !bytes.Equal(kept, s.ca().pem()) ||
		bytes.Equal(kept, before) {
		t.Errorf("it is not stored: %v", err)
	}
	again := openOwn(t, state, now, "new.example.org", &log)
	if !again.ca().cert.Equal(s.ca().cert) || !again.inForce().pair.Leaf.Equal(s.inForce().pair.Leaf) {
		t.Error("after a restart there is another")
	}
}

// The clock was wrong when the box first started, and NTP sets it while it runs.
func TestAWrongClockIsGotOver(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, then := range map[string]time.Time{"ahead": now.AddDate(5, 0, 0), "1970": time.Unix(0, 0)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := newState(t)
			var log logged
			s := openOwn(t, state, then, "", &log)
			s.look(now)
			if err := verifies(s.inForce().pair.Leaf, s.ca().cert, "localhost"); err != nil {
				t.Errorf("running: %v", err)
			}
			again := openOwn(t, state, now, "", &log)
			if err := verifies(again.inForce().pair.Leaf, again.ca().cert, "localhost"); err != nil {
				t.Errorf("restarted: %v", err)
			}
			if !again.ca().cert.Equal(s.ca().cert) {
				t.Error("the restart costs the trust of all devices")
			}
		})
	}
}

// A box without a battery starts in 1970 each time. That costs no trust.
func TestAStartIn1970KeepsTheAuthority(t *testing.T) {
	t.Parallel()
	state, now := newState(t), time.Now()
	var log logged
	first := openOwn(t, state, now, "", &log).ca()
	s := openOwn(t, state, time.Unix(60, 0), "", &log)
	s.look(now)
	if !s.ca().cert.Equal(first.cert) || log.count("is replaced") != 0 {
		t.Error("the authority is replaced")
	}
	if err := verifies(s.inForce().pair.Leaf, first.cert, "localhost"); err != nil {
		t.Error(err)
	}
}

// The authority is for this box's names, those of local networks and addresses. Go and OpenSSL hold
// it to that.
func TestTheAuthoritySignsForNobodyElse(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		const words = "this test needs openssl; scripts/test installs and runs everything"
		if os.Getenv("SIGNALBOX_TEST_ALL") != "" {
			t.Fatal(words)
		}
		t.Skip(words)
	}
	ca, err := newLocalCA(time.Now(), []string{"Call.example.org", "box", "192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"call.example.org": true, "CALL.example.org": true, "a.call.example.org": true, "box": true, "localhost": true,
		"box.local": true, "box.lan": true,
		"box.home.arpa": true, "box.internal": true, "192.0.2.7": true, "198.51.100.9": true, "2001:db8::7": true,
		"example.org": false, "bank.example": false, "xcall.example.org": false, "otherbox": false, "notlocal": false,
	} {
		text, err := ca.sign(time.Now(), []string{name})
		if err != nil {
			t.Fatal(err)
		}
		both, err := tls.X509KeyPair(text, text)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifies(both.Leaf, ca.cert, name); (err == nil) != want || ca.permits(name) != want {
			t.Errorf("%s: Go says %v, we say %t", name, err, ca.permits(name))
		}
		dir := t.TempDir()
		write(t, dir+"/ca.pem", ca.pem())
		write(t, dir+"/leaf.pem", text)
		out, err := exec.Command(openssl, "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", dir+"/ca.pem",
			dir+"/leaf.pem").CombinedOutput()
		if (err == nil) != want || !want && !strings.Contains(string(out), "permitted subtree violation") {
			t.Errorf("%s: openssl says %s", name, out)
		}
	}
}

// Another public_host needs another authority. Another name of the machine, which a container has
// with every start, does not: it is left out.
func TestAnAuthorityIsReplacedForAnotherPublicHost(t *testing.T) {
	t.Parallel()
	state, now := newState(t), time.Now()
	var log logged
	first := openOwn(t, state, now, "old.example.org", &log)
	names := []string{"old.example.org", "e3b0c44298fc", "192.0.2.9"}
	moved, err := openSelfSigned(state, now, "old.example.org", func() []string { return names }, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	if names := moved.inForce().names(); !moved.ca().cert.Equal(first.ca().cert) ||
		!slices.Equal(names, []string{"old.example.org", "192.0.2.9"}) {
		t.Errorf("names %v", names)
	}
	if n := log.count("names=[e3b0c44298fc]"); n != 1 {
		t.Errorf("that a name is left out is said %d times", n)
	}
	if n := log.count("is replaced"); n != 0 {
		t.Fatalf("%d authorities are replaced", n)
	}
	second := openOwn(t, state, now, "new.example.org", &log)
	if n := log.count("is replaced"); n != 1 || second.ca().cert.Equal(first.ca().cert) {
		t.Errorf("%d authorities are replaced", n)
	}
	if err := verifies(second.inForce().pair.Leaf, second.ca().cert, "new.example.org"); err != nil {
		t.Error(err)
	}
}

// Whatever cannot be stored now is stored with the next look.
func TestWhatCouldNotBeStoredIsStoredLater(t *testing.T) {
	t.Parallel()
	state := newState(t)
	var log logged
	s := openOwn(t, state, time.Now(), "", &log)
	moved := state.dir + ".moved"
	if err := os.Rename(state.dir, moved); err != nil {
		t.Fatal(err)
	}
	late := time.Now().Add(selfSignedLife)
	s.look(late)
	if s.problem() == "" || !s.inForce().lives(late) {
		t.Errorf("problem %q", s.problem())
	}
	if err := os.Rename(moved, state.dir); err != nil {
		t.Fatal(err)
	}
	s.look(late)
	text, err := state.read(selfSignedFile)
	if block, _ := pem.Decode(text); err != nil || s.problem() != "" ||
		!bytes.Equal(block.Bytes, s.inForce().pair.Leaf.Raw) {
		t.Errorf("problem %q, %v", s.problem(), err)
	}
}

// The certificate names every address that people may type: this machine's, and what relays are
// bound to and known by.
func TestTheCertificateNamesEveryAddress(t *testing.T) {
	t.Parallel()
	app := newApp(t)
	app.addressing.Store(&addressing{{
		bind:   address{ip: netip.MustParseAddr("192.168.1.5")},
		public: address{ip: netip.MustParseAddr("::ffff:198.51.100.7")},
	}})
	names := app.certificateNames()
	local, err := localAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append(local, netip.MustParseAddr("192.168.1.5"), netip.MustParseAddr("198.51.100.7")) {
		if !slices.Contains(names, want.String()) {
			t.Errorf("%s is not in %v", want, names)
		}
	}
	for host, want := range map[string]string{
		"Call.example.org.": "call.example.org", "2001:DB8::7": "2001:db8::7", "::ffff:192.0.2.1": "192.0.2.1",
		"a..b": "", ".a": "", "": "",
		strings.Repeat("a", 64) + ".org": "", "my_box": "my_box",
	} {
		if got := certificateName(host); got != want {
			t.Errorf("%q is %q in a certificate, want %q", host, got, want)
		}
	}
}

// What Listen finds out is in the certificate before the welcome tells anybody.
func TestAnAddressThatIsLookedUpIsInTheFirstCertificate(t *testing.T) {
	t.Parallel()
	app := newApp(t, "public_ip=box.example.org", "turn.relay_ip=127.0.0.1")
	app.outside.lookup = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("198.51.100.7")}, nil
	}
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	runApp(t, app)
	if err := verifies(servedTo(t, app, "localhost"), app.certs.(*selfSigned).ca().cert, "198.51.100.7"); err != nil {
		t.Error(err)
	}
	kept, err := app.state.read(selfSignedFile)
	if block, _ := pem.Decode(kept); err != nil || !bytes.Equal(block.Bytes, app.certs.inForce().pair.Leaf.Raw) {
		t.Errorf("another is kept: %v", err)
	}
}
