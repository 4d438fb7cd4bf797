package object

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestFieldsKeepTheirOrderAndBytes(t *testing.T) {
	t.Parallel()
	o, err := Parse([]byte(` {"b": 1.50, "a":{"x" : "<&>"}, "b": 2.50, "Type":null} `))
	if err != nil {
		t.Fatal(err)
	}
	o.SetText("a", `<"é">`)
	o.Set("new", json.RawMessage("[]"))
	o.Delete("Type")
	if got, want := string(o.JSON()), `{"b":2.50,"a":"<\"é\">","new":[]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if text, ok := o.Text("b"); ok {
		t.Errorf("a number is the text %q", text)
	}
	if o.Get("type") != nil {
		t.Error("a field that is not there")
	}
}

func TestNoObject(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "junk", "[]", "null", `"x"`, "{", `{"a":}`, `{"a":1}}`, `{} {}`, "{\"a\":\"\xff\"}",
		`{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}",
		"{" + strings.Repeat(`"`, 3) + "}",
	} {
		if o, err := Parse([]byte(text)); err == nil {
			t.Errorf("%.40q is %s", text, o.JSON())
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"type":"publish","topic":"t","data":{"x":[1,"\u2028"]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(o.JSON())
		if err != nil || string(again.JSON()) != string(o.JSON()) {
			t.Fatalf("%q becomes %q", o.JSON(), again.JSON())
		}
	})
}
