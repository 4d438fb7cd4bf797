package app

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"signalbox/internal/testkit"
	"signalbox/signal"
)

const (
	testPassword = "correct horse battery"
	testSecret   = "a secret of the tests that is long enough"
)

// token signs claims with the tests' secret. Without exp they get one.
func token(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	return testkit.RoomToken(t, testSecret, claims)
}

// guessBurst is how many guesses of one source are looked at, at once.
const guessBurst = 20

var here = netip.MustParseAddr("192.0.2.1")

func TestICEServersAreUnderTheSameRules(t *testing.T) {
	t.Parallel()
	for mode, right := range map[string]string{"password": testPassword,
		"jwt": token(t, jwt.MapClaims{"room": "tea"})} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			app := startApp(t, "auth.mode="+mode, "auth.password="+testPassword, "auth.jwt_key="+testSecret)
			url, c := "http://"+app.Addrs().Web+"/api/ice", insecure()
			for _, header := range []string{"Bearer " + right, "bearer " + right} {
				if code, _, body := get(t, c, url, "Authorization", header); code != http.StatusOK ||
					!strings.Contains(body, `"credential"`) {
					t.Errorf("with the token in a header: %d %s", code, body)
				}
			}
			if code, _, body := get(t, c, url+"?token="+strings.ReplaceAll(right, " ", "%20")); code != http.StatusOK {
				t.Errorf("with the token in the query: %d %s", code, body)
			}
			for _, header := range []string{"", "Bearer", "Bearer ", "Bearer wrong", right} {
				code, h, body := get(t, c, url, "Authorization", header)
				if code != http.StatusUnauthorized || h.Get("WWW-Authenticate") != "Bearer" ||
					strings.Contains(body, "credential") {
					t.Errorf("Authorization %.20q: %d %s", header, code, body)
				}
			}
			if code, _, _ := get(t, c, url, "Origin", "https://elsewhere.example", "Authorization", "Bearer "+
				right); code != http.StatusForbidden {
				t.Errorf("a foreign origin gets %d", code)
			}
			var h http.Header
			tooMany := func(token string) func() bool {
				return func() bool {
					var code int
					code, h, _ = get(t, c, url, "Authorization", "Bearer "+token)
					return code == http.StatusTooManyRequests
				}
			}
			if mode == "password" {
				if !testkit.Limited(guessBurst, tooMany("wrong"), tooMany(right)) || h.Get("Retry-After") == "" {
					t.Errorf("after too many guesses: %v", h)
				}
				return
			}
			// Nobody guesses a token: garbage is slowed down, and locks out nobody at its address.
			if testkit.Limited(guessBurst, tooMany("wrong"), tooMany(right)) {
				t.Error("garbage has locked out a good token")
			}
			if eventually(t, "garbage is slowed down", tooMany("wrong")); h.Get("Retry-After") == "" {
				t.Errorf("garbage: %v", h)
			}
		})
	}
}

func TestPreflightsMayNameTheToken(t *testing.T) {
	t.Parallel()
	app := startApp(t, "web.allowed_origins=https://app.example.org", "auth.mode=jwt", "auth.jwt_key="+testSecret)
	req, err := http.NewRequest(http.MethodOptions, "http://"+app.Addrs().Web+"/api/ice", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://app.example.org")
	resp, err := insecure().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	h := resp.Header
	if resp.StatusCode != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != "https://app.example.org" ||
		!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") ||
		!strings.Contains(h.Get("Access-Control-Allow-Methods"), "GET") {
		t.Errorf("%d %v", resp.StatusCode, h)
	}
}

func TestReloadChangesThePassword(t *testing.T) {
	t.Parallel()
	app := newApp(t, "auth.mode=password", "auth.password="+testPassword)
	cfg := app.cfg
	cfg.Auth.Password = "another horse"
	if done, err := app.Reload(cfg, true); err != nil || !slices.Equal(done.Changed, []string{"auth.password"}) {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, err := app.guard.Admit(testPassword, here); !errors.Is(err, signal.ErrUnauthorized) {
		t.Errorf("the old password: %v", err)
	}
	if _, err := app.guard.Admit("another horse", here); err != nil {
		t.Errorf("the new password: %v", err)
	}
	cfg.Auth.Mode = "open"
	if _, err := app.Reload(cfg, true); err == nil ||
		!strings.Contains(err.Error(), "a restart is needed to change auth.mode") {
		t.Errorf("another mode: %v", err)
	}
}
