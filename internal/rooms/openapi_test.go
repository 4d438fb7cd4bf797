package rooms

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"signalbox/internal/answer"
	"signalbox/signal"
)

// schema is as much of one as openapi.json uses.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Format     string            `json:"format"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	Enum       []string          `json:"enum"`
}

type document struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Responses map[string]response `json:"responses"`
		Schemas   map[string]schema   `json:"schemas"`
	} `json:"components"`
}

type response struct {
	Ref     string             `json:"$ref"`
	Content map[string]content `json:"content"`
}

type content struct {
	Schema schema `json:"schema"`
}

type described struct {
	Parameters []struct {
		Name, In string
		Required bool
	} `json:"parameters"`
	RequestBody *struct {
		Required bool               `json:"required"`
		Content  map[string]content `json:"content"`
	} `json:"requestBody"`
	Responses map[string]response `json:"responses"`
}

func read(t testing.TB) *document {
	t.Helper()
	var d document
	if err := json.Unmarshal(openAPI, &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

// operations of the document: "GET /api/rooms".
func (d *document) operations(t testing.TB) map[string]described {
	t.Helper()
	out := map[string]described{}
	for path, item := range d.Paths {
		for method, text := range item {
			if method == "parameters" {
				continue
			}
			var op described
			if err := json.Unmarshal(text, &op); err != nil {
				t.Fatal(err)
			}
			if shared, ok := item["parameters"]; ok {
				own := op.Parameters
				if err := json.Unmarshal(shared, &op.Parameters); err != nil {
					t.Fatal(err)
				}
				op.Parameters = append(op.Parameters, own...)
			}
			out[strings.ToUpper(method)+" "+path] = op
		}
	}
	return out
}

// resolve follows references.
func (d *document) resolve(t testing.TB, s schema) schema {
	t.Helper()
	if s.Ref == "" {
		return s
	}
	name := strings.TrimPrefix(s.Ref, "#/components/schemas/")
	out, ok := d.Components.Schemas[name]
	if !ok {
		t.Errorf("there is no %s", s.Ref)
	}
	return out
}

func (d *document) answer(r response) response {
	if r.Ref != "" {
		return d.Components.Responses[strings.TrimPrefix(r.Ref, "#/components/responses/")]
	}
	return r
}

// wordsOf are the texts that a type can have; nil: any, or it has none.
func wordsOf(typ reflect.Type) (out []string) {
	switch typ {
	case reflect.TypeFor[signal.Policy]():
		return []string{string(signal.PolicyOpen), string(signal.PolicyInvited), string(signal.PolicyLocked)}
	case reflect.TypeFor[code]():
		out = []string{answer.NotFound, answer.Unauthorized, string(signal.CodeInternal)}
		for _, s := range statuses {
			out = append(out, string(s.code))
		}
		slices.Sort(out)
	}
	return out
}

// same reports where a schema differs from a Go type: each field, whether it must be there, and
// what it is.
func (d *document) same(t testing.TB, where string, s schema, typ reflect.Type) {
	t.Helper()
	s = d.resolve(t, s)
	want := map[reflect.Kind]string{
		reflect.String: "string", reflect.Int: "integer", reflect.Int64: "integer", reflect.Bool: "boolean",
		reflect.Slice: "array", reflect.Struct: "object",
	}[typ.Kind()]
	switch typ {
	case reflect.TypeFor[json.RawMessage]():
		want = "" // anything
	case reflect.TypeFor[time.Time]():
		want = "string"
		if s.Format != "date-time" {
			t.Errorf("%s is a time", where)
		}
	}
	if s.Type != want {
		t.Errorf("%s is %q in openapi.json, and %v in the program", where, s.Type, typ)
	}
	if words := wordsOf(typ); words != nil && !slices.Equal(s.Enum, words) {
		t.Errorf("%s is one of %q in openapi.json, and of %q in the program", where, s.Enum, words)
	}
	switch want {
	case "array":
		if s.Items == nil {
			t.Errorf("%s: of what?", where)
			return
		}
		d.same(t, where+"[]", *s.Items, typ.Elem())
	case "object":
		fields := map[string]bool{}
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields[name] = true
			property, ok := s.Properties[name]
			if !ok {
				t.Errorf("%s.%s is not in openapi.json", where, name)
				continue
			}
			if required := slices.Contains(s.Required, name); required == (options == "omitempty") {
				t.Errorf("%s.%s is required: %v in openapi.json, and not so in the program", where, name, required)
			}
			d.same(t, where+"."+name, property, f.Type)
		}
		for name := range s.Properties {
			if !fields[name] {
				t.Errorf("%s.%s is in openapi.json only", where, name)
			}
		}
	}
}

// Each path, method, parameter, status and field that the handlers have is in openapi.json, and
// the other way round.
func TestHub13OpenAPIIsWhatTheHandlersDo(t *testing.T) {
	t.Parallel()
	d := read(t)
	documented := d.operations(t)
	for _, op := range operations() {
		name := op.method + " " + op.path
		doc, ok := documented[name]
		if !ok {
			t.Errorf("%s is not in openapi.json", name)
			continue
		}
		delete(documented, name)

		var query []string
		inPath := false
		for _, p := range doc.Parameters {
			switch p.In {
			case "query":
				query = append(query, p.Name)
			case "path":
				inPath = p.Name == "room" && p.Required
			}
		}
		if !slices.Equal(query, op.query) || inPath != strings.Contains(op.path, "{room}") {
			t.Errorf("%s has the parameters %+v", name, doc.Parameters)
		}
		switch {
		case (doc.RequestBody == nil) != (op.in == nil):
			t.Errorf("%s: only one has a body", name)
		case op.in != nil:
			d.same(t, name+" body", doc.RequestBody.Content["application/json"].Schema, reflect.TypeOf(op.in))
		}
		want := map[string]any{}
		for status, out := range op.out {
			want[strconv.Itoa(status)] = out
		}
		for _, status := range append(everyFailure(), op.fails...) {
			want[strconv.Itoa(status)] = failed{}
		}
		if got := slices.Sorted(maps.Keys(doc.Responses)); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
			t.Errorf("%s answers %v in openapi.json, and %v in the program", name, got, slices.Sorted(maps.Keys(want)))
		}
		for status, out := range want {
			got := d.answer(doc.Responses[status]).Content["application/json"].Schema
			if out == nil {
				if !reflect.DeepEqual(got, schema{}) {
					t.Errorf("%s %s has a body in openapi.json only", name, status)
				}
				continue
			}
			d.same(t, name+" "+status, got, reflect.TypeOf(out))
		}
	}
	for name := range documented {
		t.Errorf("%s is in openapi.json only", name)
	}
}

