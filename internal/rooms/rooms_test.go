package rooms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/internal/admission"
	"signalbox/internal/testkit"
	"signalbox/signal"
	"signalbox/signal/client"
	"signalbox/signal/native"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { testkit.Main(m, patience, "signalbox/") }

const (
	all     = "a key of the tests with all rights"
	lessons = "a key of the tests for lessons only"
	reader  = "a key of the tests that only reads"
)

// box is a hub with the API.
type box struct {
	t      *testing.T
	hub    *signal.Hub
	api    *API
	server *httptest.Server

	mu   sync.Mutex
	seen map[string]bool // "GET /api/rooms 200"
}

func start(t *testing.T, o signal.Options) *box {
	t.Helper()
	hub, err := signal.New(o)
	if err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, hub: hub, api: New(hub, slog.New(slog.DiscardHandler)), seen: map[string]bool{}}
	b.api.Apply(Options{
		Keys: []Key{
			{Name: "all", Key: all, May: Rights()},
			{Name: "lessons", Key: lessons, May: Rights(), Rooms: []string{"lesson-*"}},
			{Name: "reader", Key: reader, May: []Right{Read}},
		},
		Mint: func(r admission.TokenRequest) (admission.Token, error) {
			return admission.Mint("a secret of the tests, of 32 bytes", r)
		},
	})
	mux := http.NewServeMux()
	for pattern, handler := range b.api.Routes() {
		mux.Handle(pattern, handler)
	}
	mux.Handle("GET /signal", native.New(hub))
	b.server = httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := hub.Close(ctx); err != nil {
			t.Error(err)
		}
		b.server.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return b
}

// ask sends a request, and compares the answer with openapi.json.
func (b *box) ask(key, method, path, body string) (status int, answer string) {
	b.t.Helper()
	req, err := http.NewRequest(method, b.server.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	path, _, _ = strings.Cut(path, "?")
	for _, op := range operations() {
		if op.method == method && matchesPath(op.path, path) {
			read(b.t).conforms(b.t, method, path, resp.StatusCode, text)
			b.mu.Lock()
			b.seen[method+" "+op.path+" "+strconv.Itoa(resp.StatusCode)] = true
			b.mu.Unlock()
		}
	}
	return resp.StatusCode, string(text)
}

// want is ask for an answer that is known.
func (b *box) want(status int, part, key, method, path, body string) {
	b.t.Helper()
	got, answer := b.ask(key, method, path, body)
	if got != status || !strings.Contains(answer, part) {
		b.t.Errorf("%s %s %.200s: %d %s, want %d %s", method, path, body, got, answer, status, part)
	}
}

func (b *box) dial(name, user string) *client.Session {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	s, err := client.Dial(ctx, b.server.URL, client.Options{Name: name, User: user})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(s.Close)
	return s
}

func (b *box) join(s *client.Session, room string) error {
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	_, err := s.Join(ctx, room)
	return err
}

func await[E client.Event](t *testing.T, s *client.Session) E {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		e, err := s.Next(ctx)
		if err != nil {
			t.Fatalf("waiting for %T: %v", *new(E), err)
		}
		if e, ok := e.(E); ok {
			return e
		}
	}
}

// What the API can do, with every answer that openapi.json knows of.
func TestHub13ServerTakesPart(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{RoomCapacity: 8, Rooms: 4})
	b.want(200, `{"rooms":[]}`, all, "GET", "/api/rooms", "")
	b.want(201, `"capacity":3,"policy":"invited","users":["ada"],`, all, "POST", "/api/rooms",
		`{"room":"lesson-1","capacity":3,"policy":"invited","users":["ada"],"ttl":"90m"}`)
	b.want(200, `"capacity":8,"policy":"open","expires":`, all, "POST", "/api/rooms", `{"room":"lesson-1"}`)
	b.want(201, `"room":"a/b"`, all, "POST", "/api/rooms", `{"room":"a/b"}`)

	ada := b.dial("Ada", "ada")
	if err := b.join(ada, "lesson-1"); err != nil {
		t.Fatal(err)
	}
	b.want(200, `"members":[{"id":"`+ada.PeerID()+`","name":"Ada","user":"ada","since":`, all, "GET",
		"/api/rooms/lesson-1", "")
	b.want(200, `"room":"a/b"`, all, "GET", "/api/rooms/a%2Fb", "")
	b.want(200, `"next":"a/b"`, all, "GET", "/api/rooms?limit=1", "")
	b.want(200, `{"rooms":[{"room":"lesson-1"`, all, "GET", "/api/rooms?after=a/b", "")
	b.want(200, `{"rooms":[{"room":"lesson-1"`, lessons, "GET", "/api/rooms", "")

	speaks(t, b, ada)

	b.want(200, `{"kicked":1}`, lessons, "POST", "/api/rooms/lesson-1/kick", `{"user":"ada"}`)
	if e := await[client.RoomClosed](t, ada); !client.IsCode(e.Err, client.CodeKicked) {
		t.Errorf("got %+v", e)
	}
	b.want(200, `"policy":"locked"`, all, "POST", "/api/rooms", `{"room":"lesson-1","policy":"locked"}`)
	if err := b.join(ada, "lesson-1"); !client.IsCode(err, client.CodeUnauthorized) {
		t.Errorf("a locked room: %v", err)
	}
	b.want(204, "", all, "DELETE", "/api/rooms/lesson-1", "")

	status, text := b.ask(lessons, "POST", "/api/tokens", `{"rooms":["lesson-1"],"room_patterns":["lesson-x*"],`+
		`"user":"ada","ttl":"12h"}`)
	var token admission.Token
	if err := json.Unmarshal([]byte(text), &token); err != nil || status != 200 || token.Token == "" ||
		time.Until(time.UnixMilli(token.Expires)) < 11*time.Hour {
		t.Errorf("%d %s: %v", status, text, err)
	}

	refusals(t, b)
	b.complete()
}

