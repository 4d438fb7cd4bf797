package apprtc

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"signalbox/signal"
)

// line is one of a recorded trace.
type line struct {
	Client, To, Via, URL, Text, Body, Type string

	Status, Close int
	ACAO          string `json:"acao"`
}

func readTrace(t *testing.T) (lines []line) {
	t.Helper()
	f, err := os.Open("testdata/collider.wire.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var l line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

var numbers = regexp.MustCompile(`:[0-9.e+-]+`)

// heard is what the client of an answer has heard.
func (l *line) heard() []string {
	switch {
	case l.Via != "ws":
		return []string{answered(l.Status, l.ACAO, l.Body)}
	case l.Close == 0:
		return []string{l.Text}
	case l.Client == "B": // whose connection has broken
		return nil
	}
	return []string{fmt.Sprint("close ", l.Close)}
}

// What the original Collider has said to each client, this one says, too, and only "bye" besides.
func TestTraceOfCollider(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	root := httptest.NewServer(b.Collider())
	defer root.Close()
	b.web.URL, root.URL = root.URL, b.web.URL // closed by its own name
	defer func() { b.web.URL, root.URL = root.URL, b.web.URL }()

	want, got := map[string][]string{}, map[string][]string{}
	sockets := map[string]*socket{}
	// drain reads what has come up to a pong, or the end.
	drain := func(name string) {
		c := sockets[name]
		for c.ping(); ; {
			text, open := <-c.got
			if !open {
				delete(sockets, name)
				return
			}
			if text == "pong" {
				return
			}
			got[name] = append(got[name], text)
		}
	}
	for _, l := range readTrace(t) {
		switch {
		case l.To == "client":
			want[l.Client] = append(want[l.Client], l.heard()...)
		case l.Via == "WS":
			sockets[l.Client] = b.dial(l.URL)
		case l.Via == "ws" && l.Close != 0:
			if c := sockets[l.Client]; c != nil && l.Close == 1006 {
				drain(l.Client)
				c.cut()
				delete(sockets, l.Client)
				eventually(t, "the connection is lost", func() bool { return b.hub.Summary().Counters.Lost == 1 })
			}
		case l.Via == "ws":
			if err := sockets[l.Client].ws.WriteMessage(websocket.TextMessage, []byte(l.Text)); err != nil {
				t.Fatal(err)
			}
			drain(l.Client)
		case l.To == "server":
			r, body := b.call(l.Via, l.URL, l.Body)
			text := answered(r.StatusCode, r.Header.Get("Access-Control-Allow-Origin"), body)
			got[l.Client] = append(got[l.Client], text)
		}
	}
	for name := range sockets {
		drain(name)
	}
	got["A"] = slices.DeleteFunc(got["A"], func(text string) bool { return strings.Contains(text, "bye") })
	for name := range want {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s:\n got %q\nwant %q", name, got[name], want[name])
		}
	}
}

// answered is an answer over HTTP, with numbers that differ from run to run taken out.
func answered(status int, acao, body string) string {
	if strings.Contains(body, "upsec") {
		body = numbers.ReplaceAllString(body, ":0")
	}
	return http.StatusText(status) + " " + acao + " " + body
}
