package object

import (
	"bytes"
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
		`["a" , [1,{}],"\\"]`, `["12345678\"901234567\\","ééééééé\t"]`, "[\"1234567\x1f\"]", `[[],{}]`, `[1 2]`, `[1]]`,
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
		var want []json.RawMessage
		array := json.Unmarshal(text, &want) == nil && bytes.HasPrefix(bytes.TrimSpace(text), []byte("["))
		got, ok := Elements(text, nil)
		if ok != array || ok && len(got) != len(want) {
			t.Fatalf("%q has the elements %q, %v", text, got, ok)
		}
		for i := range want {
			if ok && string(got[i]) != string(want[i]) {
				t.Fatalf("element %d of %q is %q", i, text, got[i])
			}
		}
	})
}

func TestStops(t *testing.T) {
	t.Parallel()
	for c := range len(stops) {
		if want := c < ' ' || c == '"' || c == '\\'; want != (stops[c] != 0) {
			t.Errorf("byte %#x: %d", c, stops[c])
		}
	}
	if len(stops) != 256 {
		t.Errorf("%d bytes", len(stops))
	}
}

func BenchmarkValid(b *testing.B) {
	text := []byte(`["vdata","r1",{"type":"offer","sdp":"` + strings.Repeat(`v=0 line\r\n`, 120) + `"}]`)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if !Valid(text) {
			b.Fatal("no JSON")
		}
	}
}
