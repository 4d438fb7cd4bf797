package admin

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"signalbox/internal/cert"
	"signalbox/internal/source"
	"signalbox/internal/status"
	"signalbox/internal/trouble"
	"signalbox/internal/usage"
	"signalbox/signal"
	"signalbox/turnsvc/cred"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// described is what the API takes and answers, by route; nil: nothing.
type described struct {
	summary string
	query   []string // "name", or "name=" and its values
	in, out any
}

func descriptions() map[string]described {
	list := func(more ...string) []string { return append([]string{"search", "offset", "limit"}, more...) }
	return map[string]described{
		"POST /api/admin/login":  {"Begins the session of a page, in a cookie.", nil, Login{}, Session{}},
		"POST /api/admin/logout": {"Ends the session of a page.", nil, nil, nil},
		"GET /api/admin/session": {"Whose token the request has, and its scope.", nil, nil, Session{}},
		"GET /api/admin/status":  {"Everything, with every room and allocation.", nil, nil, status.Status{}},
		"GET /api/admin/events":  {"Server-sent events: a Live a second.", nil, nil, Live{}},
		"GET /api/admin/history": {"The last hour, or what is later than after.", []string{"after"}, nil, History{}},
		"GET /api/admin/rooms": {"Rooms with people.", list("sort=name,rate,members"), nil,
			RoomList{}},
		"GET /api/admin/sessions": {"Sessions.", list("sort=name,rate"), nil, SessionList{}},
		"GET /api/admin/allocations": {"Allocations; outside=true: of nobody in a room.",
			list("sort=bytes,rate,age,user", "outside=true"), nil, AllocationList{}},
		"GET /api/admin/log": {"The last lines that warn or refuse, or those after a number.", []string{"after"}, nil,
			Log{}},
		"GET /api/admin/config": {"The configuration in force, without secrets.", nil, nil, Config{}},
		"GET /api/admin/usage": {"What each user has used of the relay.",
			[]string{"period=day,month", "at", "user", "offset", "limit", "sort=" + strings.Join(usage.Orders(), ",")},
			nil, usage.Answer{}},
		"GET /api/admin/bans":    {"The bans in force, the oldest first.", nil, nil, Bans{}},
		"POST /api/admin/kick":   {"Ends sessions and allocations, and with ban keeps out.", nil, Kick{}, Result{}},
		"POST /api/admin/unban":  {"Lifts bans.", nil, Unban{}, Unbanned{}},
		"POST /api/admin/close":  {"Ends a room.", nil, Close{}, Closed{}},
		"POST /api/admin/reload": {"Reads the configuration again.", nil, nil, Reloaded{}},
		"POST /api/admin/drain":  {"Has the box end once its allocations have ended.", nil, nil, Draining{}},
	}
}

// words are the texts that a type of texts can have, or a field whose type can have any.
type words struct {
	ofType  map[reflect.Type][]string
	ofField map[reflect.Type]map[string][]string
}

func texts[T ~string](of ...T) (out []string) {
	for _, text := range of {
		out = append(out, string(text))
	}
	return out
}

func wordsOf(t testing.TB) words {
	t.Helper()
	var troubles []trouble.Code
	for _, row := range trouble.All() {
		troubles = append(troubles, row.Code)
	}
	var classes []string
	for _, class := range []cred.Class{cred.Static, cred.Hub, cred.ICE, cred.Shared} {
		classes = append(classes, class.String())
	}
	const relay = "../../turnsvc/snapshot.go"
	ports := reflect.TypeOf(status.Status{}.TURN.RelayPorts).Elem()
	crowds := reflect.TypeOf(status.Status{}.TURN.SharedUsers).Elem()
	return words{
		ofType: map[reflect.Type][]string{
			reflect.TypeFor[Code](): texts(BadRequest, Unauthorized, NotFound, TooManyTries, OnlyLooks, NoSuchRoom,
				TooManyBans, TooManyPages, GoingDown, Impossible),
			reflect.TypeFor[Warning]():       texts(NotKept, SourceStay),
			reflect.TypeFor[Scope]():         texts(Read, Write),
			reflect.TypeFor[signal.Policy](): texts(signal.PolicyOpen, signal.PolicyInvited, signal.PolicyLocked),
			reflect.TypeFor[signal.Code]():   texts(signal.Codes()...),
			reflect.TypeFor[usage.Period]():  texts(usage.Day, usage.Month),
			reflect.TypeFor[trouble.Code]():  texts(troubles...),
		},
		ofField: map[reflect.Type]map[string][]string{
			reflect.TypeFor[status.Allocation](): {
				"Class": classes, "Transport": literals(t, relay, "transportNames"),
			},
			reflect.TypeFor[usage.Row]():   {"Class": append([]string{""}, classes...)},
			reflect.TypeFor[cert.Status](): {"Mode": texts(cert.SelfSigned, cert.Files, cert.ACME)},
			reflect.TypeFor[Line]():        {"Level": {"info", "warn", "error"}},
			crowds:                         {"Class": classes},
			ports:                          {"Family": literals(t, relay, "familyNames")},
		},
	}
}

