package signalbox

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"signalbox/signal"
)

const (
	// audience is what a token's aud must name if it has one (RFC 7519 §4.1.3).
	audience = "signalbox"
	// tokenLeeway is how far the clock of a token's maker may be off.
	tokenLeeway = 30 * time.Second
	// minJWTSecret is as long as the hash of HS256 (RFC 7518 §3.2), in characters.
	minJWTSecret = 32
	minRSABits   = 2048 // RFC 7518 §3.3
)

// Limits of what a token's claims say, in characters: those of the signaling protocol, and of what
// a ban is written with.
const (
	maxNameClaim = 64
	maxRoomClaim = 128
	maxKeyClaim  = 255
	maxCapacity  = 10_000
)

// jwtKey verifies room tokens (RFC 7519). Its kind decides the algorithm; what a token's header
// says is only compared (RFC 8725 §3.1).
type jwtKey struct {
	method jwt.SigningMethod
	key    any // as method takes it
	parser *jwt.Parser
}

func newJWTKey(method jwt.SigningMethod, key any) *jwtKey {
	return &jwtKey{method, key, jwt.NewParser(jwt.WithValidMethods([]string{method.Alg()}), jwt.WithLeeway(tokenLeeway),
		jwt.WithExpirationRequired())}
}

// isPath tells paths from keys by how they are written, never by what is there: a file that is
// missing must not become a secret.
func isPath(s string) bool {
	if strings.Contains(s, "\n") {
		return false
	}
	return filepath.IsAbs(s) || strings.HasPrefix(s, "/") || strings.HasPrefix(s, "./") ||
		strings.HasPrefix(s, "../") || strings.HasSuffix(s, ".pem")
}

// loadJWTKey makes a verifier of auth.jwt_key, which it does not repeat in errors: what looks like
// a path may be a secret.
func loadJWTKey(configured Secret) (*jwtKey, error) {
	text := string(configured)
	if isPath(text) {
		file, err := os.ReadFile(text)
		var at *fs.PathError
		switch {
		case errors.As(err, &at):
			return nil, fmt.Errorf("auth.jwt_key: read the file that it names: %w", at.Err)
		case err != nil:
			return nil, errors.New("auth.jwt_key: can't read the file that it names")
		case !isPEM(string(file)):
			return nil, errors.New("auth.jwt_key: the file that it names is no PEM file")
		}
		text = string(file)
	}
	key, err := parseJWTKey(text)
	if err != nil {
		return nil, fmt.Errorf("auth.jwt_key: %w", err)
	}
	return key, nil
}

func isPEM(text string) bool { return strings.Contains(text, "-----BEGIN") }

// parseJWTKey takes a public key in PEM, or else a secret.
func parseJWTKey(text string) (*jwtKey, error) {
	if !isPEM(text) {
		switch {
		case len(text) < minJWTSecret:
			return nil, fmt.Errorf("want a secret of at least %d characters (make one with openssl rand -hex 32), a "+
				"public key in PEM, or the path of one, "+
				"which ends in .pem", minJWTSecret)
		case isBarePublicKey(text):
			return nil, errors.New("this is a public key, but not in PEM, where it stands between BEGIN and END " +
				"lines: as a secret everybody would know it")
		}
		return newJWTKey(jwt.SigningMethodHS256, []byte(text)), nil
	}
	block, err := onePEM(text)
	if err != nil {
		return nil, err
	}
	var key any
	switch {
	case block.Type == "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("this is a private key, which only the maker of tokens needs: its public half comes " +
			"from openssl pkey -in FILE -pubout")
	default:
		return nil, fmt.Errorf("a PEM block of type %q: want PUBLIC KEY", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("parse the public key: %w", err)
	}
	method, err := methodOf(key)
	if err != nil {
		return nil, err
	}
	return newJWTKey(method, key), nil
}

// onePEM decodes a text with one PEM block.
func onePEM(text string) (*pem.Block, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("the PEM text is broken: copy it whole, from BEGIN to END, with its line breaks")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("there is more than one PEM block: want one key")
	}
	return block, nil
}

// methodOf returns the one algorithm that a public key is used with.
func methodOf(key any) (jwt.SigningMethod, error) {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return jwt.SigningMethodEdDSA, nil
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSABits {
			return nil, fmt.Errorf("an RSA key of %d bits: want at least %d", key.N.BitLen(), minRSABits)
		}
		return jwt.SigningMethodRS256, nil
	}
	return nil, fmt.Errorf("a key of type %T: want RSA or Ed25519", key)
}

// isBarePublicKey finds public keys that would pass for a secret: DER in base64, a JWK, a line for
// ssh.
func isBarePublicKey(text string) bool {
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "ssh-") {
		return true
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	if _, err = x509.ParsePKIXPublicKey(der); err == nil {
		return true
	}
	_, err = x509.ParsePKCS1PublicKey(der)
	return err == nil
}