// failed is what answer.Error writes.
type failed struct {
	Code    code   `json:"code"`
	Message string `json:"message"`
}

// code is one of answer, or one of the hub's that a handler tells: see failureOf.
type code string

// conforms checks an answer that a handler has really given.
func (d *document) conforms(t testing.TB, method, path string, status int, body []byte) {
	t.Helper()
	for _, op := range operations() {
		if op.method != method || !matchesPath(op.path, path) {
			continue
		}
		doc := d.operations(t)[method+" "+op.path]
		answer, ok := doc.Responses[strconv.Itoa(status)]
		if !ok {
			t.Errorf("%s %s answers %d, which openapi.json does not know", method, op.path, status)
			return
		}
		content, hasBody := d.answer(answer).Content["application/json"]
		if hasBody != (len(body) > 0) {
			t.Errorf("%s %s %d: the body is %q", method, op.path, status, body)
			return
		}
		if hasBody {
			var value any
			if err := json.Unmarshal(body, &value); err != nil {
				t.Errorf("%s %s %d: %v", method, op.path, status, err)
			}
			d.fits(t, fmt.Sprint(method, " ", op.path, " ", status), content.Schema, value)
		}
		return
	}
}

func matchesPath(pattern, path string) bool {
	mux := http.NewServeMux()
	mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
	r, err := http.NewRequest(http.MethodGet, "http://box"+path, nil)
	if err != nil {
		return false
	}
	_, got := mux.Handler(r)
	return got == pattern
}

func (d *document) fits(t testing.TB, where string, s schema, value any) {
	t.Helper()
	s = d.resolve(t, s)
	switch value := value.(type) {
	case string:
		if s.Enum != nil && !slices.Contains(s.Enum, value) {
			t.Errorf("%s is %q, which is none of %q", where, value, s.Enum)
		}
	case map[string]any:
		for _, name := range s.Required {
			if _, ok := value[name]; !ok {
				t.Errorf("%s lacks %s", where, name)
			}
		}
		for name, v := range value {
			property, ok := s.Properties[name]
			if !ok {
				t.Errorf("%s has %s", where, name)
			}
			d.fits(t, where+"."+name, property, v)
		}
	case []any:
		for _, v := range value {
			d.fits(t, where+"[]", *s.Items, v)
		}
	}
}