// speaks sends to a session in each way.
func speaks(t *testing.T, b *box, ada *client.Session) {
	t.Helper()
	b.want(204, "", all, "POST", "/api/send", `{"to":"@ada","data":{"bell": 1}}`)
	b.want(204, "", all, "POST", "/api/send", `{"to":"`+ada.PeerID()+`","data":null}`)
	b.want(204, "", lessons, "POST", "/api/rooms/lesson-1/send", `{"data":"all"}`)
	b.want(204, "", lessons, "POST", "/api/rooms/lesson-1/send", `{"to":"`+ada.PeerID()+`","data":"you"}`)
	for _, want := range []string{`{"bell": 1}`, "null"} {
		if e := await[client.SignalEvent](t, ada); e.From != signal.ServerID || string(e.Data) != want || e.Room != "" {
			t.Errorf("got %+v, want %s", e, want)
		}
	}
	if e := await[client.BroadcastEvent](t, ada); e.From != signal.ServerID || string(e.Data) != `"all"` {
		t.Errorf("got %+v", e)
	}
	if e := await[client.SignalEvent](t, ada); e.From != signal.ServerID || e.Room != "lesson-1" {
		t.Errorf("got %+v", e)
	}
}

// complete looks for what openapi.json knows of and no answer has shown.
func (b *box) complete() {
	b.t.Helper()
	for _, op := range operations() {
		statuses := append(everyFailure(), op.fails...)
		for status := range op.out {
			statuses = append(statuses, status)
		}
		for _, status := range statuses {
			if name := fmt.Sprintf("%s %s %d", op.method, op.path, status); !b.seen[name] && status != 500 {
				b.t.Errorf("no answer shows %s", name)
			}
		}
	}
}

