package admission

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"signalbox/internal/state"
	"signalbox/signal"
)

// pemPublic is a public key as operators have it.
func pemPublic(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func pemPrivate(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func newRSA(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, minRSABits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newECDSA(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEd25519(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// admit is tokens.admit for a single key.
func (k *verifier) admit(text string) (signal.Pass, error) {
	return (&tokens{own: []*verifier{k}}).admit(text)
}

func mustParseKey(t testing.TB, text string) *verifier {
	t.Helper()
	key, err := parseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The kind of the key decides the algorithm: no token that is signed in another way gets in,
// whatever its header says.
func TestTokensAreVerifiedByTheKeysOwnAlgorithm(t *testing.T) {
	t.Parallel()
	rsaKey, edKey := newRSA(t), newEd25519(t)
	rsaPEM, edPEM := pemPublic(t, &rsaKey.PublicKey), pemPublic(t, edKey.Public())
	claims := jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix(), "room": "tea"}
	signed := map[string]string{}
	for name, s := range map[string]struct {
		method jwt.SigningMethod
		key    any
	}{
		"HS256": {jwt.SigningMethodHS256, []byte(testSecret)}, "HS384": {jwt.SigningMethodHS384, []byte(testSecret)},
		"HS512":         {jwt.SigningMethodHS512, []byte(testSecret)},
		"another HS256": {jwt.SigningMethodHS256, []byte(testSecret + "x")},
		"RS256":         {jwt.SigningMethodRS256, rsaKey}, "RS384": {jwt.SigningMethodRS384, rsaKey},
		"PS256": {jwt.SigningMethodPS256, rsaKey},
		"EdDSA": {jwt.SigningMethodEdDSA, edKey}, "another EdDSA": {jwt.SigningMethodEdDSA, newEd25519(t)},
		"none": {jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType},
		// Algorithm confusion: the public key, which everybody has, as a secret.
		"HS256 with the RSA PEM":     {jwt.SigningMethodHS256, []byte(rsaPEM)},
		"HS256 with the Ed25519 PEM": {jwt.SigningMethodHS256, []byte(edPEM)},
		"HS256 with the Ed25519 key": {jwt.SigningMethodHS256, []byte(edKey.Public().(ed25519.PublicKey))},
		"HS256 with nothing":         {jwt.SigningMethodHS256, []byte{}},
	} {
		text, err := jwt.NewWithClaims(s.method, claims).SignedString(s.key)
		if err != nil {
			t.Fatal(name, err)
		}
		signed[name] = text
	}
	for name, configured := range map[string]string{"HS256": testSecret, "RS256": rsaPEM, "EdDSA": edPEM} {
		key := mustParseKey(t, configured)
		for made, text := range signed {
			_, err := key.admit(text)
			if made == name && err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if made != name && (!isGuess(err) || !strings.Contains(err.Error(), name)) {
				t.Errorf("%s lets in %s, or does not say what it wants: %v", name, made, err)
			}
		}
	}
}

func TestTokenWithCriticalHeadersIsRefused(t *testing.T) {
	t.Parallel()
	made := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix()})
	made.Header["crit"] = []string{"b64"}
	text, err := made.SignedString([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mustParseKey(t, testSecret).admit(text); !errors.Is(err, signal.ErrUnauthorized) {
		t.Error(err)
	}
}

func TestJWTKeyIsWhatItLooksLike(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rsaKey, edKey := newRSA(t), newEd25519(t)
	ecKey := newECDSA(t, elliptic.P256())
	public := pemPublic(t, edKey.Public())
	// 1024 bits, of which nobody has the private half
	short := rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY",
		Bytes: x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)}))
	block, _ := pem.Decode([]byte(public))
	for name, tc := range map[string]struct {
		key  string
		alg  string
		want string // of the error
	}{
		"secret":            {key: testSecret, alg: "HS256"},
		"short secret":      {key: "short", want: "want a secret of at least 32 characters"},
		"RSA":               {key: pemPublic(t, &rsaKey.PublicKey), alg: "RS256"},
		"RSA in PKCS #1":    {key: pkcs1, alg: "RS256"},
		"short RSA":         {key: pemPublic(t, &short), want: "an RSA key of 1024 bits: want at least 2048"},
		"Ed25519":           {key: public, alg: "EdDSA"},
		"words around it":   {key: "my key\n" + public + "\n\n", alg: "EdDSA"},
		"path":              {key: write("key.pem", public), alg: "EdDSA"},
		"path without .pem": {key: write("a long name that could be a secret as well", public), alg: "EdDSA"},
		"missing file": {key: "/nowhere/a long name that could be a secret as well",
			want: "read the file that it names"},
		"missing .pem": {key: "a long name that could be a secret as well.pem",
			want: "read the file that it names"},
		"file with a secret": {key: write("secret.pem", testSecret), want: "is not a PEM file"},
		"private key":        {key: pemPrivate(t, edKey), want: "this is a private key"},
		"ECDSA":              {key: pemPublic(t, &ecKey.PublicKey), alg: "ES256"},
		"other curve": {key: pemPublic(t, &newECDSA(t, elliptic.P384()).PublicKey),
			want: "an ECDSA key on P-384: want P-256"},
		"certificate": {key: strings.ReplaceAll(public, "PUBLIC KEY", "CERTIFICATE"),
			want: `type "CERTIFICATE": want PUBLIC KEY`},
		"two keys":   {key: public + public, want: "more than one PEM block"},
		"broken PEM": {key: strings.ReplaceAll(public, "END", "FIN"), want: "the PEM text is broken"},
		"broken key": {key: strings.Replace(public, "MC", "AA", 1), want: "parse the public key"},
		"no PEM around it": {key: base64.StdEncoding.EncodeToString(block.Bytes),
			want: "this is a public key without its BEGIN and END lines"},
		"JWK": {key: `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			want: "this is a public key"},
		"for ssh": {key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUJz", want: "this is a public key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, err := loadKeys(state.Secret(tc.key))
			switch {
			case tc.want == "" && err != nil:
				t.Fatal(err)
			case tc.want == "":
				if len(keys) != 1 || keys[0].method.Alg() != tc.alg {
					t.Errorf("used with %s, want %s", keys[0].method.Alg(), tc.alg)
				}
			case err == nil || !strings.Contains(err.Error(), tc.want):
				t.Errorf("error %v, want %q", err, tc.want)
			case strings.Contains(err.Error(), tc.key):
				t.Errorf("the error repeats what may be a secret: %v", err)
			}
		})
	}
}

// Whatever a token says, it is refused or within the limits of the protocol.
func FuzzToken(f *testing.F) {
	key, err := parseKey(testSecret)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"alg":"HS256"}`),
		[]byte(`{"exp":4000000000,"room":["a*b*","c"],"name":"n","user":"u","capacity":3,"jti":"j"}`))
	f.Add([]byte(`{"alg":"none"}`), []byte(`{"exp":1e300,"aud":["x"],"sub":"\u202e"}`))
	f.Add([]byte(`{"alg":"HS256","crit":["exp"]}`), []byte(`null`))
	f.Fuzz(func(t *testing.T, header, payload []byte) {
		encode := base64.RawURLEncoding.EncodeToString
		text := encode(header) + "." + encode(payload)
		if _, err := key.admit(text + "."); err == nil {
			t.Fatalf("without a signature: %s", text)
		}
		signature, err := jwt.SigningMethodHS256.Sign(text, []byte(testSecret))
		if err != nil {
			t.Fatal(err)
		}
		pass, err := key.admit(text + "." + encode(signature))
		if err != nil {
			if !errors.Is(err, signal.ErrUnauthorized) {
				t.Fatalf("%v is no refusal", err)
			}
			return
		}
		for _, s := range []string{pass.Name, pass.User, pass.Key} {
			if !utf8.ValidString(s) || strings.ContainsFunc(s, signal.Unprintable) ||
				utf8.RuneCountInString(s) > len("sub:")+maxKeyClaim {
				t.Errorf("smuggled in: %q", s)
			}
		}
		if pass.Key == "" || !pass.Attested || pass.Capacity < 0 || pass.Capacity > maxCapacity ||
			!pass.Expires.After(time.Now()) {
			t.Errorf("%+v of %s", pass, payload)
		}
		pass.Rooms("a room of some name")
	})
}
