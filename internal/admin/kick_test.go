package admin

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"signalbox/internal/source"
	"signalbox/signal"
)

// sessions is a hub with these.
type sessions []signal.Kicked

func (h sessions) Kick(match func(signal.Kicked) bool) (out []signal.Kicked) {
	for _, s := range h {
		if match(s) {
			out = append(out, s)
		}
	}
	return out
}

// credentials is a relay with an allocation for each of these users.
type credentials []string

func (r credentials) Allocations() int { return len(r) }

func (credentials) Kick(string) bool { return false }

func (r credentials) KickUser(user string) (n int) {
	for _, u := range r {
		if u == user {
			n++
		}
	}
	return n
}

func (credentials) KickSource(netip.Prefix) int { return 0 }

// A user is who others see, however the operator writes the name; a TURN user is exactly that one.
func TestUsersAreNamedAsPeopleDo(t *testing.T) {
	t.Parallel()
	const composed, decomposed = "caf\u00e9", "cafe\u0301"
	bans := source.NewBans()
	a := New(Options{
		Hub:   sessions{{ID: "1", User: composed}, {ID: "2", User: "bob"}},
		Relay: credentials{composed, decomposed}, Bans: bans,
	})
	out, err := a.Kick(Kick{User: decomposed, Ban: "1h"})
	if err != nil || out.Sessions != 1 || out.Allocations != 2 {
		t.Errorf("kicked %+v, %v", out, err)
	}
	for _, user := range []string{composed, decomposed} {
		if !bans.Concern(user, "", netip.Addr{}, time.Now()) {
			t.Errorf("%+q is not banned", user)
		}
	}
	if out, err := a.Unban(Unban{User: decomposed}); err != nil || out.Lifted != 2 || len(bans.List(time.Now())) > 0 {
		t.Errorf("lifted %+v, %v", out, err)
	}
}

// Whoever names two is asked which one, and nothing is done: half of it could be taken for all.
func TestOneIsNamed(t *testing.T) {
	t.Parallel()
	a := box(nil)
	a.o.Hub = sessions{{ID: "1", User: "ann"}}
	for path, bodies := range map[string][]string{
		"kick":  {`{"peer":"1","user":"ann"}`, `{"allocation":"a","source":"192.0.2.1"}`, `{}`},
		"unban": {`{"peer":"1","user":"ann"}`, `{"token":"t","source":"192.0.2.1"}`, `{}`},
	} {
		for _, body := range bodies {
			w := send(a, "POST", "/api/admin/"+path, body, "Authorization", "Bearer "+token)
			if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "name one ") {
				t.Errorf("%s %s: %d %s", path, body, w.Code, w.Body)
			}
		}
	}
}
