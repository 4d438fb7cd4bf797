package signal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
)

// TestConversations plays testdata/conversations against a real hub. Their form is told in
// PROTOCOL.md, as they serve the authors of clients too.
func TestConversations(t *testing.T) {
	t.Parallel()
	for _, file := range conversationFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, string(text))
		})
	}
}

// scriptedICE issues the same servers to everybody.
type scriptedICE struct{}

func (scriptedICE) ICEServers(r signal.ICERequest) ([]signal.ICEServer, time.Time) {
	return []signal.ICEServer{
		{URLs: []string{"stun:box.example.org:3478"}},
		{
			URLs:       []string{"turn:box.example.org:3478", "turn:box.example.org:3478?transport=tcp"},
			Username:   "1767225600:" + r.PeerID,
			Credential: "secret",
		},
	}, time.Now().Add(time.Hour)
}

// namingGuard lets everybody in, with tokens, which name their users, or without.
func namingGuard(t *testing.T, tokens string) signal.Guard {
	t.Helper()
	var users map[string]string
	if err := json.Unmarshal([]byte(tokens), &users); err != nil {
		t.Fatal(err)
	}
	passes := map[string]signal.Pass{"": {}}
	for token, user := range users {
		passes[token] = signal.Pass{Key: token, Attested: true, User: user}
	}
	return guard{passes}
}

func play(t *testing.T, script string) {
	opts := signal.Options{ICE: scriptedICE{}}
	var b *box
	clients := make(map[string]*peerConn)
	values := make(map[string]any)

	for i, line := range strings.Split(script, "\n") {
		line = strings.TrimSpace(line)
		where := fmt.Sprintf("line %d: %s", i+1, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		who, rest, _ := strings.Cut(line, " ")
		if who == "options" {
			if err := json.Unmarshal([]byte(rest), &opts); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			continue
		}
		if who == "tokens" {
			opts.Guard = namingGuard(t, rest)
			continue
		}
		if b == nil {
			b = start(t, opts)
		}
		c := clients[who]
		if c == nil {
			c = b.dial(t)
			clients[who] = c
		}
		direction, text, _ := strings.Cut(rest, " ")
		switch {
		case direction == ">" && text == "close":
			c.ws.Close()
			delete(clients, who)
		case direction == ">":
			c.write(substitute(text, values))
		case direction == "<" && strings.HasPrefix(text, "close "):
			checkClose(t, where, c, strings.TrimPrefix(text, "close "))
			delete(clients, who)
		case direction == "<":
			var want any
			if err := json.Unmarshal([]byte(text), &want); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			got, err := c.read()
			if err != nil {
				t.Fatalf("%s\ngot: %v", where, err)
			}
			if err := match(want, map[string]any(got), values); err != nil {
				t.Fatalf("%s\ngot: %v\n%v", where, got, err)
			}
		default:
			t.Fatalf("%s: not a line of a conversation", where)
		}
	}
	// Nothing may have been said that the script doesn't have.
	for _, who := range slices.Sorted(maps.Keys(clients)) {
		c := clients[who]
		c.send("ping", nil)
		if f := c.next(); f["type"] != "pong" {
			t.Errorf("%s also got %v", who, f)
		}
	}
}

// checkClose reads the close frame.
func checkClose(t *testing.T, where string, c *peerConn, code string) {
	t.Helper()
	want, err := strconv.Atoi(code)
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	got, err := c.read()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != want {
		t.Fatalf("%s\ngot: %v %v", where, got, err)
	}
	c.ws.Close()
}

// substitute puts the values of the names into what a client sends.
func substitute(text string, values map[string]any) string {
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(values))) { // $alice2 before $alice
		if s, ok := values[name].(string); ok {
			text = strings.ReplaceAll(text, name, s)
		}
	}
	return text
}

// match compares, and gives names that have no value yet the value that stands there.
func match(want, got any, values map[string]any) error {
	switch want := want.(type) {
	case string:
		if !strings.HasPrefix(want, "$") {
			break
		}
		if value, known := values[want]; known {
			want, got = fmt.Sprint(value), fmt.Sprint(got)
			if want != got {
				return fmt.Errorf("want %s, got %s", want, got)
			}
			return nil
		}
		if want != "$_" {
			values[want] = got
		}
		return nil
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("want %v, got %v", want, got)
		}
		if w, g := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(object)); !slices.Equal(w, g) {
			return fmt.Errorf("want the fields %v, got %v", w, g)
		}
		for key, value := range want {
			if err := match(value, object[key], values); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
		return nil
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Errorf("want %v, got %v", want, got)
		}
		for i := range want {
			if err := match(want[i], list[i], values); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
		return nil
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Errorf("want %v, got %v", want, got)
	}
	return nil
}

func TestPlainRequestIsTold(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	response, err := http.Get(b.server.URL + "/signal")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUpgradeRequired || response.Header.Get("Upgrade") != "websocket" {
		t.Errorf("got %s, Upgrade %q", response.Status, response.Header.Get("Upgrade"))
	}
}
