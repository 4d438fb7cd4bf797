package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// live lists the keys that may change while the appliance runs, and the tables whose keys all may.
// Those of [log] are the program's, which gives the appliance its logger.
//
// A reload reads the files of tls.cert, tls.key, auth.jwt_key and auth.old_jwt_keys again even if
// their names are unchanged: a renewed certificate keeps its name.
var live = []string{
	"web.allowed_origins", "tls.cert", "tls.key", "auth.password", "auth.jwt_key", "auth.old_jwt_keys",
	"turn.urls", "turn.secret", "turn.old_secrets", "turn.credential_ttl", "turn.min_lifetime", "turn.peers",
	"turn.static_peers", "turn.allow_peers", "turn.deny_peers", "turn.users", "turn.limits",
	"signal.room_capacity", "compat.turn_rest", "api", "webhook", "log",
}

// NeedRestart returns the keys that can't change while the appliance runs.
func NeedRestart(keys []string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
		return slices.ContainsFunc(live, func(l string) bool { return key == l || strings.HasPrefix(key, l+".") })
	})
}

// Diff returns the dotted keys in which two configurations differ.
func Diff(old, next *Config) (keys []string) {
	compare(old, next, func(key string, before, after reflect.Value) {
		if !reflect.DeepEqual(before.Interface(), after.Interface()) {
			keys = append(keys, key)
		}
	})
	return keys
}

// Keep gives the keys the values that they have in another configuration.
func (c *Config) Keep(from *Config, keys []string) {
	compare(from, c, func(key string, kept, to reflect.Value) {
		if slices.Contains(keys, key) {
			to.Set(kept)
		}
	})
}

// compare visits each key of two configurations.
func compare(a, b *Config, visit func(key string, a, b reflect.Value)) {
	var walk func(prefix string, a, b reflect.Value)
	walk = func(prefix string, a, b reflect.Value) {
		for i := range a.NumField() {
			f := a.Type().Field(i)
			name := f.Tag.Get("toml")
			_, parses := reflect.New(f.Type).Interface().(toml.Unmarshaler)
			switch {
			case name == "-":
			case f.Type.Kind() == reflect.Struct && !parses:
				walk(prefix+name+".", a.Field(i), b.Field(i))
			default:
				visit(prefix+name, a.Field(i), b.Field(i))
			}
		}
	}
	walk("", reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem())
}
