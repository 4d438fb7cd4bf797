package signalbox

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// certFiles are a certificate and its key in files of their own.
type certFiles struct{ cert, key string }

func newCertFiles(dir string) certFiles {
	return certFiles{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
}

// pair is a new certificate and its key in PEM, whose life begins then.
func pair(t testing.TB, name string, begins time.Time) (cert, key []byte) {
	t.Helper()
	text, err := newSelfSigned(begins, []string{name})
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	return pem.EncodeToMemory(block), rest
}

func write(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (f certFiles) write(t testing.TB, name string) {
	t.Helper()
	cert, key := pair(t, name, time.Now())
	write(t, f.cert, cert)
	write(t, f.key, key)
}

func (f certFiles) set() []string {
	return []string{"tls.mode=files", "tls.cert=" + f.cert, "tls.key=" + f.key}
}

// startWatching runs an appliance with these files, at which it looks all the time.
func startWatching(t testing.TB, f certFiles, log *logged) *App {
	t.Helper()
	app := newAppIn(t, t.TempDir(), log.logger(), f.set()...)
	app.certs.(*certificateFiles).every = 5 * time.Millisecond
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	runApp(t, app)
	return app
}

func TestARenewedCertificateIsServedWithoutARestart(t *testing.T) {
	t.Parallel()
	f := newCertFiles(t.TempDir())
	f.write(t, "one.example.org")
	var log logged
	app := startWatching(t, f, &log)
	if got := served(t, app); got != "one.example.org" {
		t.Fatalf("%s is served", got)
	}
	f.write(t, "two.example.org")
	eventually(t, "two.example.org is served", func() bool { return served(t, app) == "two.example.org" })
	eventually(t, "the problem of a moment is over", func() bool { return app.Status().Certificate.Problem == "" })
	if s := app.Status().Certificate; s.Mode != "files" || len(s.Names) != 1 || s.Names[0] != "two.example.org" {
		t.Errorf("status %+v", s)
	}
}

// certbot keeps links to the newest of numbered files.
func TestASwitchedLinkIsFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	live := newCertFiles(dir)
	point := func(version string) {
		t.Helper()
		archive := filepath.Join(dir, version)
		if err := os.Mkdir(archive, 0o700); err != nil {
			t.Fatal(err)
		}
		target := newCertFiles(archive)
		target.write(t, version+".example.org")
		for link, to := range map[string]string{live.cert: target.cert, live.key: target.key} {
			if err := os.Symlink(to, link+".new"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(link+".new", link); err != nil {
				t.Fatal(err)
			}
		}
	}
	point("one")
	var log logged
	app := startWatching(t, live, &log)
	if got := served(t, app); got != "one.example.org" {
		t.Fatalf("%s is served", got)
	}
	point("two")
	eventually(t, "two.example.org is served", func() bool { return served(t, app) == "two.example.org" })
}

// What can't be used leaves the old certificate in force, is said once, and again when something
// else is wrong.
func TestABrokenPairKeepsTheOld(t *testing.T) {
	t.Parallel()
	f := newCertFiles(t.TempDir())
	f.write(t, "good.example.org")
	var log logged
	app := startWatching(t, f, &log)
	good, goodKey := pair(t, "next.example.org", time.Now())
	_, otherKey := pair(t, "other.example.org", time.Now())
	expired, expiredKey := pair(t, "past.example.org", time.Now().Add(-2*selfSignedLife))
	said := 0
	for _, tc := range []struct {
		name, want string
		cert, key  []byte
	}{
		{"broken", "tls.cert, tls.key: tls: failed to find any PEM data", []byte("broken"), goodKey},
		{"mismatched", "private key does not match", good, otherKey},
		{"expired", "expired on", expired, expiredKey},
		{"half", "tls.cert, tls.key: ", good[:len(good)/2], goodKey},
		{"gone", "no such file", nil, goodKey},
	} {
		write(t, f.key, tc.key) // first: with the certificate of the step before, none of these keys makes a pair
		if tc.cert == nil {
			if err := os.Remove(f.cert); err != nil {
				t.Fatal(err)
			}
		} else {
			write(t, f.cert, tc.cert)
		}
		eventually(t, tc.name+" shows in the status",
			func() bool { return strings.Contains(app.Status().Certificate.Problem, tc.want) })
		app.certs.(*certificateFiles).look(time.Now()) // by then, the look that has found it has logged it, too
		now := log.count("the old one stays in force")
		if now <= said {
			t.Errorf("%s: nothing is logged", tc.name)
		}
		for range 5 {
			app.certs.(*certificateFiles).look(time.Now())
		}
		if said = log.count("the old one stays in force"); said != now {
			t.Errorf("%s is said again and again", tc.name)
		}
		if got := served(t, app); got != "good.example.org" {
			t.Errorf("%s: %s is served", tc.name, got)
		}
	}
	write(t, f.cert, good)
	eventually(t, "the mended pair is served",
		func() bool { return served(t, app) == "next.example.org" && app.Status().Certificate.Problem == "" })
}

// The box comes up with a certificate that has expired or that is not valid yet. It says so, and
// hands out no turns: with it.
func TestACertificateOutOfTimeStopsNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		begins time.Time
		want   string
	}{
		"expired":   {time.Now().Add(-selfSignedLife - time.Hour), "expired on"},
		"not valid": {time.Now().Add(48 * time.Hour), "is not valid before"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newCertFiles(t.TempDir())
			cert, key := pair(t, "call.example.org", tc.begins)
			write(t, f.cert, cert)
			write(t, f.key, key)
			set := append(f.set(), "public_host=call.example.org")
			var log logged
			app := newAppIn(t, t.TempDir(), log.logger(), set...)
			if err := app.Listen(); err != nil {
				t.Fatal(err)
			}
			runApp(t, app)
			if got := served(t, app); got != "call.example.org" {
				t.Errorf("%s is served", got)
			}
			if s := app.Status().Certificate; !strings.Contains(s.Problem, tc.want) ||
				log.count("clients refuse it") != 1 {
				t.Errorf("status %+v, %d lines in the log", s, log.count("clients refuse it"))
			}
			if warnings := strings.Join(CheckHost(app.cfg), "\n"); !strings.Contains(warnings, tc.want) {
				t.Errorf("check says %q", warnings)
			}
			if urls := app.turnURLs(""); len(urls) != 2 {
				t.Errorf("ICE servers %v", urls)
			}

			changed := app.cfg
			changed.TURN.Secret = "the next secret of the tests"
			if _, err := app.Reload(changed); err != nil {
				t.Errorf("turn.secret can't be replaced: %v", err)
			}
			changed.TLS.Key = f.cert
			if _, err := app.Reload(changed); err == nil || !strings.Contains(err.Error(), "tls.key") {
				t.Errorf("another pair that can't be used: %v", err)
			}
			f.write(t, "call.example.org")
			if _, err := app.Reload(app.loaded); err != nil {
				t.Error(err)
			}
			if urls := app.turnURLs(""); len(urls) != 3 || app.Status().Certificate.Problem != "" {
				t.Errorf("renewed: ICE servers %v, status %+v", urls, app.Status().Certificate)
			}
		})
	}
}

