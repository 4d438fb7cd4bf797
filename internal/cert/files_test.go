package cert

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/internal/testkit"
)

// openWatching opens a box with these files, at which it looks all the time once it runs.
func openWatching(t testing.TB, f testkit.CertFiles, log *testkit.Log) (*box, *files) {
	t.Helper()
	b := openBox(t, Options{Mode: Files, Paths: [2]string{f.Cert, f.Key}, Log: log.Logger()})
	source := b.source.(*files)
	source.every = 5 * time.Millisecond
	return b, source
}

func TestARenewedCertificateIsServedWithoutARestart(t *testing.T) {
	t.Parallel()
	f := testkit.CertFilesIn(t.TempDir())
	f.Make(t, "one.example.org")
	var log testkit.Log
	b, _ := openWatching(t, f, &log)
	b.run(t)
	if got := b.served(t); got != "one.example.org" {
		t.Fatalf("%s is served", got)
	}
	f.Make(t, "two.example.org")
	eventually(t, "two.example.org is served", func() bool { return b.served(t) == "two.example.org" })
	eventually(t, "the problem of a moment is over", func() bool { return b.Status().Problem == "" })
	if s := b.Status(); s.Mode != "files" || len(s.Names) != 1 || s.Names[0] != "two.example.org" {
		t.Errorf("status %+v", s)
	}
}

// certbot keeps links to the newest of numbered files.
func TestASwitchedLinkIsFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	live := testkit.CertFilesIn(dir)
	point := func(version string) {
		t.Helper()
		archive := filepath.Join(dir, version)
		if err := os.Mkdir(archive, 0o700); err != nil {
			t.Fatal(err)
		}
		target := testkit.CertFilesIn(archive)
		target.Make(t, version+".example.org")
		for link, to := range map[string]string{live.Cert: target.Cert, live.Key: target.Key} {
			if err := os.Symlink(to, link+".new"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(link+".new", link); err != nil {
				t.Fatal(err)
			}
		}
	}
	point("one")
	var log testkit.Log
	b, _ := openWatching(t, live, &log)
	b.run(t)
	if got := b.served(t); got != "one.example.org" {
		t.Fatalf("%s is served", got)
	}
	point("two")
	eventually(t, "two.example.org is served", func() bool { return b.served(t) == "two.example.org" })
}

// A pair that can't be used leaves the old certificate in force. It is reported once, and again
// when something else is wrong.
func TestABrokenPairKeepsTheOld(t *testing.T) {
	t.Parallel()
	f := testkit.CertFilesIn(t.TempDir())
	f.Make(t, "good.example.org")
	var log testkit.Log
	b, source := openWatching(t, f, &log)
	b.run(t)
	good, goodKey := testkit.Pair(t, "next.example.org", time.Now())
	_, otherKey := testkit.Pair(t, "other.example.org", time.Now())
	expired, expiredKey := testkit.Pair(t, "past.example.org", time.Now().Add(-2*testkit.SelfSignedLife))
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
		// First: with the certificate of the step before, none of these keys makes a pair.
		testkit.WriteFile(t, f.Key, tc.key)
		if tc.cert == nil {
			if err := os.Remove(f.Cert); err != nil {
				t.Fatal(err)
			}
		} else {
			testkit.WriteFile(t, f.Cert, tc.cert)
		}
		eventually(t, tc.name+" shows in the status",
			func() bool { return strings.Contains(b.Status().Problem, tc.want) })
		source.look(time.Now()) // by then, the look that has found it has logged it, too
		now := log.Count("the old one stays in force")
		if now <= said {
			t.Errorf("%s: nothing is logged", tc.name)
		}
		for range 5 {
			source.look(time.Now())
		}
		if said = log.Count("the old one stays in force"); said != now {
			t.Errorf("%s is said again and again", tc.name)
		}
		if got := b.served(t); got != "good.example.org" {
			t.Errorf("%s: %s is served", tc.name, got)
		}
	}
	testkit.WriteFile(t, f.Cert, good)
	eventually(t, "the mended pair is served",
		func() bool { return b.served(t) == "next.example.org" && b.Status().Problem == "" })
}

// A renewed pair that is valid only from tomorrow on waits until then.
func TestACertificateOfTomorrowWaits(t *testing.T) {
	t.Parallel()
	f := testkit.CertFilesIn(t.TempDir())
	f.Make(t, "today.example.org")
	var log testkit.Log
	_, s := openWatching(t, f, &log)
	cert, key := testkit.Pair(t, "tomorrow.example.org", time.Now().Add(48*time.Hour))
	testkit.WriteFile(t, f.Cert, cert)
	testkit.WriteFile(t, f.Key, key)
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
