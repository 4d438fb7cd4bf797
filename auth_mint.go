package signalbox

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TokenRequest says whom a room token is for, and what it lets them do.
type TokenRequest struct {
	Rooms    []string // names, in which * stands for any characters
	User     string   // makes its bearer "@user"
	Name     string   // is shown to others
	Subject  string   // names its bearer in the issuer's own words
	Capacity int      // of a room that its bearer opens; 0: the box's default
	TTL      time.Duration
	KeyFile  string // what to sign with: a private key in PEM, or a secret; empty: auth.jwt_key
}

// Token is a room token.
type Token struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
	URL     string    `json:"url,omitempty"` // opens the room with it; empty: not known
}

// MintToken makes a room token that the box with this configuration takes. Any program with the key
// could make the same.
func MintToken(c Config, r TokenRequest) (Token, error) {
	if len(r.Rooms) == 0 && r.User == "" {
		return Token{}, errors.New("name a room (* is any), or a user, who may then call and be called")
	}
	if slices.Contains(r.Rooms, "") {
		return Token{}, errors.New("the name of a room is empty")
	}
	method, private, verifier, err := signingKey(&c, r.KeyFile)
	if err != nil {
		return Token{}, err
	}
	now := time.Now()
	expires := now.Add(r.TTL).Truncate(time.Second)
	claims := jwt.MapClaims{"iat": now.Unix(), "exp": expires.Unix(), "jti": rand.Text()}
	for name, value := range map[string]string{"sub": r.Subject, "name": r.Name, "user": r.User} {
		if value != "" {
			claims[name] = value
		}
	}
	switch len(r.Rooms) {
	case 0:
	case 1:
		claims["room"] = r.Rooms[0]
	default:
		claims["room"] = r.Rooms
	}
	if r.Capacity != 0 {
		claims["capacity"] = r.Capacity
	}
	text, err := jwt.NewWithClaims(method, claims).SignedString(private)
	if err != nil {
		return Token{}, fmt.Errorf("sign the token: %w", err)
	}
	if len(text) > maxToken {
		return Token{}, fmt.Errorf("the token would be longer than %d bytes: name fewer rooms, or one pattern with *",
			maxToken)
	}
	switch _, err := verifier.admit(text); {
	case errors.Is(err, errWrong):
		return Token{}, errors.New("auth.jwt_key does not verify what this key signs: sign with the private key " +
			"that it belongs to")
	case err != nil:
		return Token{}, fmt.Errorf("this token would be refused: %w", err)
	}
	return Token{text, expires, callURL(&c, r.Rooms, text)}, nil
}

// signingKey returns what tokens are signed with, and what verifies them: auth.jwt_key, or the
// key's own other half if that is empty.
func signingKey(c *Config, file string) (method jwt.SigningMethod, private any, verifier *jwtKey, err error) {
	if c.Auth.JWTKey != "" {
		if verifier, err = loadJWTKey(c.Auth.JWTKey); err != nil {
			return nil, nil, nil, err
		}
	}
	if file != "" {
		own, private, err := readSigningKey(file)
		if err != nil {
			return nil, nil, nil, err
		}
		if verifier == nil {
			verifier = own
		}
		return own.method, private, verifier, nil
	}
	switch {
	case verifier == nil:
		return nil, nil, nil, errors.New("auth.jwt_key is empty: set it to a secret (make one with openssl rand " +
			"-hex 32), or sign with the key in --key FILE")
	case verifier.method != jwt.SigningMethodHS256:
		return nil, nil, nil, errors.New("auth.jwt_key is a public key, which only verifies: sign with its private " +
			"key, --key FILE")
	}
	return verifier.method, verifier.key, verifier, nil
}

// readSigningKey reads a private key or a secret.
func readSigningKey(file string) (own *jwtKey, private any, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("key: %w", err)
	}
	if !isPEM(string(content)) {
		secret := bytes.TrimSpace(content)
		own, err := parseJWTKey(string(secret))
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
	default:
		err = fmt.Errorf("a PEM block of type %q: want PRIVATE KEY, without a passphrase", block.Type)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("key %s: %w", file, err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("key %s: a key of type %T: want RSA or Ed25519", file, private)
	}
	method, err := methodOf(signer.Public())
	if err != nil {
		return nil, nil, fmt.Errorf("key %s: %w", file, err)
	}
	return newJWTKey(method, signer.Public()), private, nil
}

// callURL is the link that opens a room with a token, or "" if it can't be told. The token stands
// in the fragment, which browsers send to nobody.
func callURL(c *Config, rooms []string, token string) string {
	if c.PublicHost == "" || len(rooms) != 1 || strings.Contains(rooms[0], "*") {
		return ""
	}
	base := c.proxyURL()
	if base == "" {
		port := "443"
		if at, err := listenAddr(c.Web.TLSListen); err == nil && c.TLS.Mode != "off" {
			port = strconv.Itoa(int(at.Port()))
		}
		base = httpsOrigin(c.PublicHost, port) + "/"
	}
	return base + "call/" + url.PathEscape(rooms[0]) + "#token=" + token
}
