package signalbox

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"signalbox/turnsvc/cred"
)

// live is what Reload changes while the appliance runs. It is immutable.
type live struct {
	keys *cred.Keys
	ttl  time.Duration // of credentials
	auth admission     // nil: everybody may enter
}

// liveKeys are the keys that Reload may change, or the tables of which it may change every key. The
// files that tls.cert, tls.key and auth.jwt_key name are read again even where the names are the
// same: a renewed certificate has the old one's.
var liveKeys = []string{
	"tls.cert", "tls.key", "auth.password", "auth.jwt_key",
	"turn.secret", "turn.old_secrets", "turn.credential_ttl", "turn.min_lifetime", "turn.allow_peers",
	"turn.deny_peers", "turn.users", "turn.limits",
}

// Reload puts another configuration into force without touching running calls, and returns the keys
// that have changed. If a key has changed that needs a restart, or a value can't be used, it
// returns an error that says so and changes nothing.
func (a *App) Reload(cfg Config) (changed []string, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a.reloading.Lock()
	defer a.reloading.Unlock()
	changed = diff(&a.loaded, &cfg)
	if fixed := slices.DeleteFunc(slices.Clone(changed), isLive); len(fixed) > 0 {
		return nil, fmt.Errorf("a restart is needed to change %s: nothing has been changed", strings.Join(fixed, ", "))
	}
	next, err := a.makeLive(&cfg)
	if err != nil {
		return nil, err
	}
	turn, err := turnLive(&cfg, next.keys)
	if err != nil {
		return nil, err
	}
	commit := func() {}
	if a.certs != nil {
		if commit, err = a.certs.reload(&cfg); err != nil {
			return nil, err
		}
	}
	if err := a.turn.Apply(turn); err != nil {
		return nil, err
	}
	commit()
	a.live.Store(next)
	a.loaded = cfg
	return changed, nil
}

func isLive(key string) bool {
	return slices.ContainsFunc(liveKeys, func(l string) bool { return key == l || strings.HasPrefix(key, l+".") })
}

// makeLive reads what the live part of a configuration names.
func (a *App) makeLive(cfg *Config) (*live, error) {
	secret, err := a.secret(cfg.TURN.Secret, turnSecretFile)
	if err != nil {
		return nil, err
	}
	l := &live{keys: cred.NewKeys(string(secret), cfg.TURN.OldSecrets.reveal()...),
		ttl: time.Duration(cfg.TURN.CredentialTTL)}
	l.auth, err = newAdmission(cfg)
	return l, err
}

// diff returns the dotted keys in which two configurations differ.
func diff(old, next *Config) (keys []string) {
	var walk func(prefix string, a, b reflect.Value)
	walk = func(prefix string, a, b reflect.Value) {
		for i := range a.NumField() {
			f := a.Type().Field(i)
			name := f.Tag.Get("toml")
			switch {
			case name == "-":
			case f.Type.Kind() == reflect.Struct:
				walk(prefix+name+".", a.Field(i), b.Field(i))
			case !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()):
				keys = append(keys, prefix+name)
			}
		}
	}
	walk("", reflect.ValueOf(*old), reflect.ValueOf(*next))
	return keys
}
