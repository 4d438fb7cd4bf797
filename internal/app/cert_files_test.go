package app

import (
	"crypto/x509"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"signalbox/internal/testkit"
)

// filesMode are the settings with which these files are served.
func filesMode(f testkit.CertFiles) []string {
	return []string{"tls.mode=files", "tls.cert=" + f.Cert, "tls.key=" + f.Key}
}

// The box comes up with a certificate that has expired or that is not valid yet. It says so, and
// hands out no turns: with it.
func TestACertificateOutOfTimeStopsNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		begins time.Time
		want   string
	}{
		"expired":   {time.Now().Add(-testkit.SelfSignedLife - time.Hour), "expired on"},
		"not valid": {time.Now().Add(48 * time.Hour), "is not valid before"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := testkit.CertFilesIn(t.TempDir())
			cert, key := testkit.Pair(t, "call.example.org", tc.begins)
			testkit.WriteFile(t, f.Cert, cert)
			testkit.WriteFile(t, f.Key, key)
			set := append(filesMode(f), "public_host=call.example.org")
			var log testkit.Log
			app := newAppIn(t, t.TempDir(), log.Logger(), set...)
			if err := app.Listen(); err != nil {
				t.Fatal(err)
			}
			runApp(t, app)
			if got := servedTo(t, app, "").DNSNames[0]; got != "call.example.org" {
				t.Errorf("%s is served", got)
			}
			if s := app.Status().Certificate; !strings.Contains(s.Problem, tc.want) ||
				log.Count("clients refuse it") != 1 {
				t.Errorf("status %+v, %d lines in the log", s, log.Count("clients refuse it"))
			}
			if said := warnings(t, &app.cfg); !strings.Contains(said, tc.want) {
				t.Errorf("check says %q", said)
			}
			if urls := iceURLs(app, "")[1:]; len(urls) != 2 {
				t.Errorf("ICE servers %v", urls)
			}

			changed := app.cfg
			changed.TURN.Secret = "the next secret of the tests"
			if _, err := app.Reload(changed, true); err != nil {
				t.Errorf("turn.secret can't be replaced: %v", err)
			}
			changed.TLS.Key = f.Cert
			if _, err := app.Reload(changed, true); err == nil || !strings.Contains(err.Error(), "tls.key") {
				t.Errorf("another pair that can't be used: %v", err)
			}
			f.Make(t, "call.example.org")
			if _, err := app.Reload(app.loaded, true); err != nil {
				t.Error(err)
			}
			if urls := iceURLs(app, "")[1:]; len(urls) != 3 || app.Status().Certificate.Problem != "" {
				t.Errorf("renewed: ICE servers %v, status %+v", urls, app.Status().Certificate)
			}
		})
	}
}

// https, wss, TURN over TLS and TURN over DTLS all serve a renewed pair, and what was opened with
// the old one goes on.
func TestARenewedCertificateIsServedByEveryProtocol(t *testing.T) {
	t.Parallel()
	f := testkit.CertFilesIn(t.TempDir())
	f.Make(t, "one.example.org")
	app := newApp(t, append(filesMode(f), "turn.dtls=true")...)
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
		f.Make(t, want)
		if _, err := app.Reload(app.cfg, true); err != nil {
			t.Fatal(err)
		}
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
	f := testkit.CertFilesIn(t.TempDir())
	f.Make(t, "call.example.org")
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o640: 0, 0o644: 1} {
		if err := os.Chmod(f.Key, mode); err != nil {
			t.Fatal(err)
		}
		var log testkit.Log
		app := newAppIn(t, t.TempDir(), log.Logger(), filesMode(f)...)
		if n := log.Count("everybody on this machine can read"); n != want {
			t.Errorf("%o: %d warnings, want %d", mode, n, want)
		}
		all := warnings(t, &app.cfg)
		if got := strings.Contains(all, "chmod o-r"); got != (want == 1) {
			t.Errorf("%o: check says %q", mode, all)
		}
	}
}

func TestCheckSaysThatACertificateEndsSoon(t *testing.T) {
	t.Parallel()
	f := testkit.CertFilesIn(t.TempDir())
	cert, key := testkit.Pair(t, "call.example.org", time.Now().Add(7*24*time.Hour-testkit.SelfSignedLife))
	testkit.WriteFile(t, f.Cert, cert)
	testkit.WriteFile(t, f.Key, key)
	var log testkit.Log
	app := newAppIn(t, t.TempDir(), log.Logger(), filesMode(f)...)
	if said := warnings(t, &app.cfg); !strings.Contains(said, "tls.cert: it ends on ") {
		t.Errorf("check says %q", said)
	}
	if s := app.Status().Certificate; !s.Due || !strings.HasPrefix(s.Problem, "it ends on ") {
		t.Errorf("status %+v", s)
	}
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	runApp(t, app)
	eventually(t, "the log says so", func() bool { return log.Count("the certificate ends soon") == 1 })
}
