package admission

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"signalbox/internal/state"
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

var here = netip.MustParseAddr("192.0.2.1")

// newGuard asks for the tests' password, or for a token that is signed with their secret.
func newGuard(t testing.TB, mode string) *Guard {
	t.Helper()
	g, err := New(Options{Mode: mode, Password: testPassword, JWTKey: testSecret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// isGuess reports whether an error refuses what may have been a guess at a secret.
func isGuess(err error) bool {
	var refused *Refusal
	return errors.As(err, &refused) && refused.Guess && errors.Is(err, signal.ErrUnauthorized)
}

func TestPasswordLetsInWhoKnowsIt(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Password)
	pass, err := g.Admit(testPassword, here)
	if err != nil || pass.Attested || pass.Key != "" || pass.Rooms != nil || !pass.Expires.IsZero() {
		t.Errorf("the password: %+v, %v", pass, err)
	}
	for _, wrong := range []string{"", " ", testPassword[1:], testPassword + " ", strings.ToUpper(testPassword),
		strings.Repeat("x", 1<<20)} {
		if _, err := g.Admit(wrong, here); !errors.Is(err, signal.ErrUnauthorized) {
			t.Errorf("%.30q: %v", wrong, err)
		}
	}
}

func TestGuessesAreLimitedPerSource(t *testing.T) {
	t.Parallel()
	for mode, right := range map[string]string{"password": testPassword, "jwt": token(t, jwt.MapClaims{})} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			g := newGuard(t, mode)
			for range 10 * guessBurst {
				if _, err := g.Admit(right, here); err != nil {
					t.Fatalf("what is right counts as a guess: %v", err)
				}
				if _, err := g.Admit("", here); !errors.Is(err, signal.ErrUnauthorized) {
					t.Fatalf("no token at all counts as a guess: %v", err)
				}
				if mode != "jwt" {
					continue
				}
				if _, err := g.Admit(token(t, jwt.MapClaims{"exp": 1}), here); !errors.Is(err, signal.ErrUnauthorized) {
					t.Fatalf("a token that has expired counts as a guess: %v", err)
				}
			}
			var refused int
			for range 10 * guessBurst {
				_, err := g.Admit("wrong", here)
				if errors.Is(err, signal.ErrTooManyGuesses) {
					refused++
				} else if !errors.Is(err, signal.ErrUnauthorized) {
					t.Fatalf("a wrong one: %v", err)
				}
			}
			if refused < 8*guessBurst {
				t.Errorf("%d of %d guesses were judged", 10*guessBurst-refused, 10*guessBurst)
			}
			tooMany := func(token string) func() bool {
				return func() bool {
					_, err := g.Admit(token, here)
					return errors.Is(err, signal.ErrTooManyGuesses)
				}
			}
			// Nobody guesses a signature: garbage locks out nobody who shares the address with it.
			got := testkit.Limited(guessBurst, tooMany("wrong"), tooMany(right))
			if want := mode == "password"; got != want {
				t.Errorf("after too many guesses, what is right is refused: %v", got)
			}
			if _, err := g.Admit(right, netip.MustParseAddr("192.0.2.2")); err != nil {
				t.Errorf("somebody else: %v", err)
			}
		})
	}
}

// Many guesses at one time are no way around the limit, and neither are many blocks of one line.
func TestAttackF4GuessesAtOneTime(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Password)
	for name, tc := range map[string]struct {
		from func(i int) netip.Addr
		most int
	}{
		"one source": {func(int) netip.Addr { return here }, guessBurst},
		"a /48 of IPv6": {func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 6: byte(i), 7: byte(i >> 8)})
		}, 16 * guessBurst},
	} {
		const guesses = 1000
		began := time.Now()
		looking, start, refused := make(chan struct{}), make(chan struct{}), make(chan struct{})
		for i := range guesses {
			go func() {
				err := g.look(tc.from(i), func() error {
					looking <- struct{}{}
					<-start // all that are looked at, are at one time
					return errWrong
				})
				if errors.Is(err, signal.ErrTooManyGuesses) {
					refused <- struct{}{}
				}
			}()
		}
		n := 0
		for range guesses {
			select {
			case <-looking:
				n++
			case <-refused:
			}
		}
		close(start)
		// Each second gives some more.
		if more := 4 * int(time.Since(began)/time.Second+1); n < tc.most || n > tc.most+more {
			t.Errorf("%s: %d guesses were looked at, want %d", name, n, tc.most)
		}
	}
}

// A school's clients come back at one time after a restart, from one address: all are right. The
// test is not parallel, since it has them run as on a large machine.
func TestAttackF4RightTokensAtOneTime(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(16))
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{"sub": "x", "exp": time.Now().Add(time.Hour).Unix()}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options Options
		token   string
	}{
		"a password": {Options{Mode: Password, Password: testPassword}, testPassword},
		"HS256":      {Options{Mode: JWT, JWTKey: testSecret}, token(t, claims)},
		"RS256": {Options{Mode: JWT, JWTKey: state.Secret(pem.EncodeToMemory(&pem.Block{
			Type: "PUBLIC KEY", Bytes: public,
		}))}, signed},
	} {
		g, err := New(c.options, nil)
		if err != nil {
			t.Fatal(err)
		}
		const clients, times = 400, 5
		var refused atomic.Int32
		var all sync.WaitGroup
		start := make(chan struct{})
		for range clients {
			all.Go(func() {
				<-start
				for range times {
					if _, err := g.Admit(c.token, here); err != nil {
						refused.Add(1)
					}
				}
			})
		}
		close(start)
		all.Wait()
		if n := refused.Load(); n != 0 {
			t.Errorf("%s: %d of %d right ones were refused", name, n, clients*times)
		}
	}
}

// Four customers of one provider, a /64 each, guess; a fifth knows the password.
func TestAttackF4NeighborsLockOutNobody(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Password)
	for _, from := range []string{"2001:db8:1:1::1", "2001:db8:1:101::1", "2001:db8:1:201::1", "2001:db8:1:301::1"} {
		for range guessBurst {
			if _, err := g.Admit("wrong", netip.MustParseAddr(from)); !isGuess(err) {
				t.Fatal(err)
			}
		}
	}
	if _, err := g.Admit(testPassword, netip.MustParseAddr("2001:db8:1:ff00::1")); err != nil {
		t.Error(err)
	}
}

// Mode open asks for nothing, and only that mode does: what is misspelled opens no box.
func TestOnlyOpenAsksForNothing(t *testing.T) {
	t.Parallel()
	if g := newGuard(t, Open); g.Asks() {
		t.Error("an open box asks for something")
	} else if _, err := g.Admit("", here); err != nil {
		t.Errorf("an open box: %v", err)
	}
	for _, mode := range []string{Password, JWT} {
		if !newGuard(t, mode).Asks() {
			t.Errorf("mode %s asks for nothing", mode)
		}
	}
	for _, mode := range []string{"", "passwort", "Open"} {
		if _, err := New(Options{Mode: mode, Password: testPassword, JWTKey: testSecret}, nil); err == nil ||
			!strings.Contains(err.Error(), "auth.mode: ") {
			t.Errorf("mode %q: %v", mode, err)
		}
	}
}
