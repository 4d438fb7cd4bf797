package admission

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"signalbox/internal/fault"
	"signalbox/internal/state"
	"signalbox/signal"
)

// tokens is mode JWT: it takes room tokens (RFC 7519) that one of several keys has signed, so that
// a new key can come before the old one goes.
type tokens struct {
	own     []*verifier
	fetched []*keySet
	matched func() // told of tokens with a pattern in room; nil: nobody is
}

// loadTokens reads the keys: those in the options, those in files, and those that were fetched from
// an address before. before has the sets that are in force already; nil: none. wake has Guard.Keep
// look.
func loadTokens(o Options, wake func(), before *tokens) (*tokens, error) {
	t := &tokens{}
	for i, configured := range append([]state.Secret{o.JWTKey}, o.OldJWTKeys...) {
		name := "auth.jwt_key"
		if i > 0 {
			name = "auth.old_jwt_keys"
		}
		if text := string(configured); isURL(text) {
			if err := checkURL(text); err != nil {
				return nil, fault.New(name, "%w", err)
			}
			t.fetched = append(t.fetched, fetchedFrom(text, o.Cache, wake, before))
			continue
		}
		keys, err := loadKeys(configured)
		if err != nil {
			return nil, fault.New(name, "%w", err)
		}
		t.own = append(t.own, keys...)
	}
	return t, nil
}

// loadKeys takes a key, or the path of its PEM file or of a set of keys in JSON. Its errors don't
// repeat what it takes: what looks like a path may be a secret.
func loadKeys(configured state.Secret) ([]*verifier, error) {
	text := string(configured)
	if isPath(text) {
		file, err := os.ReadFile(text)
		var at *fs.PathError
		switch text = string(file); {
		case errors.As(err, &at):
			return nil, fmt.Errorf("read the file that it names: %w", at.Err)
		case err != nil:
			return nil, errors.New("can't read the file that it names")
		case strings.HasPrefix(strings.TrimSpace(text), "{"):
			return parseKeySet(file)
		case !isPEM(text):
			return nil, errors.New("the file that it names is not a PEM file")
		}
	}
	key, err := parseKey(text)
	return []*verifier{key}, err
}

// algorithms are those of all keys that are known, as clients are told them.
func (t *tokens) algorithms() string {
	var names []string
	for _, key := range t.known() {
		if name := key.method.Alg(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

func (t *tokens) known() []*verifier {
	all := slices.Clone(t.own)
	for _, set := range t.fetched {
		all = append(all, *set.keys.Load()...)
	}
	return all
}

var (
	errCritical = errors.New("it has critical header parameters") // RFC 7515 §4.1.11: we understand none of them
	errNoKey    = errors.New("no key of that name")
)

// keysFor finds the keys that a token may be signed with. The kind of a key decides the algorithm;
// the token's header must only agree (RFC 8725 §3.1). A token that names its key is only tried with
// that one, and with those of ours that have no name.
func (t *tokens) keysFor(token *jwt.Token) (any, error) {
	if _, ok := token.Header["crit"]; ok {
		return nil, errCritical
	}
	id, _ := token.Header["kid"].(string)
	var fit jwt.VerificationKeySet
	for _, key := range t.known() {
		if key.method.Alg() == token.Method.Alg() && (id == "" || key.id == "" || key.id == id) {
			fit.Keys = append(fit.Keys, key.key)
		}
	}
	if len(fit.Keys) == 0 {
		return nil, errNoKey
	}
	return fit, nil
}

// isGuessed implements judge: nobody guesses a signature.
func (t *tokens) isGuessed() bool { return false }

// admit implements judge.
func (t *tokens) admit(text string) (signal.Pass, error) {
	now := time.Now()
	claims := jwt.MapClaims{}
	token, err := tokenParser().ParseWithClaims(text, claims, t.keysFor)
	switch {
	case err == nil:
		pass, err := readClaims(claims)
		if err != nil {
			return signal.Pass{}, refusef("the token's claim %v", err)
		}
		if t.matched != nil && hasPattern(claims["room"]) {
			t.matched()
		}
		if pass.Key == "" {
			pass.Key = tokenHash(token)
		}
		return pass, nil
	case errors.Is(err, errNoKey):
		if err := t.missed(); err != nil {
			return signal.Pass{}, err
		}
	case errors.Is(err, jwt.ErrTokenExpired):
		exp, _ := claims.GetExpirationTime()
		return signal.Pass{}, refusef("the token has expired: get a new one. Its exp is %s; this box's clock says %s",
			gap(exp, now, "ago"), clock(now))
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		nbf, _ := claims.GetNotBefore()
		return signal.Pass{}, refusef("the token is not valid yet (nbf), but in %s; this box's clock says %s: compare "+
			"it with that of the token's maker", gap(nbf, now, ""), clock(now))
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return signal.Pass{}, refusef("the token has no exp: it must say when it expires, in seconds since 1970")
	case errors.Is(err, jwt.ErrTokenInvalidClaims):
		return signal.Pass{}, refusef("the token's exp or nbf is not a number")
	}
	return signal.Pass{}, &Refusal{
		Words: fmt.Sprintf("%s: want a JWT signed with this box's key (%s)", errWrong.Words, t.algorithms()),
		Guess: true,
	}
}

// gap is how far a time of a token is from now, for people who compare clocks.
func gap(at *jwt.NumericDate, now time.Time, word string) string {
	if at == nil {
		return "unknown"
	}
	return strings.TrimSpace(at.Sub(now).Abs().Round(time.Second).String() + " " + word)
}

func clock(now time.Time) string { return now.UTC().Format(time.RFC3339) }

// missed has the sets fetched again in which a token's key may be by now, and says that its bearer
// should come back; nil: it would be of no use.
func (t *tokens) missed() error {
	for _, set := range t.fetched {
		if set.want() {
			return &tryAgain{}
		}
	}
	return nil
}

// tryAgain refuses a token whose key the box is just fetching. It is no guess.
type tryAgain struct{}

func (*tryAgain) Error() string {
	return "the box is fetching the keys of room tokens: try again in a moment"
}

// Why implements signal.Explainer.
func (e *tryAgain) Why() string { return e.Error() }

// Unwrap makes the hub tell its client to come back.
func (*tryAgain) Unwrap() error { return signal.ErrTooManyGuesses }
