package admission

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/internal/state"
)

// What the box's own command makes, the box takes: with every kind of key.
func TestMintedTokensAreTaken(t *testing.T) {
	t.Parallel()
	rsaKey, ecKey, edKey := newRSA(t), newECDSA(t, elliptic.P256()), newEd25519(t)
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)}))
	for name, tc := range map[string]struct{ configured, file string }{
		"secret":           {testSecret, ""},
		"secret in a file": {testSecret, write(testSecret + "\n")},
		"RSA":              {pemPublic(t, &rsaKey.PublicKey), write(pemPrivate(t, rsaKey))},
		"RSA in PKCS #1":   {pemPublic(t, &rsaKey.PublicKey), write(pkcs1)},
		"ECDSA":            {pemPublic(t, &ecKey.PublicKey), write(pemPrivate(t, ecKey))},
		"Ed25519":          {write(pemPublic(t, edKey.Public())), write(pemPrivate(t, edKey))},
	} {
		jwtKey := state.Secret(tc.configured)
		made, err := Mint(jwtKey, TokenRequest{
			Rooms: []string{"tea", "a*"}, Patterns: []string{"team-*"}, User: "alice", Name: "Alice", Subject: "42",
			Capacity: 3, TTL: time.Hour, KeyFile: tc.file,
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		guard, err := New(Options{Mode: JWT, JWTKey: jwtKey}, nil)
		if err != nil {
			t.Fatal(err)
		}
		pass, err := guard.Admit(made.Token, here)
		if err != nil || pass.User != "alice" || pass.Name != "Alice" || pass.Capacity != 3 || !pass.Rooms("team-a") ||
			!pass.Rooms("tea") || pass.Rooms("cake") || !pass.Rooms("a*") || pass.Rooms("ab") ||
			pass.Key == "" || pass.Key == "sub:42" ||
			!pass.Expires.Equal(time.UnixMilli(made.Expires).Add(tokenLeeway)) {
			t.Errorf("%s: %+v, %v", name, pass, err)
		}
	}
}

func TestMintRefuses(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	many := make([]string, 500)
	for i := range many {
		many[i] = "a room of some name"
	}
	for name, tc := range map[string]struct {
		in   TokenRequest
		want string
	}{
		"nobody for nothing": {TokenRequest{}, "name a room"},
		"empty room":         {TokenRequest{Rooms: []string{""}}, "the name of a room is empty"},
		"long room":          {TokenRequest{Rooms: []string{strings.Repeat("x", 129)}}, "rooms is longer than 128"},
		"too many rooms":     {TokenRequest{Rooms: many}, "name fewer rooms"},
		"bad name":           {TokenRequest{User: "a", Name: "\x1b[31m"}, "name contains a control character"},
		"capacity":           {TokenRequest{User: "a", Capacity: -1}, "capacity is not a whole number"},
		"missing key":        {TokenRequest{User: "a", KeyFile: missing}, "no such file"},
		"short key":          {TokenRequest{User: "a", KeyFile: short}, "at least 32 characters"},
	} {
		tc.in.TTL = time.Hour
		if _, err := Mint(testSecret, tc.in); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", name, err, tc.want)
		}
	}
}
