package cert

import (
	"bytes"
	"encoding/pem"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/internal/state"
	"signalbox/internal/testkit"
)

// While the box runs, the certificate follows its names and the time; the authority stays.
func TestSelfSignedIsRenewedWhileItRuns(t *testing.T) {
	t.Parallel()
	dir := newState(t)
	b := openBox(t, Options{Mode: SelfSigned, State: dir})
	s := b.source.(*local)
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
	if err := testkit.Verifies(second.Pair.Leaf, s.ca().cert, "192.0.2.7"); err != nil {
		t.Error(err)
	}
	s.look(now.Add(selfSignedLife - selfSignedRenew + time.Hour))
	if third := s.inForce(); third == second ||
		!third.Pair.Leaf.NotAfter.After(second.Pair.Leaf.NotAfter.Add(300*24*time.Hour)) {
		t.Errorf("thirty days before its end it is not renewed: until %s", third.Pair.Leaf.NotAfter)
	}
	b.run(t)
	if got := b.servedTo(t, "localhost"); !got.Equal(s.inForce().Pair.Leaf) {
		t.Error("another is served than the one in force")
	}
	kept, err := dir.Read(selfSignedFile)
	if block, _ := pem.Decode(kept); err != nil || !bytes.Equal(block.Bytes, s.inForce().Pair.Leaf.Raw) {
		t.Errorf("the renewed one is not kept: %v", err)
	}
}

// A state directory of an earlier version holds a certificate that signed itself.
func TestACertificateWithoutAuthorityIsReplaced(t *testing.T) {
	t.Parallel()
	dir, names := newState(t), []string{"localhost", "127.0.0.1"}
	text, err := testkit.SelfSigned(time.Now(), names)
	if err != nil {
		t.Fatal(err)
	}
	testkit.WriteFile(t, dir.Path(selfSignedFile), text)
	k, err := Open(Options{Mode: SelfSigned, State: dir, Names: func() []string { return names }})
	if err != nil {
		t.Fatal(err)
	}
	s := k.source.(*local)
	if err := testkit.Verifies(s.inForce().Pair.Leaf, s.ca().cert, "localhost"); err != nil {
		t.Error(err)
	}
}

// Devices may trust it: it stays as it is. But TURN does without it, so the box starts.
func TestABrokenAuthorityIsNotReplacedUnasked(t *testing.T) {
	t.Parallel()
	dir := newState(t)
	testkit.WriteFile(t, dir.Path(authorityFile), []byte("broken"))
	k, err := Open(Options{Mode: SelfSigned, State: dir, Names: func() []string { return []string{"localhost"} }})
	if err != nil {
		t.Fatal(err)
	}
	k.Bound()
	if p := k.Status().Problem; !strings.Contains(p, "delete the file; a start then makes a new one") {
		t.Errorf("the problem is %q", p)
	}
	if k.Authority() != nil {
		t.Error("devices are asked to trust an authority that ends with the process")
	}
	if text, err := dir.Read(authorityFile); err != nil || string(text) != "broken" {
		t.Errorf("the file has become %q, %v", text, err)
	}
}

// openNamed opens the kept certificate for a box of these names; host is the one that others know.
// It stores nothing.
func openNamed(dir *state.Dir, now time.Time, host string, names []string, log *testkit.Log) (*local, error) {
	return openLocal(&Options{State: dir, Host: host, Names: func() []string { return names }, Log: log.Logger()}, now)
}

