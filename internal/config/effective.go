package config

import (
	"bytes"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Given is what a configuration comes to: every key with its value as it was written, without
// secrets.
type Given struct{ tables map[string]any }

// LoadGiven is Load, and also returns what was given.
func LoadGiven(defaults string, o LoadOptions) (Config, Given, error) {
	r, err := read(defaults, o)
	if err != nil {
		return Config{}, Given{}, err
	}
	return *r.c, Given{r.given}, nil
}

// Keep gives the keys what they have in another.
func (g Given) Keep(from Given, keys []string) {
	for _, key := range keys {
		path := strings.Split(key, ".")
		to, kept, last := g.tables, from.tables, len(path)-1
		for _, table := range path[:last] {
			to, kept = tableIn(to, table), tableIn(kept, table)
		}
		if value, ok := kept[path[last]]; ok {
			to[path[last]] = value
		} else {
			delete(to, path[last])
		}
	}
}

// TOML writes it, in the order of the keys' names.
func (g Given) TOML() (string, error) {
	var out bytes.Buffer
	enc := toml.NewEncoder(&out)
	enc.Indent = ""
	err := enc.Encode(g.tables)
	return out.String(), err
}

// tableIn returns a table of a table, and makes it if there is none.
func tableIn(parent map[string]any, name string) map[string]any {
	table, ok := parent[name].(map[string]any)
	if !ok {
		table = map[string]any{}
		parent[name] = table
	}
	return table
}

// hidden stands for a secret.
var hidden = Secret("").String()

// noteGiven writes down what a key was given. A key of an entry of a list stands in the list's.
func (r *reader) noteGiven(key string, typ reflect.Type, value any) {
	_, whole := reflect.New(typ).Interface().(toml.Unmarshaler)
	if typ.Kind() == reflect.Struct && !whole || strings.Contains(key, "[") {
		return
	}
	at, path := r.given, strings.Split(key, ".")
	for _, table := range path[:len(path)-1] {
		at = tableIn(at, table)
	}
	at[path[len(path)-1]] = withoutSecrets(typ, value)
}

// merge puts what was given later into what was given before.
func merge(into, later map[string]any) {
	for name, value := range later {
		table, ok := value.(map[string]any)
		before, both := into[name].(map[string]any)
		if ok && both {
			merge(before, table)
			continue
		}
		into[name] = value
	}
}

// withoutSecrets hides the secrets of a value: of one whose type is of secrets all, of an entry of
// a list of users, keys or tokens what is secret in it.
func withoutSecrets(typ reflect.Type, value any) any {
	switch typ {
	case reflect.TypeFor[Secret](), reflect.TypeFor[Secrets]():
		return hide(value)
	case reflect.TypeFor[[]TURNUser](), reflect.TypeFor[APIKeys](), reflect.TypeFor[AdminTokens]():
		return hideIn(value)
	case reflect.TypeFor[HookURL]():
		return hideInURL(value)
	case reflect.TypeFor[Command]():
		return hideArguments(value)
	}
	return value
}

// hideInURL hides what may be secret in a URL: all but where it leads to. The path is the secret of
// many services (https://hooks.example.org/T0/B0/SECRET).
func hideInURL(value any) any {
	text, _ := value.(string)
	parsed, err := url.Parse(text)
	if err != nil {
		return hidden
	}
	parsed.User, parsed.RawQuery, parsed.Fragment = nil, "", ""
	if parsed.Path != "" && parsed.Path != "/" {
		parsed.Path, parsed.RawPath = "", ""
		return parsed.String() + "/" + hidden
	}
	return parsed.String()
}

// hideArguments hides those of a command, which may hold a token.
func hideArguments(value any) any {
	list, _ := value.([]any)
	if len(list) < 2 {
		return value
	}
	return []any{list[0], hidden}
}

// hide hides every text that is not empty.
func hide(value any) any {
	switch v := value.(type) {
	case string:
		if v == "" || v == restOff {
			return v
		}
	case []any:
		return hideEach(v, hide)
	}
	return hidden
}

// hideIn hides entries that are texts, and what is secret in those that are tables.
func hideIn(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, field := range v {
			if slices.Contains([]string{"password", "key", "token", "hash"}, name) {
				field = hide(field)
			}
			out[name] = field
		}
		return out
	case []map[string]any:
		return hideEach(v, hideIn)
	case []any:
		return hideEach(v, hideIn)
	}
	return hide(value)
}

func hideEach[T any](list []T, hide func(any) any) []any {
	out := make([]any, len(list))
	for i := range list {
		out[i] = hide(list[i])
	}
	return out
}