// admit implements admission.
func (k *jwtKey) admit(text string) (signal.Pass, error) {
	claims := jwt.MapClaims{}
	token, err := k.parser.ParseWithClaims(text, claims, func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["crit"]; ok {
			return nil, errors.New("it has critical header parameters") // RFC 7515 §4.1.11: which we understand none of
		}
		return k.key, nil
	})
	switch {
	case err == nil:
		pass, err := readClaims(claims)
		if err != nil {
			return signal.Pass{}, fmt.Errorf("%w: the token's claim %w", signal.ErrUnauthorized, err)
		}
		if pass.Key == "" {
			pass.Key = tokenHash(token)
		}
		return pass, nil
	case errors.Is(err, jwt.ErrTokenExpired):
		return signal.Pass{}, fmt.Errorf("%w: the token has expired: get a new one", signal.ErrUnauthorized)
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return signal.Pass{}, fmt.Errorf("%w: the token is not valid yet (nbf)", signal.ErrUnauthorized)
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return signal.Pass{}, fmt.Errorf("%w: the token has no exp: it must say when it expires, in seconds since 1970",
			signal.ErrUnauthorized)
	case errors.Is(err, jwt.ErrTokenInvalidClaims):
		return signal.Pass{}, fmt.Errorf("%w: the token's exp or nbf is not a number", signal.ErrUnauthorized)
	}
	return signal.Pass{}, fmt.Errorf("%w: want a JWT that is signed with this box's key (%s)", errWrong, k.method.Alg())
}

// tokenHash names a token that has no name of its own, by what is signed: the signature can be
// written in more than one way.
func tokenHash(t *jwt.Token) string {
	sum := sha256.Sum256([]byte(t.Raw[:strings.LastIndexByte(t.Raw, '.')]))
	return "sha256:" + hex.EncodeToString(sum[:16])
}

// readClaims says what the claims of a verified token admit to. Its errors begin with the claim's
// name.
func readClaims(c jwt.MapClaims) (signal.Pass, error) {
	pass := signal.Pass{Attested: true}
	if _, ok := c["aud"]; ok {
		if aud, err := c.GetAudience(); err != nil || !slices.Contains(aud, audience) {
			return pass, fmt.Errorf("aud names somebody else: want %q in it, or none", audience)
		}
	}
	exp, err := c.GetExpirationTime()
	if err != nil {
		return pass, err
	}
	if exp.Year() > 9999 {
		return pass, errors.New("exp is after the year 9999: want seconds since 1970, not milliseconds")
	}
	pass.Expires = exp.Add(tokenLeeway)

	var id, subject string
	for _, claim := range []struct {
		name  string
		to    *string
		limit int
	}{{"jti", &id, maxKeyClaim}, {"sub", &subject, maxKeyClaim}, {"name", &pass.Name, maxNameClaim},
		{"user", &pass.User, maxNameClaim}} {
		v, ok := c[claim.name]
		if !ok {
			continue
		}
		if *claim.to, err = textClaim(v, claim.limit); err != nil {
			return pass, fmt.Errorf("%s %w", claim.name, err)
		}
	}
	switch {
	case id != "":
		pass.Key = id
	case subject != "":
		pass.Key = "sub:" + subject
	}
	if v, ok := c["capacity"]; ok {
		n, ok := v.(float64)
		if !ok || n < 1 || n > maxCapacity || n != float64(int(n)) {
			return pass, fmt.Errorf("capacity is not a whole number from 1 to %d", maxCapacity)
		}
		pass.Capacity = int(n)
	}
	var patterns []string
	if v, ok := c["room"]; ok {
		if patterns, err = roomPatterns(v); err != nil {
			return pass, fmt.Errorf("room %w", err)
		}
	}
	pass.Rooms = func(name string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
	}
	return pass, nil
}

// roomPatterns reads the room claim: a string or a list of strings.
func roomPatterns(claim any) ([]string, error) {
	list, ok := claim.([]any)
	if !ok {
		list = []any{claim}
	}
	var out []string
	for _, v := range list {
		p, err := textClaim(v, maxRoomClaim)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// textClaim takes a claim that is text.
func textClaim(claim any, limit int) (string, error) {
	s, ok := claim.(string)
	if !ok {
		return "", errors.New("is not text")
	}
	return s, checkText(s, limit)
}

// checkText refuses what other people's pages and terminals should not have to show.
func checkText(s string, limit int) error {
	switch {
	case !utf8.ValidString(s):
		return errors.New("is not UTF-8")
	case utf8.RuneCountInString(s) > limit:
		return fmt.Errorf("is longer than %d characters", limit)
	case strings.ContainsFunc(s, unprintable):
		return errors.New("has a control character in it")
	}
	return nil
}

// unprintable finds the characters that no name needs and that change how the text around it is
// shown, as the signaling protocol has it: controls, line separators, and those that override the
// direction of what follows.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || '\u202a' <= r && r <= '\u202e' || '\u2066' <= r &&
		r <= '\u2069'
}

// matches reports whether name fits a pattern, in which * stands for any run of characters, the
// empty one, too.
func matches(pattern, name string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		// The first place is as good as any: what follows then has the most room.
		_, name, ok = strings.Cut(name, part)
		if !ok {
			return false
		}
		rest = next
	}
}