// declared are the constants and variables of a file that have a name or the name of their type.
func declared(t testing.TB, file, name string) (specs []*ast.ValueSpec) {
	t.Helper()
	parsed, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(node ast.Node) bool {
		if spec, ok := node.(*ast.ValueSpec); ok {
			if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == name || spec.Names[0].Name == name {
				specs = append(specs, spec)
			}
		}
		return true
	})
	return specs
}

// literals are the texts of a list that another package has for itself.
func literals(t testing.TB, file, name string) (out []string) {
	t.Helper()
	for _, spec := range declared(t, file, name) {
		ast.Inspect(spec, func(node ast.Node) bool {
			if lit, ok := node.(*ast.BasicLit); ok && lit.Kind == gotoken.STRING {
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, text)
			}
			return true
		})
	}
	if len(out) == 0 {
		t.Fatalf("%s has no texts in %s", name, file)
	}
	return out
}

// The words of each type are all constants of that type.
func TestWordsAreAllConstants(t *testing.T) {
	t.Parallel()
	w := wordsOf(t)
	files := map[reflect.Type]string{
		reflect.TypeFor[Code](): "refusal.go", reflect.TypeFor[Warning](): "refusal.go",
		reflect.TypeFor[Scope](): "door.go", reflect.TypeFor[signal.Policy](): "../../signal/keep.go",
		reflect.TypeFor[usage.Period](): "../usage/page.go",
	}
	for typ, file := range files {
		got := slices.Sorted(slices.Values(w.ofType[typ]))
		if n := len(declared(t, file, typ.Name())); n != len(slices.Compact(got)) || n == 0 {
			t.Errorf("%v has %d constants, and the words %q", typ, n, got)
		}
	}
}

// Lists are sorted as is described.
func TestSortsAreAsDescribed(t *testing.T) {
	t.Parallel()
	a := box(nil)
	for route, d := range descriptions() {
		method, path, _ := strings.Cut(route, " ")
		for _, parameter := range d.query {
			sorts, ok := strings.CutPrefix(parameter, "sort=")
			if !ok || path == "/api/admin/usage" { // which says itself how it sorts
				continue
			}
			w := send(a, method, path+"?sort=x", "", "Authorization", "Bearer "+looking)
			if want := "none of " + strings.ReplaceAll(sorts, ",", ", "); !strings.Contains(w.Body.String(), want+`"`) {
				t.Errorf("%s: %s, want %s", path, w.Body, want)
			}
		}
	}
}

// Each route of the API is described, and openapi.json is what the types say: go test -update
// writes it.
func TestOpenAPIIsWhatTheHandlersDo(t *testing.T) {
	t.Parallel()
	routes, said, known := box(nil).Routes(), descriptions(), wordsOf(t)
	for route := range routes {
		if _, ok := said[route]; !ok && route != "GET /api/admin/openapi.json" {
			t.Errorf("%s is not described", route)
		}
	}
	paths := map[string]any{}
	for route, d := range said {
		if routes[route] == nil {
			t.Errorf("%s is described, and not served", route)
		}
		method, path, _ := strings.Cut(route, " ")
		item, _ := paths[path].(map[string]any)
		if item == nil {
			item = map[string]any{}
			paths[path] = item
		}
		item[strings.ToLower(method)] = d.operation(known, path, method)
	}
	text, err := json.MarshalIndent(map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{"title": "signalbox admin API", "version": "1",
			"description": "Bearer tokens are admin.token and admin.tokens; what is not a GET needs the scope write. " +
				"With the cookie of a session it also needs the header " + pageHeader + ". " +
				"Times are Unix milliseconds. Bytes are those of the relayed datagrams' payloads, without TURN, UDP " +
				"and IP headers, and without what client and relay say to each other: bytesSent and bytesReceived of " +
				"getStats, and the browsers' connectivity checks, which getStats leaves out."},
		"paths":    paths,
		"security": []any{map[string]any{"token": []any{}}, map[string]any{"session": []any{}}},
		"components": map[string]any{"securitySchemes": map[string]any{
			"token":   map[string]any{"type": "http", "scheme": "bearer"},
			"session": map[string]any{"type": "apiKey", "in": "cookie", "name": "__Host-signalbox-admin"},
		}},
	}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(text, openAPI) && !*update {
		t.Error("openapi.json is not what the program does: go test ./internal/admin -run OpenAPI -update")
	}
}

