package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"signalbox/internal/state"
)

// AdminToken lets somebody use a part of the admin API.
type AdminToken struct {
	Name  string
	Token Secret // empty: only its hash is known
	Hash  string // hex SHA-256 of the token
	Scope string
}

// Sum is the SHA-256 of the token.
func (t AdminToken) Sum() (sum [sha256.Size]byte) {
	if t.Token != "" {
		return sha256.Sum256([]byte(t.Token))
	}
	hex.Decode(sum[:], []byte(t.Hash)) //nolint:errcheck // it was checked
	return sum
}

// ownerToken names the token in admin.token, or in the state directory, in the log and in bans.
const ownerToken = "admin.token"

// AdminTokens is the value of admin.tokens: a list of tables.
type AdminTokens []AdminToken

// Without the value, which may be a secret.
var errNoAdminTokens = textWanted{errors.New(`write each as a block of its own: [[admin.tokens]], then name = "...", ` +
	`token = "..." or hash = "...", and scope = "read"`)}

// UnmarshalTOML implements toml.Unmarshaler.
func (t *AdminTokens) UnmarshalTOML(v any) error {
	var tables []map[string]any
	switch v := v.(type) {
	case []map[string]any: // [[admin.tokens]]
		tables = v
	case []any:
		for _, entry := range v {
			table, ok := entry.(map[string]any)
			if !ok {
				return errNoAdminTokens
			}
			tables = append(tables, table)
		}
	default:
		return errNoAdminTokens
	}
	next := make(AdminTokens, len(tables))
	for i, table := range tables {
		var err error
		if next[i], err = readAdminToken(table); err != nil {
			return fmt.Errorf("entry %d: %w", i+1, err)
		}
	}
	return take(t, next)
}

func readAdminToken(table map[string]any) (t AdminToken, err error) {
	for name, value := range table {
		into := map[string]*string{"name": &t.Name, "token": (*string)(&t.Token), "hash": &t.Hash,
			"scope": &t.Scope}[name]
		if into == nil {
			return t, fmt.Errorf("%q is none of name, token, hash, scope", name)
		}
		if *into, err = text(value); err != nil {
			return t, fmt.Errorf("%s: %w", name, err)
		}
	}
	return t, nil
}

func (t AdminTokens) check() error {
	for i, token := range t {
		sum, err := hex.DecodeString(token.Hash)
		wrong := func(format string, args ...any) error {
			return fmt.Errorf("entry %d: "+format, append([]any{i + 1}, args...)...)
		}
		switch {
		case token.Name == "":
			return wrong("name: it is empty, and the log and bans need it to say who it was")
		case token.Name == ownerToken:
			return wrong("name: %q is the owner's in the log and in bans: choose another", ownerToken)
		case (token.Token == "") == (token.Hash == ""):
			return wrong("want either a token or its hash")
		case token.Token != "" && len(token.Token) < state.MinSecret:
			return wrong("want a token of at least %d characters: make one with openssl rand -hex 16", state.MinSecret)
		case token.Token != "" && !bearer.MatchString(string(token.Token)):
			return wrong("a token has only letters, digits and -._~+/=, as its header must")
		case token.Hash != "" && (err != nil || len(sum) != sha256.Size):
			return wrong("hash: want the SHA-256 of the token in hex: printf %%s TOKEN | sha256sum")
		}
		if err := oneOf(token.Scope, "read", "write"); err != nil {
			return wrong("scope: %w", err)
		}
		if slices.ContainsFunc(t[:i], func(other AdminToken) bool {
			return other.Name == token.Name || other.Sum() == token.Sum()
		}) {
			return wrong("its name or its token is listed twice: remove one")
		}
	}
	return nil
}
