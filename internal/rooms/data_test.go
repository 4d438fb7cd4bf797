package rooms

import (
	"strings"
	"testing"
)

// What the server says is JSON that every parser reads alike.
func TestHub13DataIsStrictJSON(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for data, want := range map[string]string{
		`null`: "", `1.50`: "", `"a"`: "", `""`: "", `{}`: "", `[]`: "",
		`{"a":{"a":1},"b":["a","a",{"a":"a"}]}`:      "",
		`["\ud83e\uded6","\\ud800","\"\\","\u00e9"]`: "",
		`{"a":1,"a":2}`:                      "twice",
		`[{"b":{"a":1,"\u0061":2}}]`:         "twice",
		`{"a":"a","b":[],"a":1}`:             "twice",
		`"\ud800"`:                           "half",
		`"\ud800x"`:                          "half",
		`"\ud800\n"`:                         "half",
		`"\ud800\ud800"`:                     "half",
		`"\udc00"`:                           "half",
		`{"\udfff":1}`:                       "half",
		nested(63):                           "",
		nested(64):                           "nested",
		``:                                   "missing",
		`"` + strings.Repeat("x", 200) + `"`: "max_frame",
	} {
		err := checkData([]byte(data), 200)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", data, err, want)
		}
	}
}
