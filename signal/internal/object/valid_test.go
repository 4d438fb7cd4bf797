package object

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDeepJSON(t *testing.T) {
	t.Parallel()
	for _, n := range []int{maxDepth, maxDepth + 1, 20_000} {
		for _, level := range []string{"[]", `{"a":}`} {
			i := len(level) - 1
			text := strings.Repeat(level[:i], n-1) + level[:1] + level[i:] + strings.Repeat(level[i:], n-1)
			if got := Valid([]byte(text)); got != (n <= maxDepth) {
				t.Errorf("%d levels of %s: %v", n, level, got)
			}
		}
	}
}

// What is valid here is valid elsewhere, and the other way round, but for the depth and UTF-8.
func FuzzValid(f *testing.F) {
	for _, seed := range []string{
		`["a",1,{"b":[true]}]`, `{"a":{},"b":[],"c":-0.1e+5}`, ` [ ] `, `"\u00e9\n"`, `01`, `[1,]`, `{"a":1,}`,
		`[}`, `-`,
		`1.`, `nul`, `{"a"}`, `"`, `[[]]]`, `{1:2}`, `1 2`, "\"\xff\"", `{"a":[{"b":null}]} `, `[{]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) >= maxDepth || !utf8.Valid(text) {
			return
		}
		if Valid(text) != json.Valid(text) {
			t.Fatalf("%q: %v", text, Valid(text))
		}
	})
}
