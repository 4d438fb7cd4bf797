package admission

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"signalbox/internal/state"
	"signalbox/signal"
)

// A new key comes before the old one goes.
func TestHub6SeveralKeys(t *testing.T) {
	t.Parallel()
	ec := newECDSA(t, elliptic.P256())
	const old = "the secret of last year, which is long enough"
	g, err := New(Options{Mode: JWT, JWTKey: testSecret,
		OldJWTKeys: []state.Secret{old, state.Secret(pemPublic(t, &ec.PublicKey))}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]struct {
		method jwt.SigningMethod
		key    any
		ok     bool
	}{
		"new": {jwt.SigningMethodHS256, []byte(testSecret), true}, "old": {jwt.SigningMethodHS256, []byte(old), true},
		"ES256": {jwt.SigningMethodES256, ec, true}, "other": {jwt.SigningMethodHS256, []byte(old + "x"), false},
		"other ES256": {jwt.SigningMethodES256, newECDSA(t, elliptic.P256()), false},
		"confused":    {jwt.SigningMethodHS256, []byte(pemPublic(t, &ec.PublicKey)), false},
	} {
		made := jwt.NewWithClaims(s.method, jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix()})
		made.Header["kid"] = "whatever" // ours have no names
		text, err := made.SignedString(s.key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Admit(text, here); (err == nil) != s.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Options{Mode: JWT, JWTKey: testSecret, OldJWTKeys: []state.Secret{"short"}}, nil); err == nil ||
		!strings.HasPrefix(err.Error(), "auth.old_jwt_keys") {
		t.Error(err)
	}
}

// jwks is a set of public keys as an issuer serves it.
func jwks(t testing.TB, keys ...jose.JSONWebKey) []byte {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// signedBy is a token that names its key.
func signedBy(t testing.TB, method jwt.SigningMethod, key any, id string) string {
	t.Helper()
	made := jwt.NewWithClaims(method, jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix(), "rooms": "tea"})
	if id != "" {
		made.Header["kid"] = id
	}
	text, err := made.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestHub6KeySetInAFile(t *testing.T) {
	t.Parallel()
	ec, rsaKey, ed := newECDSA(t, elliptic.P256()), newRSA(t), newEd25519(t)
	path := filepath.Join(t.TempDir(), "keys.json")
	unusable := []jose.JSONWebKey{{Key: newECDSA(t, elliptic.P384()).Public(), KeyID: "p384"},
		{Key: ed, KeyID: "private"}, {Key: &rsaKey.PublicKey, KeyID: "enc", Use: "enc"},
		{Key: []byte(testSecret), KeyID: "oct"},
		{Key: &rsaKey.PublicKey, KeyID: "ps", Algorithm: "PS256"}}
	text := jwks(t, append(unusable, jose.JSONWebKey{Key: &ec.PublicKey, KeyID: "a", Use: "sig"},
		jose.JSONWebKey{Key: &rsaKey.PublicKey, KeyID: "b", Algorithm: "RS256"},
		jose.JSONWebKey{Key: ed.Public(), KeyID: "c"})...)
	text = bytes.Replace(text, []byte(`"keys":[`), []byte(`"keys":[{"kty":"new","kid":"d"},`), 1)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := New(Options{Mode: JWT, JWTKey: state.Secret(path)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		token string
		ok    bool
	}{
		"ES256":           {signedBy(t, jwt.SigningMethodES256, ec, "a"), true},
		"RS256":           {signedBy(t, jwt.SigningMethodRS256, rsaKey, "b"), true},
		"EdDSA":           {signedBy(t, jwt.SigningMethodEdDSA, ed, "c"), true},
		"PS256":           {signedBy(t, jwt.SigningMethodPS256, rsaKey, "ps"), false},
		"without a kid":   {signedBy(t, jwt.SigningMethodES256, ec, ""), true},
		"the wrong kid":   {signedBy(t, jwt.SigningMethodES256, ec, "b"), false},
		"an unknown kid":  {signedBy(t, jwt.SigningMethodES256, ec, "z"), false},
		"a shared secret": {signedBy(t, jwt.SigningMethodHS256, []byte(testSecret), "oct"), false},
	} {
		if _, err := g.Admit(tc.token, here); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, broken := range map[string]string{
		"nothing usable": string(jwks(t, unusable...)), "no JSON": "{", "empty": `{"keys":[]}`,
	} {
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Options{Mode: JWT, JWTKey: state.Secret(path)}, nil); err == nil ||
			!strings.Contains(err.Error(), "JWKS") || strings.Contains(err.Error(), path) ||
			strings.Contains(err.Error(), "%!") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// memory is a Cache.
type memory map[string][]byte

func (m memory) Read(name string) ([]byte, error) {
	if text, ok := m[name]; ok {
		return text, nil
	}
	return nil, os.ErrNotExist
}

func (m memory) Write(name string, data []byte) error {
	m[name] = data
	return nil
}

// Keys at an address are fetched in the background; what can't be read does not replace what could,
// also over a restart; a token with an unknown key has them fetched, but not each one.
func TestHub6KeySetAtAnAddress(t *testing.T) {
	t.Parallel()
	first, second := newECDSA(t, elliptic.P256()), newECDSA(t, elliptic.P256())
	var served atomic.Pointer[[]byte]
	var fetches atomic.Int64
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		w.Write(*served.Load()) //nolint:errcheck // the client is gone
	}))
	defer issuer.Close()
	serve := func(text []byte) { served.Store(&text) }
	serve(jwks(t, jose.JSONWebKey{Key: &first.PublicKey, KeyID: "1"}))
	cache := memory{}
	o := Options{Mode: JWT, JWTKey: state.Secret(issuer.URL), Cache: cache}
	g, err := New(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	old, fresh := signedBy(t, jwt.SigningMethodES256, first, "1"), signedBy(t, jwt.SigningMethodES256, second, "2")
	if _, err := g.Admit(old, here); !errors.Is(err, signal.ErrTooManyGuesses) || fetches.Load() != 0 {
		t.Fatalf("before the first fetch: %v", err)
	}
	set := (*g.inForce.Load()).(*tokens).fetched[0]
	log := slog.New(slog.DiscardHandler)
	refresh := func() { set.refresh(t.Context(), log) }
	refresh()
	if _, err := g.Admit(old, here); err != nil {
		t.Fatal(err)
	}

	// The issuer has another key; the box looks for it only so often.
	serve(jwks(t, jose.JSONWebKey{Key: &second.PublicKey, KeyID: "2"}))
	if _, err := g.Admit(fresh, here); !isGuess(err) {
		t.Errorf("an unknown key just after a fetch: %v", err)
	}
	refresh()
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	set.tried.Store(time.Now().Add(-missedPause).UnixNano())
	if _, err := g.Admit(fresh, here); !errors.Is(err, signal.ErrTooManyGuesses) {
		t.Errorf("an unknown key: %v", err)
	}
	refresh()
	if _, err := g.Admit(fresh, here); err != nil || fetches.Load() != 2 {
		t.Errorf("after %d fetches: %v", fetches.Load(), err)
	}

	// What is broken, or too large, replaces nothing; nor does a start without the issuer.
	for _, broken := range [][]byte{[]byte("<html>"), []byte(`{"keys":[]}`),
		append(jwks(t, jose.JSONWebKey{Key: &first.PublicKey, KeyID: "1"}), bytes.Repeat([]byte(" "), maxKeySet)...)} {
		serve(broken)
		set.due = time.Time{}
		refresh()
		if _, err := g.Admit(fresh, here); err != nil {
			t.Fatalf("after a broken set: %v", err)
		}
	}
	issuer.Close()
	again, err := New(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Admit(fresh, here); err != nil {
		t.Errorf("after a restart without the issuer: %v", err)
	}
	// A reload keeps what is there.
	commit, err := g.Prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	commit()
	if (*g.inForce.Load()).(*tokens).fetched[0] != set {
		t.Error("a reload forgets the set")
	}
}

// announced is a Cache that says when something is written.
type announced struct{ kept chan struct{} }

func (announced) Read(string) ([]byte, error) { return nil, os.ErrNotExist }

func (a announced) Write(string, []byte) error {
	a.kept <- struct{}{}
	return nil
}

// Keep fetches at once, and ends with its context.
func TestHub6KeepFetches(t *testing.T) {
	t.Parallel()
	key := newECDSA(t, elliptic.P256())
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(jwks(t, jose.JSONWebKey{Key: &key.PublicKey})) //nolint:errcheck // the client is gone
	}))
	defer issuer.Close()
	kept := make(chan struct{}, 1)
	g, err := New(Options{Mode: JWT, JWTKey: state.Secret(issuer.URL), Cache: announced{kept}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.Keep(ctx, slog.New(slog.DiscardHandler))
	}()
	<-kept
	if _, err := g.Admit(signedBy(t, jwt.SigningMethodES256, key, ""), here); err != nil {
		t.Error(err)
	}
	cancel()
	<-done
}

func TestHub6KeySetAddresses(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{
		"https://id.example.org/jwks": true, "http://127.0.0.1:8000/jwks": true, "http://localhost/jwks": true,
		"http://id.example.org/jwks": false, "https://": false, "https://u:p@id.example.org/": false,
	} {
		if err := CheckJWTKey(state.Secret(address)); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	for header, want := range map[string]time.Duration{
		"": keepKeys, "public, max-age=3600": time.Hour, "max-age=0": minKeepKeys, "max-age=9999999999999": maxKeepKeys,
		"no-store": keepKeys,
	} {
		if got := keepFor(header); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}

// The private half of a key in a set signs what the box takes.
func TestHub6MintForAKeySet(t *testing.T) {
	t.Parallel()
	ec, dir := newECDSA(t, elliptic.P256()), t.TempDir()
	set, private := filepath.Join(dir, "keys.json"), filepath.Join(dir, "key.pem")
	for path, text := range map[string]string{
		set: string(jwks(t, jose.JSONWebKey{Key: &ec.PublicKey, KeyID: "1"})), private: pemPrivate(t, ec),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, configured := range []state.Secret{state.Secret(set), "https://id.example.org/jwks"} {
		r := TokenRequest{Rooms: []string{"tea"}, TTL: time.Hour}
		if _, err := Mint(configured, r); err == nil || !strings.Contains(err.Error(), "only verifies") {
			t.Errorf("%v", err)
		}
		r.KeyFile = private
		made, err := Mint(configured, r)
		if err != nil {
			t.Fatal(err)
		}
		g, err := New(Options{Mode: JWT, JWTKey: state.Secret(set)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Admit(made.Token, here); err != nil {
			t.Error(err)
		}
	}
}
