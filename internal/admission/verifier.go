package admission

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"signalbox/internal/state"
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

// verifier is a key that verifies room tokens.
type verifier struct {
	method jwt.SigningMethod
	key    any    // as method takes it
	id     string // the kid that tokens name it by; empty: none
}

func newVerifier(method jwt.SigningMethod, key any) *verifier {
	return &verifier{method: method, key: key}
}

// tokenParser parses tokens of every algorithm that a key can have.
func tokenParser() *jwt.Parser {
	return jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg(), jwt.SigningMethodRS256.Alg(),
		jwt.SigningMethodES256.Alg(), jwt.SigningMethodEdDSA.Alg()}), jwt.WithLeeway(tokenLeeway),
		jwt.WithExpirationRequired())
}

// isPath tells paths from keys by their form, never by what exists: the path of a missing file must
// not become a secret.
func isPath(s string) bool {
	if strings.Contains(s, "\n") {
		return false
	}
	return filepath.IsAbs(s) || strings.HasPrefix(s, "/") || strings.HasPrefix(s, "./") ||
		strings.HasPrefix(s, "../") || strings.HasSuffix(s, ".pem") || strings.HasSuffix(s, ".json")
}

// CheckJWTKey says what is wrong with an auth.jwt_key. The file or the address that it may name is
// not read.
func CheckJWTKey(key state.Secret) error {
	switch {
	case isURL(string(key)):
		return checkURL(string(key))
	case isPath(string(key)):
		return nil
	}
	_, err := parseKey(string(key))
	return err
}

// IsSecret reports whether an auth.jwt_key is a secret itself, neither a public key nor the path of
// one.
func IsSecret(key state.Secret) bool {
	return key != "" && !isURL(string(key)) && !isPath(string(key)) && !isPEM(string(key))
}

// FileOf returns the file that an auth.jwt_key names; empty: it names none.
func FileOf(key state.Secret) string {
	if isURL(string(key)) || !isPath(string(key)) {
		return ""
	}
	return string(key)
}

func isPEM(text string) bool { return strings.Contains(text, "-----BEGIN") }

// parseKey takes a public key in PEM, or else a secret.
func parseKey(text string) (*verifier, error) {
	if !isPEM(text) {
		switch {
		case len(text) < minJWTSecret:
			return nil, fmt.Errorf("want a secret of at least %d characters (make one with openssl rand -hex 32), a "+
				"public key in PEM, the path of its file, which ends in .pem, or a set of public keys (JWKS): the "+
				"path of its file, which ends in .json, or its https:// address", minJWTSecret)
		case isBarePublicKey(text):
			return nil, errors.New("this is a public key without its BEGIN and END lines: write it as PEM, since " +
				"everybody would know it as a secret")
		}
		return newVerifier(jwt.SigningMethodHS256, []byte(text)), nil
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
		return nil, errors.New("this is a private key, which only the maker of tokens needs: make the public one " +
			"with openssl pkey -in FILE -pubout")
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
	return newVerifier(method, key), nil
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
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return nil, fmt.Errorf("an ECDSA key on %s: want P-256", key.Params().Name)
		}
		return jwt.SigningMethodES256, nil
	}
	return nil, fmt.Errorf("a key of type %T: want RSA, ECDSA or Ed25519", key)
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
