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
	"turn.urls", "turn.secret", "turn.old_secrets", "turn.rest_separator", "turn.credential_ttl",
	"turn.min_lifetime", "turn.nonce_lifetime", "turn.peers", "turn.default_family", "turn.static_peers",
	"turn.allow_peers", "turn.deny_peers", "turn.users", "turn.limits", "signal.room_capacity",
	"compat.turn_rest", "api", "webhook", "notify.webhook", "notify.command", "admin.tokens", "log",
}

// companions are live keys that wait where one of others waits for a restart: by themselves they
// would send clients where nothing listens yet, count with what is not in force, or open what the
// others are to close.
var companions = []struct{ of, wait []string }{
	{[]string{"turn.listen", "turn.dtls", "web.listen", "web.tls_listen", "tls.mode", "public_host"},
		[]string{"turn.urls"}},
	{[]string{"turn.realm"}, []string{"turn.users"}},
	{[]string{"tls.mode"}, []string{"tls.cert", "tls.key"}},
	{[]string{"auth.mode", "auth.end_at_exp", "admin.token", "web.trusted_proxies",
		"web.proxy_protocol"}, []string{
		"auth", "api", "admin.tokens", "web.allowed_origins", "compat.turn_rest", "turn.peers", "turn.static_peers",
		"turn.allow_peers", "turn.deny_peers", "webhook.connect_url", "webhook.connect_unanswered",
	}},
}

// NeedRestart returns the keys, of those that have changed, that can't change while the appliance
// runs, and those that make no sense without them.
func NeedRestart(keys []string) []string {
	waiting := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return isIn(key, live) })
	later := slices.Clone(waiting)
	for _, c := range companions {
		if slices.ContainsFunc(waiting, func(key string) bool { return isIn(key, c.of) }) {
			for _, key := range keys {
				if isIn(key, c.wait) && !slices.Contains(later, key) {
					later = append(later, key)
				}
			}
		}
	}
	return later
}

// isIn reports whether a key is one of these, or in a table that is.
func isIn(key string, these []string) bool {
	return slices.ContainsFunc(these, func(one string) bool { return key == one || strings.HasPrefix(key, one+".") })
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
