package app

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Whatever the components count as dropped or refused, /admin says in words of each language.
func TestReasonsHaveWords(t *testing.T) {
	t.Parallel()
	s := startApp(t).Status()
	var keys []string
	for reason := range s.TURN.Drops {
		keys = append(keys, "drop."+reason)
	}
	for code := range s.TURN.Refusals {
		keys = append(keys, fmt.Sprint("turn.", code))
	}
	for code := range s.Signal.Refusals {
		keys = append(keys, "signal."+string(code))
	}
	if len(keys) < 40 {
		t.Fatalf("only %d reasons", len(keys))
	}
	for _, language := range []string{"en", "zh-CN"} {
		texts, err := os.ReadFile("../../webui/static/js/lang/" + language + "/admin.js")
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if !strings.Contains(string(texts), `"refused.`+key+`": "`) {
				t.Errorf("%s has no words for %s", language, key)
			}
		}
	}
}
