package config

import (
	"slices"
	"testing"
)

// What makes no sense without a key that waits for a restart waits with it; all else does not.
func TestCompanionsWait(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ changed, want []string }{
		{[]string{"turn.urls", "turn.users", "log.level"}, nil},
		{[]string{"turn.listen", "turn.urls", "turn.users"}, []string{"turn.listen", "turn.urls"}},
		{[]string{"turn.realm", "turn.urls", "turn.users"}, []string{"turn.realm", "turn.users"}},
		{[]string{"tls.mode", "tls.cert", "tls.key"}, []string{"tls.mode", "tls.cert", "tls.key"}},
		{[]string{"web.allowed_origins", "auth.mode", "auth.password", "turn.limits.per_user"},
			[]string{"auth.mode", "web.allowed_origins", "auth.password"}},
		{[]string{"drain.timeout", "turn.allow_peers"}, []string{"drain.timeout"}},
	} {
		if got := NeedRestart(tt.changed); !slices.Equal(got, tt.want) {
			t.Errorf("of %v wait %v, want %v", tt.changed, got, tt.want)
		}
	}
}

// What waits for a restart has its old value in what is in force, also if it had none.
func TestGivenKeepsWhatWaits(t *testing.T) {
	t.Parallel()
	given := func(set ...string) Given {
		_, g, err := LoadGiven(defaults(t), LoadOptions{Set: set})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	next := given("turn.realm=new.example", "log.level=debug", `turn.users=[{name = "a", password = "a long one"}]`)
	next.Keep(given(), []string{"turn.realm", "turn.users"})
	got, err := next.TOML()
	if err != nil {
		t.Fatal(err)
	}
	if want, err := given("log.level=debug").TOML(); got != want {
		t.Errorf("got %s, want %s (%v)", got, want, err)
	}
}