// refusals asks for everything that there is not, or that may not be.
func refusals(t *testing.T, b *box) {
	t.Helper()
	long := strings.Repeat("x", 70<<10)
	deep := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	for _, c := range []struct {
		status                        int
		part, key, method, path, body string
	}{
		{400, "limit", all, "GET", "/api/rooms?limit=0", ""},
		{400, "room is missing", all, "POST", "/api/rooms", `{}`},
		{400, "control character", all, "POST", "/api/rooms", `{"room":"a\u202eb"}`},
		{400, "capacity", all, "POST", "/api/rooms", `{"room":"x","capacity":-1}`},
		{400, "policy", all, "POST", "/api/rooms", `{"room":"x","policy":"none"}`},
		{400, "users", all, "POST", "/api/rooms", `{"room":"x","users":["ada"]}`},
		{400, "ttl", all, "POST", "/api/rooms", `{"room":"x","ttl":"1000h"}`},
		{400, "color", all, "POST", "/api/rooms", `{"room":"x","color":1}`},
		{400, "follows", all, "POST", "/api/rooms", `{"room":"x"}{}`},
		{400, "UTF-8", all, "POST", "/api/rooms", "{\"room\":\"\xff\"}"},
		{400, "either", all, "POST", "/api/rooms/a%2Fb/kick", `{}`},
		{400, "data is missing", all, "POST", "/api/rooms/a%2Fb/send", `{}`},
		{400, "nested", all, "POST", "/api/send", `{"to":"@ada","data":` + deep + `}`},
		{400, "to is missing", all, "POST", "/api/send", `{"data":1}`},
		{400, "name a room", all, "POST", "/api/tokens", `{}`},
		{403, "not for that room", lessons, "POST", "/api/rooms", `{"room":"tea"}`},
		{403, "not for that room", lessons, "GET", "/api/rooms/a%2Fb", ""},
		{403, "not for that room", lessons, "DELETE", "/api/rooms/a%2Fb", ""},
		{403, "not for that room", lessons, "POST", "/api/rooms/a%2Fb/kick", `{"user":"ada"}`},
		{403, "not for that room", lessons, "POST", "/api/rooms/a%2Fb/send", `{"data":1}`},
		{403, "some rooms only", lessons, "POST", "/api/send", `{"to":"@ada","data":1}`},
		{403, "not for that room", lessons, "POST", "/api/tokens", `{"rooms":["*"]}`},
		{403, "not for that room", lessons, "POST", "/api/tokens", `{"room_patterns":["lesson-*","*"]}`},
		{403, "name them", lessons, "POST", "/api/tokens", `{"user":"ada"}`},
		{403, "the right send", reader, "POST", "/api/send", `{"to":"@ada","data":1}`},
		{404, "no-such-room", all, "GET", "/api/rooms/none", ""},
		{404, "no-such-room", all, "DELETE", "/api/rooms/none", ""},
		{404, "no-such-room", all, "POST", "/api/rooms/none/kick", `{"user":"ada"}`},
		{404, "no-such-peer", all, "POST", "/api/rooms/a%2Fb/kick", `{"user":"ada"}`},
		{404, "no-such-room", all, "POST", "/api/rooms/none/send", `{"data":1}`},
		{404, "no-such-peer", all, "POST", "/api/rooms/a%2Fb/send", `{"to":"@ada","data":1}`},
		{404, "no-such-peer", all, "POST", "/api/send", `{"to":"@eve","data":1}`},
		{404, "not-found", all, "GET", "/api/rooms/a/b/c", ""},
		{405, "use DELETE, GET", all, "PATCH", "/api/rooms/a", ""},
		{413, "too-large", all, "POST", "/api/rooms", `{"room":"` + long + `"}`},
		{413, "too-large", all, "POST", "/api/rooms/a%2Fb/kick", `{"user":"` + long + `"}`},
		{413, "too-large", all, "POST", "/api/rooms/a%2Fb/send", `{"data":"` + long + `"}`},
		{413, "max_frame", all, "POST", "/api/send", `{"to":"@ada","data":"` + long[:64<<10] + `"}`},
		{413, "too-large", all, "POST", "/api/tokens", `{"name":"` + long + `"}`},
	} {
		b.want(c.status, c.part, c.key, c.method, c.path, c.body)
	}
	for i := range 4 {
		b.ask(all, "POST", "/api/rooms", fmt.Sprintf(`{"room":"more %d"}`, i))
	}
	b.want(429, "signal.rooms", all, "POST", "/api/rooms", `{"room":"too many"}`)

	everything(b, 401, "")
	for range wrongBurst {
		b.want(401, "unauthorized", "wrong", "GET", "/api/rooms", "")
	}
	everything(b, 429, "wrong")
	b.want(200, "", all, "GET", "/api/rooms", "") // who has a right key isn't locked out by others
	if s := b.api.Status(); !s.On || s.Served == 0 || s.Failed == 0 || s.Wrong < wrongBurst || s.Limited == 0 {
		t.Errorf("counted %+v", s)
	}
	b.hub.Drain()
	b.want(204, "", all, "DELETE", "/api/rooms/more%200", "")
	b.want(503, "shutting-down", all, "POST", "/api/rooms", `{"room":"too late"}`)

	keys := b.api.inForce.Load().Options
	b.api.Apply(Options{})
	everything(b, 404, all)
	b.api.Apply(keys)
	b.api.Apply(Options{Keys: []Key{{Key: all}}})
	everything(b, 403, all)
}

// everything asks for each operation, which is refused before its body is read.
func everything(b *box, status int, key string) {
	b.t.Helper()
	for _, op := range operations() {
		b.want(status, "", key, op.method, strings.Replace(op.path, "{room}", "tea", 1), "")
	}
}

// A body that never ends holds up its own request only, and a hub that fails tells nothing.
func TestHub13FailuresSayNoMoreThanTheyMust(t *testing.T) {
	t.Parallel()
	if f := failureOf(errors.New("secret words")); f.status != 500 || strings.Contains(f.message, "secret") {
		t.Errorf("got %+v", f)
	}
	for _, code := range signal.Codes() {
		if f := failureOf(signal.Refuse(code, "")); f.status < 400 || f.code == "" {
			t.Errorf("%s is %+v", code, f)
		}
	}
}

// openapi.json is served to everybody.
func TestHub13OpenAPIIsServed(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	status, text := b.ask("", "GET", "/api/openapi.json", "")
	if status != 200 || !strings.Contains(text, `"openapi": "3.1.0"`) {
		t.Errorf("%d %s", status, text)
	}
}