func (d described) operation(w words, path, method string) map[string]any {
	const kind = "application/json"
	op := map[string]any{"summary": d.summary}
	ok := map[string]any{"description": "done"}
	refusal := w.schemaOf(reflect.TypeFor[struct {
		Code    Code   `json:"code"`
		Message string `json:"message"`
	}]())
	failed := map[string]any{"content": map[string]any{kind: map[string]any{"schema": refusal}},
		"description": "a code for programs, and a sentence for people"}
	responses := map[string]any{"default": failed}
	switch {
	case d.out == nil:
		responses["204"] = ok
	case path == "/api/admin/events":
		ok["content"] = map[string]any{"text/event-stream": map[string]any{"schema": w.schemaOf(reflect.TypeOf(d.out))}}
		responses["200"] = ok
	default:
		ok["content"] = map[string]any{kind: map[string]any{"schema": w.schemaOf(reflect.TypeOf(d.out))}}
		responses["200"] = ok
	}
	if path != "/api/admin/login" && path != "/api/admin/logout" {
		scope := Read
		if method != "GET" {
			scope = Write
		}
		op["x-scope"] = scope
	} else {
		op["security"] = []any{}
	}
	op["responses"] = responses
	if d.in != nil {
		op["requestBody"] = map[string]any{"required": true,
			"content": map[string]any{kind: map[string]any{"schema": w.schemaOf(reflect.TypeOf(d.in))}}}
	}
	var parameters []any
	for _, parameter := range d.query {
		name, values, few := strings.Cut(parameter, "=")
		schema := map[string]any{"type": "string"}
		switch {
		case slices.Contains([]string{"offset", "limit", "after"}, name):
			schema["type"] = "integer"
		case few:
			schema["enum"] = strings.Split(values, ",")
		}
		parameters = append(parameters, map[string]any{"name": name, "in": "query", "schema": schema})
	}
	if parameters != nil {
		op["parameters"] = parameters
	}
	return op
}

// schemaOf is the JSON schema of what encoding/json makes of a type.
func (w words) schemaOf(typ reflect.Type) map[string]any {
	switch typ {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[netip.Addr](), reflect.TypeFor[netip.Prefix]():
		return map[string]any{"type": "string"}
	}
	if typ.Kind() == reflect.String && w.ofType[typ] != nil {
		return map[string]any{"type": "string", "enum": w.ofType[typ]}
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return w.schemaOf(typ.Elem())
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": w.schemaOf(typ.Elem())}
	case reflect.Map:
		out := map[string]any{"type": "object", "additionalProperties": w.schemaOf(typ.Elem())}
		if names := w.ofType[typ.Key()]; names != nil {
			out["propertyNames"] = map[string]any{"enum": names}
		}
		return out
	case reflect.Struct:
		properties, required := map[string]any{}, []string{}
		w.fields(typ, properties, &required)
		slices.Sort(required)
		return map[string]any{"type": "object", "properties": properties, "required": required}
	}
	return map[string]any{"type": "integer"}
}

func (w words) fields(typ reflect.Type, properties map[string]any, required *[]string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			w.fields(f.Type, properties, required)
		case name == "-" || !f.IsExported():
		default:
			schema := w.schemaOf(f.Type)
			if one := w.ofField[typ][f.Name]; one != nil {
				schema["enum"] = one
			}
			properties[name] = schema
			if !strings.HasPrefix(options, "omit") {
				*required = append(*required, name)
			}
		}
	}
}

// A ban in the list has the fields that its type promises.
func TestBansAreAsDescribed(t *testing.T) {
	t.Parallel()
	a := box(nil)
	until := time.Now().Add(time.Hour)
	if err := a.o.Bans.Add(time.Now(), source.Ban{User: "eve", Until: until, Why: "noise", By: owner}); err != nil {
		t.Fatal(err)
	}
	w := send(a, "GET", "/api/admin/bans", "", "Authorization", "Bearer "+looking)
	for _, want := range []string{`"user":"eve"`, `"why":"noise"`, `"by":"admin.token"`, `"until":1`, `"made":1`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s lacks %s", w.Body, want)
		}
	}
}
