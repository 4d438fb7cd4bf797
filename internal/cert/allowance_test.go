package cert

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	acmeclient "github.com/mholt/acmez/v3/acme"

	"signalbox/internal/testkit"
	"signalbox/internal/testkit/acmetest"
)

// A box that is restarted over and over spends no more of the directory's allowance than one that
// runs on.
func TestRestartsDontSpendTheAllowance(t *testing.T) {
	t.Parallel()
	dir := newState(t)
	var log testkit.Log
	attempts := 0
	start := time.Now()
	for now := start; now.Before(start.Add(time.Hour)); now = now.Add(time.Minute) { // a restart each minute
		s := &acme{state: dir, log: log.Logger()}
		if pause, why := s.rest(now); pause > 0 {
			if pause > time.Hour || why == nil {
				t.Fatalf("%v: %v", pause, why)
			}
			continue
		}
		attempts++
		s.noteRefusal(now)
	}
	if attempts != refusalsAtStart {
		t.Errorf("%d attempts in an hour", attempts)
	}
	s := &acme{state: dir, log: log.Logger()}
	if pause, _ := s.rest(start.Add(61 * time.Minute)); pause > 0 {
		t.Errorf("an hour later it waits %v", pause)
	}
	ahead := fmt.Sprint("[", time.Now().Add(time.Hour).UnixMilli(), ",", int64(1<<50), "]")
	for _, text := range []string{"", "{}", "[1e99]", ahead} {
		if err := dir.Write(refusalsFile, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if pause, _ := s.rest(time.Now()); pause > 0 {
			t.Errorf("of %q it waits %v", text, pause)
		}
		s.noteRefusal(time.Now())
		if at, err := s.refusals(time.Now()); len(at) != 1 || err != nil {
			t.Errorf("after %q it has noted %v, %v", text, at, err)
		}
	}
}

// A start leaves a directory alone that has refused too often, says so, and a reload asks it at
// once.
func TestAStartLeavesTheDirectoryAlone(t *testing.T) {
	t.Parallel()
	const host = "seven.example.org"
	d := acmetest.New(t)
	dir := newState(t)
	var log testkit.Log
	b, s := openACMEBox(t, dir, d, host, &log)
	for range refusalsAtStart {
		s.noteRefusal(time.Now())
	}
	d.Open(t, b.web, b.webTLS, 90*24*time.Hour)
	b.run(t)
	const alone = "has refused 2 times within an hour"
	eventually(t, "it says that it waits", func() bool { return log.Count(alone) == 1 })
	if s := b.Status(); !s.StandIn || s.Pending || s.Problem == "" {
		t.Errorf("%+v", s)
	}
	commit, err := b.Prepare([2]string{})
	if err != nil {
		t.Fatal(err)
	}
	commit()
	eventually(t, "there is a certificate", func() bool { return b.certified(t, d, host) })
}

// What the directory refuses is noted; that it can't be reached is not.
func TestRefusalsAreNoted(t *testing.T) {
	t.Parallel()
	dir := newState(t)
	var log testkit.Log
	d := acmetest.New(t)
	b, s := openACMEBox(t, dir, d, "eight.example.org", &log)
	d.Down.Store(true)
	d.Open(t, b.web, b.webTLS, 90*24*time.Hour)
	stop := b.run(t)
	eventually(t, "the directory is down", func() bool { return log.Count(said) >= 2 })
	stop()
	if at, err := s.refusals(time.Now()); err != nil || len(at) != 0 {
		t.Errorf("down: %v, %v", at, err)
	}
	s.noteIfRefused(fmt.Errorf("order: %w", acmeclient.Problem{Status: http.StatusForbidden}))
	if at, err := s.refusals(time.Now()); err != nil || len(at) != 1 {
		t.Errorf("refused: %v, %v", at, err)
	}
}
