package admission

import (
	"bytes"
	"crypto/elliptic"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"signalbox/internal/state"
	"signalbox/signal"
)

// A box that has never reached the issuer can't judge: it has everybody come back, and says so to
// nobody as if the token were wrong. Nor is anybody slowed down for it.
func TestHub6WithoutAnyKeysNobodyIsWrong(t *testing.T) {
	t.Parallel()
	issuer := httptest.NewServer(http.NotFoundHandler())
	defer issuer.Close()
	g, err := New(Options{Mode: JWT, JWTKey: state.Secret(issuer.URL)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	(*g.inForce.Load()).(*tokens).fetched[0].refresh(t.Context(), slog.New(slog.DiscardHandler))
	token := signedBy(t, jwt.SigningMethodES256, newECDSA(t, elliptic.P256()), "1")
	for i := range 2 * guessBurst {
		var again *tryAgain
		if _, err := g.Admit(token, here); !errors.As(err, &again) {
			t.Fatalf("token %d: %v", i, err)
		}
	}
	if _, err := g.Admit("garbage", here); !isGuess(err) && !errors.Is(err, signal.ErrTooManyGuesses) {
		t.Errorf("what is no token at all: %v", err)
	}
}

// full is a Cache on a full disk.
type full struct{ memory }

func (full) Write(string, []byte) error { return errors.New("no space left on device") }

// Keys that can't be kept for the next start are in force nevertheless: the box says which of the
// two has failed, and leaves the issuer in peace.
func TestHub6KeysOnAFullDisk(t *testing.T) {
	t.Parallel()
	key := newECDSA(t, elliptic.P256())
	var fetches atomic.Int64
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		w.Write(jwks(t, jose.JSONWebKey{Key: &key.PublicKey})) //nolint:errcheck // the client is gone
	}))
	defer issuer.Close()
	g, err := New(Options{Mode: JWT, JWTKey: state.Secret(issuer.URL), Cache: full{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	due := (*g.inForce.Load()).(*tokens).fetched[0].refresh(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
	if _, err := g.Admit(signedBy(t, jwt.SigningMethodES256, key, ""), here); err != nil {
		t.Error(err)
	}
	if time.Until(due) < keepKeys/2 {
		t.Errorf("the next fetch is in %v", time.Until(due))
	}
	if text := log.String(); strings.Contains(text, "can't fetch") || !strings.Contains(text, "no space left") {
		t.Errorf("the log says %s", text)
	}
}

// A clock that is set back does not keep the box from looking for a new key.
func TestHub6AClockSetBackHidesNoKey(t *testing.T) {
	t.Parallel()
	s := &keySet{wake: func() {}}
	s.tried.Store(time.Now().Add(time.Hour).UnixNano()) // before the clock was set back
	if !s.want() {
		t.Error("no fetch")
	}
}

// What an issuer says about caching that can't be read is not taken for the longest time.
func TestHub6KeepFor(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"": keepKeys, "no-store": keepKeys, "max-age=600": 10 * time.Minute, `public, max-age="600"`: 10 * time.Minute,
		"max-age=0": minKeepKeys, "max-age=1": minKeepKeys, "max-age=99999999": maxKeepKeys,
		"max-age=99999999999999999999999": maxKeepKeys, "max-age=soon": keepKeys, "max-age=": keepKeys,
		"max-age=-5": keepKeys,
	} {
		if got := keepFor(header); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}
