package signalbox

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What the box's own command makes, the box takes: with every kind of key.
func TestMintedTokensAreTaken(t *testing.T) {
	t.Parallel()
	rsaKey, edKey := newRSA(t), newEd25519(t)
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
		"Ed25519":          {write(pemPublic(t, edKey.Public())), write(pemPrivate(t, edKey))},
	} {
		var c Config
		c.Auth.Mode, c.Auth.JWTKey = "jwt", Secret(tc.configured)
		made, err := MintToken(c, TokenRequest{
			Rooms: []string{"tea", "team-*"}, User: "alice", Name: "Alice", Subject: "42", Capacity: 3, TTL: time.Hour,
			KeyFile: tc.file,
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		rules, err := newAdmission(&c)
		if err != nil {
			t.Fatal(err)
		}
		pass, err := rules.admit(made.Token)
		if err != nil || pass.User != "alice" || pass.Name != "Alice" || pass.Capacity != 3 || !pass.Rooms("team-a") ||
			!pass.Rooms("tea") || pass.Rooms("cake") ||
			pass.Key == "" || pass.Key == "sub:42" || !pass.Expires.Equal(made.Expires.Add(tokenLeeway)) {
			t.Errorf("%s: %+v, %v", name, pass, err)
		}
	}
}

func TestMintRefuses(t *testing.T) {
	t.Parallel()
	var c Config
	c.Auth.JWTKey = testSecret
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
		"long room":          {TokenRequest{Rooms: []string{strings.Repeat("x", 129)}}, "room is longer than 128"},
		"too many rooms":     {TokenRequest{Rooms: many}, "name fewer rooms"},
		"bad name":           {TokenRequest{User: "a", Name: "\x1b[31m"}, "name has a control character"},
		"capacity":           {TokenRequest{User: "a", Capacity: -1}, "capacity is not a whole number"},
		"missing key":        {TokenRequest{User: "a", KeyFile: missing}, "no such file"},
		"short key":          {TokenRequest{User: "a", KeyFile: short}, "at least 32 characters"},
	} {
		tc.in.TTL = time.Hour
		if _, err := MintToken(c, tc.in); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", name, err, tc.want)
		}
	}
}

func TestLinksToRooms(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		set  []string
		room string
		want string
	}{
		{[]string{"public_host=call.example.org"}, "tea", "https://call.example.org:8443/call/tea#token=T"},
		{[]string{"public_host=call.example.org", "web.tls_listen=:443"}, "a/b?c#d e",
			"https://call.example.org/call/a%2Fb%3Fc%23d%20e#token=T"},
		{[]string{"public_host=2001:db8::1"}, "tea", "https://[2001:db8::1]:8443/call/tea#token=T"},
		{[]string{"public_host=2001:db8::1", "tls.mode=off"}, "tea", "https://[2001:db8::1]/call/tea#token=T"},
		{[]string{"public_host=call.example.org", "web.trusted_proxies=127.0.0.1"}, "tea",
			"https://call.example.org/call/tea#token=T"},
		{[]string{"public_host=call.example.org"}, "tea*", ""},
		{nil, "tea", ""},
	} {
		c, err := Load(LoadOptions{Set: tc.set})
		if err != nil {
			t.Fatal(err)
		}
		if got := callURL(&c, []string{tc.room}, "T"); got != tc.want {
			t.Errorf("%v %q: %s, want %s", tc.set, tc.room, got, tc.want)
		}
	}
}
