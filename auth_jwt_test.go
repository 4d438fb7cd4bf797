package signalbox

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
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

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

func newEd25519(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func mustParseKey(t testing.TB, text string) *jwtKey {
	t.Helper()
	key, err := parseJWTKey(text)
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
			if made != name && (!errors.Is(err, errWrong) || !strings.Contains(err.Error(), name)) {
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

func TestTokenClaims(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, tc := range map[string]struct {
		claims jwt.MapClaims
		want   string // of the error; empty: none
	}{
		"everything": {claims: jwt.MapClaims{
			"sub": "42", "name": "Alice", "user": "alice", "room": []string{"tea", "team-*"}, "capacity": 3,
			"nbf": now.Unix(), "jti": "j", "aud": "signalbox",
		}},
		"nothing": {claims: jwt.MapClaims{}},
		"unknown": {claims: jwt.MapClaims{"iss": "me", "iat": now.Unix(), "color": []int{1}}},
		"expired": {claims: jwt.MapClaims{"exp": now.Add(-31 * time.Second).Unix()},
			want: "the token has expired"},
		"just expired":        {claims: jwt.MapClaims{"exp": now.Add(-20 * time.Second).Unix()}},
		"not yet":             {claims: jwt.MapClaims{"nbf": now.Add(40 * time.Second).Unix()}, want: "not valid yet"},
		"a slow clock":        {claims: jwt.MapClaims{"nbf": now.Add(20 * time.Second).Unix()}},
		"exp is 0":            {claims: jwt.MapClaims{"exp": 0}, want: "no exp"},
		"exp is text":         {claims: jwt.MapClaims{"exp": "tomorrow"}, want: "exp or nbf is not a number"},
		"exp is null":         {claims: jwt.MapClaims{"exp": nil}, want: "exp or nbf is not a number"},
		"exp in milliseconds": {claims: jwt.MapClaims{"exp": now.Add(time.Hour).UnixMilli()}, want: "not milliseconds"},
		"exp is endless":      {claims: jwt.MapClaims{"exp": 1e300}, want: "unauthorized"},
		"nbf is text":         {claims: jwt.MapClaims{"nbf": "now"}, want: "exp or nbf is not a number"},
		"name is a number":    {claims: jwt.MapClaims{"name": 1}, want: "name is not text"},
		"name is null":        {claims: jwt.MapClaims{"name": nil}, want: "name is not text"},
		"name is long":        {claims: jwt.MapClaims{"name": strings.Repeat("é", 65)}, want: "name is longer than 64"},
		"name is full":        {claims: jwt.MapClaims{"name": strings.Repeat("é", 64)}},
		"user is a list":      {claims: jwt.MapClaims{"user": []string{"a"}}, want: "user is not text"},
		"user has a newline":  {claims: jwt.MapClaims{"user": "a\nb"}, want: "user has a control character"},
		"user is turned":      {claims: jwt.MapClaims{"user": "a\u202eb"}, want: "user has a control character"},
		"jti is a number":     {claims: jwt.MapClaims{"jti": 7}, want: "jti is not text"},
		"sub is long":         {claims: jwt.MapClaims{"sub": strings.Repeat("x", 256)}, want: "sub is longer than 255"},
		"room is a number":    {claims: jwt.MapClaims{"room": 7}, want: "room is not text"},
		"room is null":        {claims: jwt.MapClaims{"room": nil}, want: "room is not text"},
		"a room is a number":  {claims: jwt.MapClaims{"room": []any{"a", 7}}, want: "room is not text"},
		"a room is long": {claims: jwt.MapClaims{"room": []any{strings.Repeat("x", 129)}},
			want: "room is longer than 128"},
		"capacity is text":    {claims: jwt.MapClaims{"capacity": "3"}, want: "capacity is not a whole number"},
		"capacity is 0":       {claims: jwt.MapClaims{"capacity": 0}, want: "capacity is not a whole number"},
		"capacity is broken":  {claims: jwt.MapClaims{"capacity": 2.5}, want: "capacity is not a whole number"},
		"capacity is endless": {claims: jwt.MapClaims{"capacity": 1e300}, want: "capacity is not a whole number"},
		"for somebody else":   {claims: jwt.MapClaims{"aud": "another"}, want: "aud names somebody else"},
		"for nobody":          {claims: jwt.MapClaims{"aud": nil}, want: "aud names somebody else"},
		"for us, too":         {claims: jwt.MapClaims{"aud": []string{"another", "signalbox"}}},
	} {
		t.Run(name, func(t *testing.T) { // at once: the claims are of this moment
			_, err := mustParseKey(t, testSecret).admit(token(t, tc.claims))
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (!errors.Is(err, signal.ErrUnauthorized) || errors.Is(err, errWrong) ||
				!strings.Contains(err.Error(), tc.want)):
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256,
		jwt.MapClaims{"room": "tea"}).SignedString([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mustParseKey(t, testSecret).admit(text); !errors.Is(err, signal.ErrUnauthorized) ||
		!strings.Contains(err.Error(), "no exp") {
		t.Errorf("without exp: %v", err)
	}
}

func TestTokenSaysWhoItsBearerIs(t *testing.T) {
	t.Parallel()
	key := mustParseKey(t, testSecret)
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	pass, err := key.admit(token(t, jwt.MapClaims{"exp": expires.Unix(), "jti": "j", "sub": "42", "name": "Alice",
		"user": "alice", "capacity": 3, "room": "tea"}))
	if err != nil {
		t.Fatal(err)
	}
	if !pass.Attested || pass.Name != "Alice" || pass.User != "alice" || pass.Capacity != 3 || pass.Key != "j" ||
		!pass.Expires.Equal(expires.Add(tokenLeeway)) {
		t.Errorf("%+v", pass)
	}
	if pass, err = key.admit(token(t, jwt.MapClaims{"sub": "42"})); err != nil || pass.Key != "sub:42" {
		t.Errorf("without jti it is %q: %v", pass.Key, err)
	}

	// A token without a name of its own is known by what was signed, however its signature is
	// written.
	text := token(t, jwt.MapClaims{"room": "tea"})
	pass, err = key.admit(text)
	if err != nil || len(pass.Key) < 32 || strings.Contains(text, strings.TrimPrefix(pass.Key, "sha256:")) {
		t.Fatalf("without jti and sub it is %q: %v", pass.Key, err)
	}
	alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, text[len(text)-1])
	again := text[:len(text)-1] + string(alphabet[last^1]) // a bit that the signature's 32 bytes have no use for
	if other, err := key.admit(again); err == nil && other.Key != pass.Key {
		t.Errorf("a ban is escaped by writing the same signature in another way: %q, %q", pass.Key, other.Key)
	}
}

func TestRoomPatterns(t *testing.T) {
	t.Parallel()
	key := mustParseKey(t, testSecret)
	for _, tc := range []struct {
		claim any
		yes   []string
		no    []string
	}{
		{"tea", []string{"tea"}, []string{"", "tea ", "Tea", "te", "teaa"}},
		{"*", []string{"", "tea", "a*b"}, nil},
		{"team-*", []string{"team-", "team-a", "team-*"}, []string{"team", "xteam-a"}},
		{"*-team", []string{"-team", "a-team", "-team-team"}, []string{"team", "a-team-b"}},
		{"a*b*c", []string{"abc", "axbxc", "abbcc", "abcbc"}, []string{"ab", "acb", "abcd", "ac"}},
		{"a*a", []string{"aa", "aba"}, []string{"a"}},
		{"a**a", []string{"aa", "aba"}, []string{"a"}},
		{"*a*", []string{"a", "bab"}, []string{"", "b"}},
		{[]string{"tea", "cake-*"}, []string{"tea", "cake-1"}, []string{"cake", "coffee"}},
		{[]string{}, nil, []string{"", "tea"}},
		{nil, nil, []string{"", "tea"}}, // no claim at all: such a token is for calls
	} {
		claims := jwt.MapClaims{}
		if tc.claim != nil {
			claims["room"] = tc.claim
		}
		pass, err := key.admit(token(t, claims))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Concat(tc.yes, tc.no) {
			if got, want := pass.Rooms(name), slices.Contains(tc.yes, name); got != want {
				t.Errorf("%v and %q: %v", tc.claim, name, got)
			}
		}
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
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
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
		"file with a secret": {key: write("secret.pem", testSecret), want: "is no PEM file"},
		"private key":        {key: pemPrivate(t, edKey), want: "this is a private key"},
		"other kind":         {key: pemPublic(t, &ecKey.PublicKey), want: "want RSA or Ed25519"},
		"certificate": {key: strings.ReplaceAll(public, "PUBLIC KEY", "CERTIFICATE"),
			want: `type "CERTIFICATE": want PUBLIC KEY`},
		"two keys":   {key: public + public, want: "more than one PEM block"},
		"broken PEM": {key: strings.ReplaceAll(public, "END", "FIN"), want: "the PEM text is broken"},
		"broken key": {key: strings.Replace(public, "MC", "AA", 1), want: "parse the public key"},
		"no PEM around it": {key: base64.StdEncoding.EncodeToString(block.Bytes),
			want: "this is a public key, but not in PEM"},
		"JWK": {key: `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			want: "this is a public key"},
		"for ssh": {key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUJz", want: "this is a public key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := loadJWTKey(Secret(tc.key))
			switch {
			case tc.want == "" && err != nil:
				t.Fatal(err)
			case tc.want == "":
				if key.method.Alg() != tc.alg {
					t.Errorf("used with %s, want %s", key.method.Alg(), tc.alg)
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
	key, err := parseJWTKey(testSecret)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"alg":"HS256"}`), []byte(`{"exp":4000000000,"room":["a*b*","c"],"name":"n","user":"u","capacity":3,"jti":"j"}`))
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
			if !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable) ||
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

// What is matched by pieces is what a regular expression would match.
func FuzzRoomPattern(f *testing.F) {
	f.Add("a*b*c", "abbc")
	f.Add("**", "")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 64 || len(name) > 64 {
			return
		}
		if got, want := matches(pattern, name), matchesSlowly(pattern, name); got != want {
			t.Errorf("%q, %q: %v, want %v", pattern, name, got, want)
		}
	})
}

// matchesSlowly is the definition: star by star, each with every length.
func matchesSlowly(pattern, name string) bool {
	fits := make([]bool, len(name)+1) // whether the pattern so far fits the first i bytes
	fits[0] = true
	for _, p := range []byte(pattern) {
		next := make([]bool, len(fits))
		for i := range fits {
			switch {
			case p == '*':
				next[i] = fits[i] || i > 0 && next[i-1]
			default:
				next[i] = i > 0 && fits[i-1] && name[i-1] == p
			}
		}
		fits = next
	}
	return fits[len(name)]
}
