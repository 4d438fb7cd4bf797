package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// live lists the keys that may change while the appliance runs, and the tables whose keys all may.
// A reload reads the files of tls.cert, tls.key, auth.jwt_key and auth.old_jwt_keys again even if
// their names are unchanged: a renewed certificate keeps its name.
var live = []string{
	"tls.cert", "tls.key", "auth.password", "auth.jwt_key", "auth.old_jwt_keys",
	"turn.secret", "turn.old_secrets", "turn.credential_ttl", "turn.min_lifetime", "turn.allow_peers",
	"turn.deny_peers", "turn.users", "turn.limits", "api", "webhook",
}

// NeedRestart returns the keys that can't change while the appliance runs.
func NeedRestart(keys []string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
		return slices.ContainsFunc(live, func(l string) bool { return key == l || strings.HasPrefix(key, l+".") })
	})
}

// Diff returns the dotted keys in which two configurations differ.
func Diff(old, next *Config) (keys []string) {
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
			case !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()):
				keys = append(keys, prefix+name)
			}
		}
	}
	walk("", reflect.ValueOf(*old), reflect.ValueOf(*next))
	return keys
}
