package admin

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/internal/source"
	"signalbox/internal/status"
	"signalbox/internal/usage"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// described is what the API takes and answers, by route; nil: nothing.
type described struct {
	summary string
	query   []string
	in, out any
}

func descriptions() map[string]described {
	lists := []string{"search", "sort", "offset", "limit"}
	return map[string]described{
		"POST /api/admin/login":   {"Begins the session of a page, in a cookie.", nil, Login{}, Session{}},
		"POST /api/admin/logout":  {"Ends the session of a page.", nil, nil, nil},
		"GET /api/admin/session":  {"Whose token the request has, and its scope.", nil, nil, Session{}},
		"GET /api/admin/status":   {"Everything, with every room and allocation.", nil, nil, status.Status{}},
		"GET /api/admin/events":   {"Server-sent events: a Live a second.", nil, nil, Live{}},
		"GET /api/admin/history":  {"The last hour, or what is later than after.", []string{"after"}, nil, History{}},
		"GET /api/admin/rooms":    {"Rooms with people; sort: name, rate, members.", lists, nil, RoomList{}},
		"GET /api/admin/sessions": {"Sessions; sort: name, rate.", lists, nil, SessionList{}},
		"GET /api/admin/allocations": {"Allocations; sort: bytes, rate, age, user; outside=true: of nobody in a room.",
			append(lists, "outside"), nil, AllocationList{}},
		"GET /api/admin/log": {"The last lines that warn or refuse, or those after a number.", []string{"after"}, nil,
			Log{}},
		"GET /api/admin/config": {"The configuration in force, without secrets.", nil, nil, Config{}},
		"GET /api/admin/usage": {"What each user has used of the relay; sort as in signalbox usage.",
			[]string{"period", "at", "user", "sort", "offset", "limit"}, nil, usage.Answer{}},
		"GET /api/admin/bans":    {"The bans in force, the oldest first.", nil, nil, Bans{}},
		"POST /api/admin/kick":   {"Ends sessions and allocations, and with ban keeps out.", nil, Kick{}, Result{}},
		"POST /api/admin/unban":  {"Lifts bans.", nil, Unban{}, Unbanned{}},
		"POST /api/admin/close":  {"Ends a room.", nil, Close{}, Closed{}},
		"POST /api/admin/reload": {"Reads the configuration again.", nil, nil, Reloaded{}},
		"POST /api/admin/drain":  {"Has the box end once its allocations have ended.", nil, nil, Draining{}},
	}
}

// Each route of the API is described, and openapi.json is what the types say: go test -update
// writes it.
func TestOpenAPIIsWhatTheHandlersDo(t *testing.T) {
	t.Parallel()
	routes, said := box(nil).Routes(), descriptions()
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
		item[strings.ToLower(method)] = d.operation(path, method)
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

func (d described) operation(path, method string) map[string]any {
	const kind = "application/json"
	op := map[string]any{"summary": d.summary}
	ok := map[string]any{"description": "done"}
	failed := map[string]any{"content": map[string]any{kind: map[string]any{"schema": schemaOf(reflect.TypeFor[struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}]())}}, "description": "a code for programs, and a sentence for people"}
	responses := map[string]any{"default": failed}
	switch {
	case d.out == nil:
		responses["204"] = ok
	case path == "/api/admin/events":
		ok["content"] = map[string]any{"text/event-stream": map[string]any{"schema": schemaOf(reflect.TypeOf(d.out))}}
		responses["200"] = ok
	default:
		ok["content"] = map[string]any{kind: map[string]any{"schema": schemaOf(reflect.TypeOf(d.out))}}
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
			"content": map[string]any{kind: map[string]any{"schema": schemaOf(reflect.TypeOf(d.in))}}}
	}
	var parameters []any
	for _, name := range d.query {
		typ := "string"
		if slices.Contains([]string{"offset", "limit", "after"}, name) {
			typ = "integer"
		}
		parameters = append(parameters, map[string]any{"name": name, "in": "query",
			"schema": map[string]any{"type": typ}})
	}
	if parameters != nil {
		op["parameters"] = parameters
	}
	return op
}

// schemaOf is the JSON schema of what encoding/json makes of a type.
func schemaOf(typ reflect.Type) map[string]any {
	switch typ {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[netip.Addr](), reflect.TypeFor[netip.Prefix]():
		return map[string]any{"type": "string"}
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return schemaOf(typ.Elem())
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(typ.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(typ.Elem())}
	case reflect.Struct:
		properties, required := map[string]any{}, []string{}
		fields(typ, properties, &required)
		slices.Sort(required)
		return map[string]any{"type": "object", "properties": properties, "required": required}
	}
	return map[string]any{"type": "integer"}
}

func fields(typ reflect.Type, properties map[string]any, required *[]string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			fields(f.Type, properties, required)
		case name == "-" || !f.IsExported():
		default:
			properties[name] = schemaOf(f.Type)
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
