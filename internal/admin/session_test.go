package admin

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A session ends after its time, and a page that is in use gets a new cookie before, for some days.
func TestSessionsEndAndAreRenewed(t *testing.T) {
	t.Parallel()
	a := box(nil)
	all, now := *a.tokens.Load(), time.Now()
	for _, tt := range []struct {
		age, left time.Duration
		code      int
		next      time.Duration // how long the new cookie holds; 0: there is none
	}{
		{0, sessionLife, 200, 0}, {6 * time.Hour, sessionRenew - time.Minute, 200, sessionLife},
		{12 * time.Hour, -time.Second, 401, 0}, {sessionMost - 2*time.Hour, time.Hour, 200, 2 * time.Hour},
		{sessionMost - time.Hour, time.Hour, 200, 0},
	} {
		s := session{"a", now.Add(-tt.age), now.Add(tt.left), &all[1]}
		w := send(a, "GET", "/api/admin/session", "", "Cookie", "signalbox-admin="+a.signed(s))
		next := w.Header().Get("Set-Cookie")
		if w.Code != tt.code || (next != "") != (tt.next > 0) {
			t.Errorf("%s old, %s left: %d, new cookie %q", tt.age, tt.left, w.Code, next)
		}
		cookie, _, _ := strings.Cut(next, ";")
		r := httptest.NewRequest("GET", "/api/admin/session", nil)
		r.Header.Set("Cookie", cookie)
		got, ok := a.sessionOf(r)
		if holds := got.ends.Sub(now); tt.next > 0 && (!ok || (holds-tt.next).Abs() > time.Minute) {
			t.Errorf("%s old: the new cookie %q holds for %s", tt.age, cookie, holds)
		}
	}
}

// Who logs out ends that session everywhere, and none other.
func TestLogoutEndsTheSession(t *testing.T) {
	t.Parallel()
	a := box(nil)
	one, other := login(a, token), login(a, token)
	if w := send(a, "POST", "/api/admin/logout", "", "Cookie", one); !strings.Contains(w.Header().Get("Set-Cookie"),
		"Max-Age=0") {
		t.Errorf("logout: %v", w.Header())
	}
	for cookie, want := range map[string]int{one: 401, other: 200} {
		if got := answersTo(a, cookie); got != want {
			t.Errorf("%s: %d, want %d", cookie, got, want)
		}
	}
}
