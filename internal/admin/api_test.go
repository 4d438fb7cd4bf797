package admin

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"signalbox/internal/status"
)

const token = "0123456789abcdef"

// ask is the answer to a request with a bearer token, or with the code of a link.
func ask(a *API, from, bearer, code string) int {
	mux := http.NewServeMux()
	for pattern, h := range a.Routes() {
		mux.Handle(pattern, h)
	}
	r := httptest.NewRequest(http.MethodGet, "/api/admin/status", nil)
	if code != "" {
		r = httptest.NewRequest(http.MethodPost, "/api/admin/login",
			strings.NewReader(fmt.Sprintf(`{"code":%q}`, code)))
	}
	r.RemoteAddr = from + ":1"
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w.Code
}

func newAPI(log *slog.Logger) *API {
	return New(Options{Token: token, Status: func() status.Status { return status.Status{} }, Log: log})
}

// Guesses at the token and at the link are limited for each source, said once, and counted.
func TestAttackF10FailedLoginsAreLimited(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	a := newAPI(slog.New(slog.NewTextHandler(&log, nil)))
	link := a.Code()
	for i := range guessBurst {
		bearer, code := "a wrong token", ""
		if i%2 == 1 {
			bearer, code = "", "a wrong code"
		}
		if got := ask(a, "192.0.2.1", bearer, code); got != http.StatusUnauthorized {
			t.Fatalf("guess %d: %d", i, got)
		}
	}
	for what, got := range map[string]int{
		"a wrong token": ask(a, "192.0.2.1", "wrong", ""), "the right token": ask(a, "192.0.2.1", token, ""),
		"the right link": ask(a, "192.0.2.1", "", link),
	} {
		if got != http.StatusTooManyRequests {
			t.Errorf("%s after too many guesses: %d", what, got)
		}
	}
	if got := ask(a, "192.0.2.2", token, ""); got != http.StatusOK {
		t.Errorf("another source: %d", got)
	}
	if got := ask(a, "192.0.2.2", "", link); got != http.StatusOK {
		t.Errorf("the link from another source: %d", got)
	}
	if got := a.Logins(); got != (status.AdminLogins{Wrong: guessBurst, Limited: 3}) {
		t.Errorf("%+v", got)
	}
	if n := strings.Count(log.String(), "admin login refused"); n != 1 || !strings.Contains(log.String(), "192.0.2.1") {
		t.Errorf("%d lines: %s", n, &log)
	}
	if strings.Contains(log.String(), "wrong t") || strings.Contains(log.String(), token) {
		t.Errorf("what was brought stands in the log: %s", &log)
	}

	// Later, the source may try again, and the log tells of what it has not told of.
	later := time.Now().Add(time.Minute)
	from := netip.MustParseAddr("192.0.2.1")
	if ok, limited := a.look(from, later, func() bool { return false }); ok || limited {
		t.Errorf("later: %v, limited %v", ok, limited)
	}
	if !strings.Contains(log.String(), fmt.Sprintf("refused=%d", guessBurst+3)) {
		t.Errorf("the log tells of less: %s", &log)
	}
}

// Who brings nothing guesses nothing, and who is right is never counted.
func TestOnlyGuessesCount(t *testing.T) {
	t.Parallel()
	a := newAPI(nil)
	for range 2 * guessBurst {
		if got := ask(a, "192.0.2.1", "", ""); got != http.StatusUnauthorized {
			t.Fatal(got)
		}
		if got := ask(a, "192.0.2.1", token, ""); got != http.StatusOK {
			t.Fatal(got)
		}
	}
	if got := a.Logins(); got != (status.AdminLogins{}) {
		t.Errorf("%+v", got)
	}
}

// Many guesses at one time are no way around the limit.
func TestAttackF10LoginsAtOneTimeAreLimited(t *testing.T) {
	t.Parallel()
	a := newAPI(nil)
	looked := make(chan bool)
	for range 10 * guessBurst {
		go func() {
			_, limited := a.look(netip.MustParseAddr("192.0.2.1"), time.Unix(0, 0), func() bool { return false })
			looked <- !limited
		}()
	}
	n := 0
	for range 10 * guessBurst {
		if <-looked {
			n++
		}
	}
	if n != guessBurst {
		t.Errorf("%d guesses were looked at, want %d", n, guessBurst)
	}
}

// The token that stands in the state directory while the box runs is for this machine only.
func TestLocalToken(t *testing.T) {
	t.Parallel()
	a := newAPI(nil)
	if got := ask(a, "127.0.0.1", " ", ""); got != http.StatusUnauthorized {
		t.Errorf("none opens the API: %d", got)
	}
	a.o.Local = "of this machine"
	for from, want := range map[string]int{"127.0.0.1": http.StatusOK, "192.0.2.1": http.StatusUnauthorized} {
		if got := ask(a, from, "of this machine", ""); got != want {
			t.Errorf("from %s: %d", from, got)
		}
	}
}
