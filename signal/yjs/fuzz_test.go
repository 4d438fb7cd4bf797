package yjs

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"signalbox/signal"
)

// Whatever a client sends, and whatever a member that speaks another protocol broadcasts, the
// session lives, and its subscribers get publishes of that topic.
func FuzzConversation(f *testing.F) {
	for _, seed := range []string{
		`{"type":"subscribe","topics":["t",7]}`, `{"type":"publish","topic":"t","data":{}}`, `{"type":"ping"}`, "junk",
		`{"type":"publish","topic":"other","clients":9}`, `[1,"\ud800"]`,
	} {
		f.Add([]byte(seed))
	}
	hub, err := signal.New(signal.Options{})
	if err != nil {
		f.Fatal(err)
	}
	server := New(hub, Options{})
	from := signal.Client{Source: netip.MustParseAddr("192.0.2.1")}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := &conversation{server: server, subscribers: make(map[string]int)}
		s, err := hub.Open(c, from, signal.Hello{}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Stop(signal.CodeLost)
		s.Do(func() { c.Receive(s, signal.Frame{Body: text}, nil) })
		if !json.Valid(text) {
			return
		}
		var got struct {
			Type, Topic string
			Clients     int
		}
		err = json.Unmarshal(publish("t", text, 2), &got)
		if err != nil || got.Type != "publish" || got.Clients != 2 || signal.RoomName(got.Topic) != "t" {
			t.Errorf("%q becomes %+v (%v)", text, got, err)
		}
	})
}
