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
