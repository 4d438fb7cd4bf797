package config

import (
	"encoding/hex"
	"errors"
	"fmt"

	"signalbox/internal/state"
	"signalbox/signal"
	"signalbox/turnsvc/cred"
)

// Each type of value parses itself, by toml.Unmarshaler.

// Secret is a string that no log and no error message shows.
type Secret = state.Secret

// wrongType says that a value is of another type than it must be.
func wrongType(want string, got any) error {
	err := fmt.Errorf("want a value of type %s, not %s", want, typeName(got))
	if want == "string" {
		return textWanted{err}
	}
	return err
}

// textWanted is the error of a value that is no text, where one is wanted.
type textWanted struct{ error }

var errNoTexts = textWanted{errors.New("want a list of strings")} // without the value: it may be a secret

// typeName is what TOML calls the type of a decoded value.
func typeName(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case int64:
		return "integer"
	case float64:
		return "float"
	case bool:
		return "boolean"
	case map[string]any:
		return "table"
	case []any, []map[string]any:
		return "array"
	}
	return "date"
}

func text(v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", wrongType("string", v)
	}
	return s, nil
}

// list takes a list of strings. A single string is a list of one.
func list(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case []any:
		out := make([]string, len(v))
		for i := range v {
			s, ok := v[i].(string)
			if !ok {
				return nil, errNoTexts
			}
			out[i] = s
		}
		return out, nil
	}
	return nil, errNoTexts
}

// each parses every string of a list.
func each[T any](v any, parse func(string) (T, error)) ([]T, error) {
	in, err := list(v)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(in))
	for i := range in {
		if out[i], err = parse(in[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checked is a value that knows what it may be. UnmarshalTOML refuses anything else, and Validate
// what a program has put there.
type checked interface{ check() error }

// Secrets is a list of secrets. A single one is a list of one.
type Secrets []Secret

// UnmarshalTOML implements toml.Unmarshaler.
func (s *Secrets) UnmarshalTOML(v any) (err error) {
	*s, err = each(v, func(s string) (Secret, error) { return Secret(s), nil })
	return err
}

// Reveal returns them as strings.
func (s Secrets) Reveal() []string {
	out := make([]string, len(s))
	for i := range s {
		out[i] = string(s[i])
	}
	return out
}

// Separator is the character between the two parts of a time-limited credential's name.
type Separator string

func (s Separator) check() error {
	if len(s) != 1 || s[0] <= ' ' || s[0] > '~' || s[0] >= '0' && s[0] <= '9' {
		return fmt.Errorf("want one character, which is no digit, space or letter beyond ASCII, not %q", string(s))
	}
	return nil
}

// UnmarshalTOML implements toml.Unmarshaler.
func (s *Separator) UnmarshalTOML(v any) error { return choose(s, v) }

// Origins is a list of web origins, or "*".
type Origins []string

// UnmarshalTOML implements toml.Unmarshaler.
func (o *Origins) UnmarshalTOML(v any) error {
	next, err := list(v)
	if err != nil {
		return err
	}
	return take(o, Origins(next))
}

func (o Origins) check() error { return signal.CheckOrigins(o) }

// TURNUser is a static user of the TURN server: a password, or the hex MD5 key of RFC 8489 §9.2.2.
type TURNUser struct {
	Name     string `toml:"name"`
	Password Secret `toml:"password"`
	Key      Secret `toml:"key"`
}

// LongTermKey returns the user's 16-byte long-term credential key.
func (u TURNUser) LongTermKey(realm string) ([]byte, error) {
	switch {
	case u.Name == "":
		return nil, errors.New("name: every user needs one")
	case (u.Password == "") == (u.Key == ""):
		return nil, fmt.Errorf("%s: give either password or key", u.Name)
	case u.Password != "":
		return cred.LongTermKey(u.Name, realm, string(u.Password)), nil
	}
	key, err := hex.DecodeString(string(u.Key))
	if err != nil || len(key) != 16 {
		return nil, fmt.Errorf(`%s: key is not 32 hex digits: make one with printf '%%s' 'name:realm:password' | `+
			`md5sum`, u.Name)
	}
	return key, nil
}
