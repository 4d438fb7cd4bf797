package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"signalbox/internal/state"
	"signalbox/signal"
)

// The keys by which the operator's own server takes part: [api] and [webhook]; and those by which
// the operator hears of faults: [notify].

// APIKey lets a server use the server API.
type APIKey struct {
	Name  string
	Key   Secret
	May   []string // rights; never empty
	Rooms []string // patterns; empty: all rooms
	Users []string // patterns; empty: all users
}

// apiRights are what a key may be used for.
func apiRights() []string { return []string{"read", "rooms", "send", "kick", "tokens"} }

// APIKeys is the value of api.keys: a list of keys, each of which is a string, for a key with all
// rights, or a table.
type APIKeys []APIKey

// UnmarshalTOML implements toml.Unmarshaler.
func (k *APIKeys) UnmarshalTOML(v any) error {
	var entries []any
	switch v := v.(type) {
	case string:
		entries = []any{v}
	case []any:
		entries = v
	case []map[string]any: // [[api.keys]]
		for _, table := range v {
			entries = append(entries, table)
		}
	default:
		return errNoKeys
	}
	next := make(APIKeys, len(entries))
	for i, entry := range entries {
		var err error
		if next[i], err = readAPIKey(entry); err != nil {
			return fmt.Errorf("entry %d: %w", i+1, err)
		}
		if next[i].Name == "" {
			next[i].Name = fmt.Sprint("key ", i+1)
		}
	}
	return take(k, next)
}

// Without the value, which may be a secret.
var errNoKeys = textWanted{errors.New(`want a list of keys: strings, or {key = "...", may = ["read"]}`)}

func readAPIKey(entry any) (k APIKey, err error) {
	table, ok := entry.(map[string]any)
	if !ok {
		s, ok := entry.(string)
		if !ok {
			return k, errNoKeys
		}
		return APIKey{Key: Secret(s), May: apiRights()}, nil
	}
	k.May = apiRights()
	for name, value := range table {
		var s string
		switch name {
		case "key":
			s, err = text(value)
			k.Key = Secret(s)
		case "name":
			k.Name, err = text(value)
		case "may":
			k.May, err = list(value)
		case "rooms":
			k.Rooms, err = list(value)
		case "users":
			k.Users, err = list(value)
		default:
			return k, fmt.Errorf("%q is none of key, name, may, rooms, users", name)
		}
		if err != nil {
			return k, fmt.Errorf("%s: %w", name, err)
		}
	}
	return k, nil
}

// bearer is what a bearer token may be (RFC 6750 §2.1).
var bearer = regexp.MustCompile(`^[A-Za-z0-9._~+/=-]+$`)

func (k APIKeys) check() error {
	for i, key := range k {
		if len(key.Key) < state.MinSecret {
			return fmt.Errorf("entry %d: want a key of at least %d characters: make one with openssl rand -hex 16", i+1,
				state.MinSecret)
		}
		if !bearer.MatchString(string(key.Key)) {
			return fmt.Errorf("entry %d: a key has only letters, digits and -._~+/=, as its header must", i+1)
		}
		if len(key.May) == 0 {
			return fmt.Errorf("entry %d: may: want at least one of %s", i+1, strings.Join(apiRights(), ", "))
		}
		for _, right := range key.May {
			if err := oneOf(right, apiRights()...); err != nil {
				return fmt.Errorf("entry %d: may: %w", i+1, err)
			}
		}
		if slices.Contains(key.Rooms, "") {
			return fmt.Errorf("entry %d: rooms: the name of a room is empty", i+1)
		}
		if slices.Contains(key.Users, "") {
			return fmt.Errorf("entry %d: users: the name of a user is empty", i+1)
		}
		if slices.ContainsFunc(k[:i], func(other APIKey) bool { return other.Key == key.Key }) {
			return fmt.Errorf("entry %d: the key is listed twice: remove one", i+1)
		}
	}
	return nil
}

// HookURL is where the box sends what it has to say to the operator's server; empty: nowhere.
type HookURL string

// UnmarshalTOML implements toml.Unmarshaler.
func (u *HookURL) UnmarshalTOML(v any) error { return choose(u, v) }

func (u HookURL) check() error {
	if u == "" {
		return nil
	}
	parsed, err := url.Parse(string(u))
	if err != nil || parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.Hostname() == "" {
		// Without the value: it may have a password in it.
		return errors.New(`that is no URL: write "https://app.example.org/signalbox"`)
	}
	return nil
}

// bare reports whether what is sent there can be read on the way.
func (u HookURL) bare() bool {
	parsed, err := url.Parse(string(u))
	if err != nil || parsed.Scheme != "http" {
		return false
	}
	ip, err := netip.ParseAddr(parsed.Hostname())
	return parsed.Hostname() != "localhost" && (err != nil || !ip.Unmap().IsLoopback())
}

// HookEvents is a list of kinds of events.
type HookEvents []string

// UnmarshalTOML implements toml.Unmarshaler.
func (e *HookEvents) UnmarshalTOML(v any) error {
	next, err := list(v)
	if err != nil {
		return err
	}
	return take(e, HookEvents(next))
}

func (e HookEvents) check() error {
	var kinds []string
	for _, kind := range signal.Kinds() {
		kinds = append(kinds, string(kind))
	}
	if len(e) == 0 {
		return fmt.Errorf("want at least one of %s", strings.Join(kinds, ", "))
	}
	for _, kind := range e {
		if err := oneOf(kind, kinds...); err != nil {
			return err
		}
	}
	return nil
}

// Unasked is a value of webhook.connect_unanswered.
type Unasked string

func (u Unasked) check() error { return oneOf(string(u), "refuse", "admit") }

// UnmarshalTOML implements toml.Unmarshaler.
func (u *Unasked) UnmarshalTOML(v any) error { return choose(u, v) }

// Command is a program and its arguments; empty: none.
type Command []string

// UnmarshalTOML implements toml.Unmarshaler.
func (c *Command) UnmarshalTOML(v any) error {
	next, err := list(v)
	if err != nil {
		return err
	}
	return take(c, Command(next))
}

func (c Command) check() error {
	if len(c) > 0 && !filepath.IsAbs(c[0]) {
		return fmt.Errorf("%q is no path of a program from / on, and then its arguments", c[0])
	}
	return nil
}

func (c *Config) checkNotify(k *checker) {
	every := c.Notify.SelfTest
	k.must(every == 0 || every >= Duration(time.Minute), "notify.self_test", `want "0s" (never) or at least "1m"`)
}

func (c *Config) checkWebhook(k *checker) {
	w := &c.Webhook
	k.must(w.Secret == "" || len(w.Secret) >= state.MinSecret, "webhook.secret",
		"want at least %d characters: make one with openssl rand -hex 16", state.MinSecret)
	k.needs("webhook.url", w.URL == "" || w.Secret != "", "webhook.secret",
		"webhook.url needs one, by which its server knows the box: make one with openssl rand -hex 16")
	k.needs("webhook.connect_url", w.ConnectURL == "" || w.Secret != "" || w.URL != "", "webhook.secret",
		"webhook.connect_url needs one, by which its server knows the box: make one with openssl rand -hex 16")
	k.must(w.ConnectTimeout >= Duration(100*time.Millisecond) && w.ConnectTimeout <= Duration(5*time.Second),
		"webhook.connect_timeout", `want "100ms" to "5s": a client has ten seconds to introduce itself`)
}
