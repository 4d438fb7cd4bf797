package admission

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"signalbox/signal"
)

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
		"another's": {claims: jwt.MapClaims{"users": 1, "names": 2, "role": "x", "roles": 1, "uid": 7, "rom": 1},
			want: "did you mean room?"},
		"others'":    {claims: jwt.MapClaims{"users": 1, "names": 2, "role": "x", "roles": 1, "uid": 7, "nonce": "n"}},
		"a capital":  {claims: jwt.MapClaims{"Room": "tea"}, want: `"Room" is no claim of this box's: did you mean r`},
		"swapped":    {claims: jwt.MapClaims{"roosm": "tea"}, want: "did you mean rooms?"},
		"misspelled": {claims: jwt.MapClaims{"romm": "tea"}, want: "did you mean room?"},
		"run on":     {claims: jwt.MapClaims{"roomPatterns": "*"}, want: "did you mean room_patterns?"},
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
		"user has a newline":  {claims: jwt.MapClaims{"user": "a\nb"}, want: "user contains a control character"},
		"user is turned":      {claims: jwt.MapClaims{"user": "a\u202eb"}, want: "user contains a control character"},
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
		"for somebody else":   {claims: jwt.MapClaims{"aud": "another"}, want: `aud does not name "signalbox"`},
		"for nobody":          {claims: jwt.MapClaims{"aud": nil}, want: `aud does not name "signalbox"`},
		"for us, too":         {claims: jwt.MapClaims{"aud": []string{"another", "signalbox"}}},
	} {
		t.Run(name, func(t *testing.T) { // at once: the claims are of this moment
			_, err := mustParseKey(t, testSecret).admit(token(t, tc.claims))
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (!errors.Is(err, signal.ErrUnauthorized) || isGuess(err) ||
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
	if pass, err = key.admit(token(t, jwt.MapClaims{"sub": "42"})); err != nil || pass.Key != "sub:42" ||
		pass.Subject != "42" {
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

// What is matched by pieces is what a regular expression would match.
func FuzzRoomPattern(f *testing.F) {
	f.Add("a*b*c", "abbc")
	f.Add("**", "")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 64 || len(name) > 64 {
			return
		}
		if got, want := Matches(pattern, name), matchesSlowly(pattern, name); got != want {
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

// A name is measured as the hub keeps it, however it was typed.
func TestClaimsAreMeasuredAsTheyAreKept(t *testing.T) {
	t.Parallel()
	typed := strings.Repeat("e\u0301", signal.MaxUser)
	pass, err := newGuard(t, JWT).Admit(token(t, jwt.MapClaims{"user": typed, "rooms": typed + typed}), here)
	kept := strings.Repeat("\u00e9", signal.MaxUser)
	if err != nil || pass.User != kept || !pass.Rooms(kept+kept) {
		t.Errorf("%+v, %v", pass, err)
	}
}