// A certificate is of no use for turns: from the moment on at which it expires.
func TestOnlyACertificateInItsTimeIsUsable(t *testing.T) {
	t.Parallel()
	now := time.Now()
	text, err := newSelfSigned(now, []string{"call.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	both, err := tls.X509KeyPair(text, text)
	if err != nil {
		t.Fatal(err)
	}
	c := &certificate{pair: &both, signed: true}
	for at, want := range map[time.Time]bool{
		both.Leaf.NotBefore.Add(-time.Second): false, both.Leaf.NotBefore: true, now: true,
		both.Leaf.NotAfter: true, both.Leaf.NotAfter.Add(time.Second): false,
	} {
		if got := c.usable(at); got != want {
			t.Errorf("at %s: %t", at, got)
		}
	}
	if (&certificate{pair: &both}).usable(now) {
		t.Error("one that nobody trusted has signed is usable")
	}
}

// A renewed pair that is valid only from tomorrow on waits until then.
func TestACertificateOfTomorrowWaits(t *testing.T) {
	t.Parallel()
	f := newCertFiles(t.TempDir())
	f.write(t, "today.example.org")
	app := newApp(t, f.set()...)
	s := app.certs.(*certificateFiles)
	cert, key := pair(t, "tomorrow.example.org", time.Now().Add(48*time.Hour))
	write(t, f.cert, cert)
	write(t, f.key, key)
	s.look(time.Now())
	if names := s.inForce().names(); names[0] != "today.example.org" ||
		!strings.Contains(s.problem(), "is not valid before") {
		t.Errorf("%v in force, problem %q", names, s.problem())
	}
	s.look(time.Now().Add(48 * time.Hour))
	if names := s.inForce().names(); names[0] != "tomorrow.example.org" || s.problem() != "" {
		t.Errorf("two days later: %v in force, problem %q", names, s.problem())
	}
}

// https, wss, TURN over TLS and TURN over DTLS all serve a renewed pair, and what was opened with
// the old one goes on.
func TestARenewedCertificateIsServedByEveryProtocol(t *testing.T) {
	t.Parallel()
	f := newCertFiles(t.TempDir())
	f.write(t, "one.example.org")
	app := newApp(t, append(f.set(), "turn.dtls=true")...)
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	runApp(t, app)
	call := callOverTLS(t, app)
	names := func() map[string]string {
		out := map[string]string{}
		for name, alpn := range map[string][]string{"https": {"h2"}, "wss": {"http/1.1"},
			"TURN over TLS": {"stun.turn"}} {
			conn := dialTLS(t, app.Addrs().WebTLS, alpn)
			out[name] = conn.ConnectionState().PeerCertificates[0].DNSNames[0]
			if name == "TURN over TLS" {
				stunRoundTrip(t, conn)
			}
			conn.Close()
		}
		conn := dialDTLS(t, app)
		defer conn.Close()
		stunOverDatagrams(t, conn)
		state, ok := conn.ConnectionState()
		if !ok {
			t.Fatal("no DTLS state")
		}
		leaf, err := x509.ParseCertificate(state.PeerCertificates[0])
		if err != nil {
			t.Fatal(err)
		}
		out["TURN over DTLS"] = leaf.DNSNames[0]
		return out
	}
	for _, want := range []string{"one.example.org", "two.example.org"} {
		f.write(t, want)
		app.certs.(*certificateFiles).look(time.Now())
		for protocol, got := range names() {
			if got != want {
				t.Errorf("%s: %s is served, want %s", protocol, got, want)
			}
		}
		call()
	}
}

func TestAKeyThatEverybodyCanReadIsWarnedOf(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // files have no such mode
	}
	f := newCertFiles(t.TempDir())
	f.write(t, "call.example.org")
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o640: 0, 0o644: 1} {
		if err := os.Chmod(f.key, mode); err != nil {
			t.Fatal(err)
		}
		var log logged
		app := newAppIn(t, t.TempDir(), log.logger(), f.set()...)
		if n := log.count("everybody on this machine can read"); n != want {
			t.Errorf("%o: %d warnings, want %d", mode, n, want)
		}
		var all bytes.Buffer
		for _, w := range CheckHost(app.cfg) {
			all.WriteString(w + "\n")
		}
		if got := strings.Contains(all.String(), "chmod o-r"); got != (want == 1) {
			t.Errorf("%o: check says %q", mode, all.String())
		}
	}
}

func TestCheckSaysThatACertificateEndsSoon(t *testing.T) {
	t.Parallel()
	f := newCertFiles(t.TempDir())
	cert, key := pair(t, "call.example.org", time.Now().Add(7*24*time.Hour-selfSignedLife))
	write(t, f.cert, cert)
	write(t, f.key, key)
	var log logged
	app := newAppIn(t, t.TempDir(), log.logger(), f.set()...)
	if warnings := strings.Join(CheckHost(app.cfg), "\n"); !strings.Contains(warnings, "tls.cert: it ends on ") {
		t.Errorf("check says %q", warnings)
	}
	if s := app.Status().Certificate; !strings.HasPrefix(s.Problem, "it ends on ") {
		t.Errorf("status %+v", s)
	}
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	runApp(t, app)
	eventually(t, "the log says so", func() bool { return log.count("the certificate ends soon") == 1 })
}
