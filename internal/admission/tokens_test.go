package admission

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"signalbox/internal/testkit"
	"signalbox/signal"
)

// Twenty pieces of garbage lock out nobody who shares the address, neither with a token nor with a
// key; only garbage is slowed down.
func TestHub6GarbageLocksOutNobody(t *testing.T) {
	t.Parallel()
	g := newGuard(t, JWT)
	var slowed int
	for range 10 * guessBurst {
		if _, err := g.Admit("eyJhbGciOiJIUzI1NiJ9.e30.garbage", here); errors.Is(err, signal.ErrTooManyGuesses) {
			slowed++
		}
		if _, err := g.Admit(token(t, jwt.MapClaims{}), here); err != nil {
			t.Fatalf("a good token after garbage: %v", err)
		}
	}
	if slowed < 8*guessBurst {
		t.Errorf("%d pieces of garbage are slowed down", slowed)
	}
	if err := g.CheckKey("0123456789abcdef", "0123456789abcdef", here); err != nil {
		t.Errorf("a key after garbage: %v", err)
	}
}

// A room's name is what it is, unless the token says that it is a pattern: who signs what somebody
// has typed gives no other rooms away.
func TestHub6RoomNamesAreLiteral(t *testing.T) {
	t.Parallel()
	g := newGuard(t, JWT)
	for _, tc := range []struct {
		claims jwt.MapClaims
		in     []string
		out    []string
	}{
		{jwt.MapClaims{"rooms": "*"}, []string{"*"}, []string{"tea", ""}},
		{jwt.MapClaims{"rooms": []string{"tea", "team-*"}}, []string{"tea", "team-*"}, []string{"team-a", "te"}},
		{jwt.MapClaims{"room_patterns": "team-*"}, []string{"team-a", "team-"}, []string{"tea"}},
		{jwt.MapClaims{"rooms": "*", "room_patterns": []string{"a*"}}, []string{"*", "ab"}, []string{"b"}},
		{jwt.MapClaims{"room": "team-*", "rooms": []string{"tea"}}, []string{"tea", "team-a"}, []string{"x"}},
		{jwt.MapClaims{}, nil, []string{"tea"}},
	} {
		pass, err := g.Admit(token(t, tc.claims), here)
		if err != nil {
			t.Fatalf("%v: %v", tc.claims, err)
		}
		for _, room := range tc.in {
			if !pass.Rooms(room) {
				t.Errorf("%v does not let in to %q", tc.claims, room)
			}
		}
		for _, room := range tc.out {
			if pass.Rooms(room) {
				t.Errorf("%v lets in to %q", tc.claims, room)
			}
		}
	}
	for _, claims := range []jwt.MapClaims{{"rooms": 7}, {"room_patterns": []any{"a", 7}},
		{"rooms": strings.Repeat("x", 129)}} {
		if _, err := g.Admit(token(t, claims), here); !errors.Is(err, signal.ErrUnauthorized) {
			t.Errorf("%v: %v", claims, err)
		}
	}
}

// A * in room is as good as in room_patterns, so the log says once that there is one.
func TestHub13PatternsInRoomAreLogged(t *testing.T) {
	t.Parallel()
	var log testkit.Log
	g, err := New(Options{Mode: JWT, JWTKey: testSecret, Log: log.Logger()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	admit := func(claims jwt.MapClaims, want int) {
		t.Helper()
		if _, err := g.Admit(token(t, claims), here); err != nil {
			t.Fatal(err)
		}
		if got := log.Count("room_patterns"); got != want {
			t.Errorf("%v: %d warnings, want %d", claims, got, want)
		}
	}
	admit(jwt.MapClaims{"room": "tea"}, 0)
	admit(jwt.MapClaims{"rooms": "*", "room_patterns": "*"}, 0)
	admit(jwt.MapClaims{"room": []string{"tea", "*"}}, 1)
	admit(jwt.MapClaims{"room": "*"}, 1)
}

// Who compares two clocks is told what each says.
func TestHub6ClockSkewIsSaid(t *testing.T) {
	t.Parallel()
	g := newGuard(t, JWT)
	now := time.Now()
	for _, tc := range []struct {
		claims jwt.MapClaims
		want   string
	}{
		{jwt.MapClaims{"exp": now.Add(-2 * time.Hour).Unix()}, "exp is 2h0m"},
		{jwt.MapClaims{"nbf": now.Add(5 * time.Minute).Unix()}, "not valid yet (nbf), but in "},
	} {
		_, err := g.Admit(token(t, tc.claims), here)
		if err == nil || !strings.Contains(err.Error(), tc.want) ||
			!strings.Contains(err.Error(), "clock says "+now.UTC().Format("2006-")) {
			t.Errorf("%v: %v", tc.claims, err)
		}
	}
}
