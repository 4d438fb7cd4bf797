package admin

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/internal/state"
)

// boxIn is a box with a state directory.
func boxIn(t *testing.T, dir string) *API {
	t.Helper()
	kept, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := box(nil)
	a.ended.dir = kept
	return a
}

// login returns the cookie of a new session.
func login(a *API, with string) string {
	in := send(a, "POST", "/api/admin/login", `{"token":"`+with+`"}`)
	cookie, _, _ := strings.Cut(in.Header().Get("Set-Cookie"), "; ")
	return cookie
}

func logout(a *API, cookie string) { send(a, "POST", "/api/admin/logout", "", "Cookie", cookie) }

// answersTo is the answer to a page with that cookie.
func answersTo(a *API, cookie string) int {
	return send(a, "GET", "/api/admin/session", "", "Cookie", cookie).Code
}

// answersStay fails the test unless a box, and a minute later another one in its directory, let in
// these cookies, and not those that are over.
func answersStay(t *testing.T, a *API, letIn []string, over ...string) {
	t.Helper()
	for restart := range 2 {
		for i, cookie := range letIn {
			if got := answersTo(a, cookie); got != http.StatusOK {
				t.Errorf("restart %d: session %d, which goes on: %d", restart, i, got)
			}
		}
		for i, cookie := range over {
			if got := answersTo(a, cookie); got != http.StatusUnauthorized {
				t.Errorf("restart %d: session %d, which is over: %d", restart, i, got)
			}
		}
		time.Sleep(time.Minute)
		a = boxIn(t, a.ended.dir.Path())
	}
}

// A copy of a cookie is worth nothing after its page's logout, also when the box starts again.
func TestALogoutOutlivesARestart(t *testing.T) {
	t.Parallel()
	for _, damaged := range []string{"broken", "null", `{"":{"namez":{}}}`, "{}}"} {
		dir := t.TempDir()
		a := boxIn(t, dir)
		cookies := []string{login(a, token), login(a, token)}
		logout(a, cookies[0])
		over := []int{http.StatusUnauthorized, http.StatusOK}
		for run := range 3 {
			for i, want := range over {
				if got := answersTo(a, cookies[i]); got != want {
					t.Errorf("run %d, cookie %d: %d, want %d", run, i, got, want)
				}
			}
			if a = boxIn(t, dir); run == 1 {
				if err := os.WriteFile(filepath.Join(dir, endedFile), []byte(damaged), 0o600); err != nil {
					t.Fatal(err)
				}
				over[1] = http.StatusUnauthorized // nobody knows whose is over
			}
		}
	}
}

// What can't be read has all log in again once, and not at each start, whatever the clock said at
// their login.
func TestEndedSessionsThatCantBeReadAreReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a := boxIn(t, dir)
		var before []string
		for _, ahead := range []time.Duration{-time.Hour, 0, time.Hour} {
			began := time.Now().Add(ahead)
			before = append(before, "signalbox-admin="+
				a.signed(session{"before", began, began.Add(sessionLife), a.bearer(token)}))
			if got := answersTo(a, before[len(before)-1]); got != http.StatusOK {
				t.Errorf("%v ahead: %d", ahead, got)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, endedFile), []byte("broken"), 0o600); err != nil {
			t.Fatal(err)
		}
		a = boxIn(t, dir)
		after := login(a, token)
		logout(a, login(a, token))
		answersStay(t, a, []string{after}, before...)
	})
}

// A clock that was ahead when too many were ended keeps nobody out once it is set.
func TestEndedSessionsOfAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := boxIn(t, t.TempDir())
		text := fmt.Sprintf(`{%q:{"names":null,"until":"2099-01-01T00:00:00Z"}}`, a.bearer(token).id())
		if err := a.ended.dir.Write(endedFile, []byte(text)); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		before := "signalbox-admin=" +
			a.signed(session{"before", now.Add(-time.Minute), now.Add(sessionLife), a.bearer(token)})
		answersStay(t, a, []string{login(a, token)}, before)
	})
}

// A disk that is full keeps the file as it is, so the next start has all log in again, too.
func TestEndedSessionsThatCantBeReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, endedFile, "file"), 0o700); err != nil { // no file replaces that
		t.Fatal(err)
	}
	var log bytes.Buffer
	a := boxIn(t, dir)
	a.ended.log = slog.New(slog.NewTextHandler(&log, nil))
	login(a, token)
	answersTo(a, login(a, token))
	if got := log.String(); !strings.Contains(got, "the next start has all log in again") ||
		strings.Contains(got, "forgets") {
		t.Error(got)
	}
}

// Whoever logs in and out all the time ends no session of another token's, also after a restart.
func TestLogoutsEndNobodyElsesSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := boxIn(t, t.TempDir())
		owners := login(a, token)
		first := login(a, looking)
		time.Sleep(time.Second) // sessions tell the second that they began in
		for range 2 {
			var together sync.WaitGroup
			for range maxEnded {
				cookie := login(a, looking)
				together.Go(func() { logout(a, cookie) })
			}
			together.Wait()
		}
		answersStay(t, a, []string{owners}, first) // whose token has ended too many
	})
}

// Sessions that end at one time are kept by one write or two, and each before its logout is
// answered.
func TestLogoutsShareWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a := boxIn(t, t.TempDir())
		a.ended.log = slog.New(slog.NewTextHandler(&log, nil))
		for range 3 {
			if err := os.RemoveAll(a.ended.dir.Path()); err != nil { // so each write is told of
				t.Fatal(err)
			}
			var together sync.WaitGroup
			for range 100 {
				cookie := login(a, looking)
				together.Go(func() { logout(a, cookie) })
			}
			together.Wait()
		}
		if n := strings.Count(log.String(), "can't be kept"); n == 0 || n > 6 {
			t.Errorf("300 logouts make %d writes", n)
		}
	})
}

// The box does not keep any number of ended sessions, and forgets none that it has ended.
func TestEndedSessionsAreBounded(t *testing.T) {
	t.Parallel()
	var e ended
	began, with := time.Now().Add(-time.Minute), &Token{Hash: sha256.Sum256([]byte(looking))}
	for i := range 3 * maxEnded {
		e.add(session{name: fmt.Sprint(i), began: began, token: with})
		if n := len(e.of[with.id()].Names); n > maxEnded || !e.has(session{name: "0", began: began, token: with}) {
			t.Fatalf("after %d: %d names", i, n)
		}
	}
	if e.has(session{name: "x", began: time.Now().Add(time.Minute), token: with}) {
		t.Error("a later session is ended")
	}
	e.forget(time.Now().Add(sessionMost + time.Minute))
	if len(e.of) > 0 {
		t.Error("what nobody has a cookie of is kept")
	}
}
