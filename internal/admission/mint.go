package admission

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"signalbox/internal/fault"
	"signalbox/internal/state"

	"github.com/golang-jwt/jwt/v5"
)

// TokenRequest describes a room token: its bearer, and what it admits to.
type TokenRequest struct {
	Rooms    []string // names, as they are
	Patterns []string // names of rooms, in which * matches any characters
	User     string   // makes its bearer "@user"
	Name     string   // is shown to others
	Subject  string   // names its bearer in the issuer's own words
	Capacity int      // of a room that its bearer opens; 0: the box's default
	TTL      time.Duration
	KeyFile  string // a private key in PEM, or a secret, to sign with; empty: auth.jwt_key
}

// Token is a room token.
type Token struct {
	Token   string `json:"token"`
	Expires int64  `json:"expires"`       // Unix milliseconds
	URL     string `json:"url,omitempty"` // opens the room with the token; empty: unknown
}

// Mint makes a room token for a box with that auth.jwt_key. Any program with the key could make the
// same.
func Mint(jwtKey state.Secret, r TokenRequest) (Token, error) {
	if len(r.Rooms)+len(r.Patterns) == 0 && r.User == "" {
		return Token{}, errors.New("name a room (* means any), or a user, who may then call and be called")
	}
	if slices.Contains(r.Rooms, "") || slices.Contains(r.Patterns, "") {
		return Token{}, errors.New("the name of a room is empty")
	}
	key, err := loadSigner(jwtKey, r.KeyFile)
	if err != nil {
		return Token{}, err
	}
	expires := time.Now().Add(r.TTL).Truncate(time.Second)
	text, err := jwt.NewWithClaims(key.method, r.claims(expires)).SignedString(key.private)
	if err != nil {
		return Token{}, fmt.Errorf("sign the token: %w", err)
	}
	if len(text) > maxToken {
		return Token{}, fmt.Errorf("the token would be longer than %d bytes: name fewer rooms, or one pattern with *",
			maxToken)
	}
	var refused *Refusal
	switch _, err := key.check.admit(text); {
	case errors.As(err, &refused) && refused.Guess:
		return Token{}, errors.New("auth.jwt_key does not verify what this key signs: sign with its own private key")
	case refused != nil:
		return Token{}, fmt.Errorf("the box would refuse this token: %s", refused.Words)
	case err != nil:
		return Token{}, fmt.Errorf("the box would refuse this token: %w", err)
	}
	return Token{Token: text, Expires: expires.UnixMilli()}, nil
}

// claims are what the token says (RFC 7519 §4).
func (r *TokenRequest) claims(expires time.Time) jwt.MapClaims {
	claims := jwt.MapClaims{"iat": time.Now().Unix(), "exp": expires.Unix(), "jti": rand.Text()}
	for name, value := range map[string]string{"sub": r.Subject, "name": r.Name, "user": r.User} {
		if value != "" {
			claims[name] = value
		}
	}
	for name, rooms := range map[string][]string{"rooms": r.Rooms, "room_patterns": r.Patterns} {
		if len(rooms) > 0 {
			claims[name] = rooms
		}
	}
	if r.Capacity != 0 {
		claims["capacity"] = r.Capacity
	}
	return claims
}

// signer signs tokens, and has what verifies them.
type signer struct {
	method  jwt.SigningMethod
	private any // as method takes it
	check   *tokens
}

// loadSigner takes the signing key from file, else from jwtKey if that is a secret. What it signs
// is checked as the box with that jwtKey would, or with the signing key itself if jwtKey is empty
// or the address of keys.
func loadSigner(jwtKey state.Secret, file string) (s signer, err error) {
	if jwtKey != "" && !isURL(string(jwtKey)) {
		keys, err := loadKeys(jwtKey)
		if err != nil {
			return s, fault.New("auth.jwt_key", "%w", err)
		}
		s.check = &tokens{own: keys}
	}
	switch {
	case file != "":
		own, private, err := readSigningKey(file)
		if err != nil {
			return s, err
		}
		s.method, s.private = own.method, private
		if s.check == nil {
			s.check = &tokens{own: []*verifier{own}}
		}
		return s, nil
	case jwtKey == "":
		return s, errors.New("auth.jwt_key is empty: set it to a secret (make one with openssl rand -hex 32), or " +
			"sign with the key in --key FILE")
	case !IsSecret(jwtKey):
		return s, errors.New("auth.jwt_key is a public key, which only verifies: sign with its private key, --key FILE")
	}
	s.method, s.private = jwt.SigningMethodHS256, []byte(jwtKey)
	return s, nil
}

// readSigningKey reads a private key or a secret.
func readSigningKey(file string) (own *verifier, private any, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("key: %w", err)
	}
	if !isPEM(string(content)) {
		secret := bytes.TrimSpace(content)
		own, err := parseKey(string(secret))
		if err != nil {
			return nil, nil, fmt.Errorf("key %s: %w", file, err)
		}
		return own, secret, nil
	}
	block, err := onePEM(string(content))
	if err != nil {
		return nil, nil, fmt.Errorf("key %s: %w", file, err)
	}
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		err = fmt.Errorf("a PEM block of type %q: want PRIVATE KEY, without a passphrase", block.Type)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("key %s: %w", file, err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("key %s: a key of type %T: want RSA, ECDSA or Ed25519", file, private)
	}
	method, err := methodOf(signer.Public())
	if err != nil {
		return nil, nil, fmt.Errorf("key %s: %w", file, err)
	}
	return newVerifier(method, signer.Public()), private, nil
}