// openOwn opens what is kept in a state directory for a box of that name, and stores it as once all
// sockets are bound.
func openOwn(t testing.TB, dir *state.Dir, now time.Time, host string, log *testkit.Log) *local {
	t.Helper()
	names := []string{"localhost"}
	if host != "" {
		names = append(names, host)
	}
	s, err := openNamed(dir, now, host, names, log)
	if err == nil {
		err = s.save()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnAuthorityWhoseTimeIsNearlyOverIsReplaced(t *testing.T) {
	t.Parallel()
	dir, now := newState(t), time.Now()
	var log testkit.Log
	first := openOwn(t, dir, now, "", &log).ca()
	for _, late := range []bool{false, true} {
		at := now
		if late {
			at = now.Add(authorityLife - 2*selfSignedLife)
		}
		if another := !openOwn(t, dir, at, "", &log).ca().cert.Equal(first.cert); another != late ||
			(log.Count("is replaced") == 1) != late {
			t.Errorf("late %t: another %t", late, another)
		}
	}
}

// An instance whose sockets are taken must not replace the authority of the one that has them.
func TestAnAuthorityIsReplacedOnlyWhenAllIsBound(t *testing.T) {
	t.Parallel()
	dir, now := newState(t), time.Now()
	var log testkit.Log
	openOwn(t, dir, now, "old.example.org", &log)
	before, err := dir.Read(authorityFile)
	if err != nil {
		t.Fatal(err)
	}
	s, err := openNamed(dir, now, "new.example.org", []string{"localhost", "new.example.org"}, &log)
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := dir.Read(authorityFile); err != nil || !bytes.Equal(kept, before) {
		t.Errorf("it is replaced already: %v", err)
	}
	s.bound()
	if kept, err := dir.Read(authorityFile); err != nil || !bytes.Equal(kept, s.ca().pem()) ||
		bytes.Equal(kept, before) {
		t.Errorf("it is not stored: %v", err)
	}
	again := openOwn(t, dir, now, "new.example.org", &log)
	if !again.ca().cert.Equal(s.ca().cert) || !again.inForce().Pair.Leaf.Equal(s.inForce().Pair.Leaf) {
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
			dir := newState(t)
			var log testkit.Log
			s := openOwn(t, dir, then, "", &log)
			s.look(now)
			if err := testkit.Verifies(s.inForce().Pair.Leaf, s.ca().cert, "localhost"); err != nil {
				t.Errorf("running: %v", err)
			}
			again := openOwn(t, dir, now, "", &log)
			if err := testkit.Verifies(again.inForce().Pair.Leaf, again.ca().cert, "localhost"); err != nil {
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
	dir, now := newState(t), time.Now()
	var log testkit.Log
	first := openOwn(t, dir, now, "", &log).ca()
	s := openOwn(t, dir, time.Unix(60, 0), "", &log)
	s.look(now)
	if !s.ca().cert.Equal(first.cert) || log.Count("is replaced") != 0 {
		t.Error("the authority is replaced")
	}
	if err := testkit.Verifies(s.inForce().Pair.Leaf, first.cert, "localhost"); err != nil {
		t.Error(err)
	}
}

// Another public_host needs another authority. Another name of the machine, which a container has
// with every start, does not: it is left out.
func TestAnAuthorityIsReplacedForAnotherPublicHost(t *testing.T) {
	t.Parallel()
	dir, now := newState(t), time.Now()
	var log testkit.Log
	first := openOwn(t, dir, now, "old.example.org", &log)
	names := []string{"old.example.org", "e3b0c44298fc", "192.0.2.9"}
	moved, err := openNamed(dir, now, "old.example.org", names, &log)
	if err != nil {
		t.Fatal(err)
	}
	if names := moved.inForce().names(); !moved.ca().cert.Equal(first.ca().cert) ||
		!slices.Equal(names, []string{"old.example.org", "192.0.2.9"}) {
		t.Errorf("names %v", names)
	}
	if n := log.Count("names=[e3b0c44298fc]"); n != 1 {
		t.Errorf("that a name is left out is said %d times", n)
	}
	if n := log.Count("is replaced"); n != 0 {
		t.Fatalf("%d authorities are replaced", n)
	}
	second := openOwn(t, dir, now, "new.example.org", &log)
	if n := log.Count("is replaced"); n != 1 || second.ca().cert.Equal(first.ca().cert) {
		t.Errorf("%d authorities are replaced", n)
	}
	if err := testkit.Verifies(second.inForce().Pair.Leaf, second.ca().cert, "new.example.org"); err != nil {
		t.Error(err)
	}
}

// Whatever cannot be stored now is stored with the next look.
func TestWhatCouldNotBeStoredIsStoredLater(t *testing.T) {
	t.Parallel()
	dir := newState(t)
	var log testkit.Log
	s := openOwn(t, dir, time.Now(), "", &log)
	moved := dir.Path() + ".moved"
	if err := os.Rename(dir.Path(), moved); err != nil {
		t.Fatal(err)
	}
	late := time.Now().Add(selfSignedLife)
	s.look(late)
	if s.problem() == "" || !s.inForce().Lives(late) {
		t.Errorf("problem %q", s.problem())
	}
	if err := os.Rename(moved, dir.Path()); err != nil {
		t.Fatal(err)
	}
	s.look(late)
	text, err := dir.Read(selfSignedFile)
	if block, _ := pem.Decode(text); err != nil || s.problem() != "" ||
		!bytes.Equal(block.Bytes, s.inForce().Pair.Leaf.Raw) {
		t.Errorf("problem %q, %v", s.problem(), err)
	}
}
