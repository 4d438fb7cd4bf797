package yjs_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"signalbox/internal/testkit"
	"signalbox/signal"
	"signalbox/signal/internal/wiretest"
	"signalbox/signal/yjs"
)

func TestMain(m *testing.M) { testkit.Main(m, wiretest.Patience, "signalbox/signal") }

func start(t testing.TB, o signal.Options) *wiretest.Box {
	t.Helper()
	return wiretest.Start(t, o, func(h *signal.Hub, mux *http.ServeMux) {
		mux.Handle("GET /yjs", yjs.New(h, yjs.Options{Capacity: 3}))
	})
}

func publish(topic, data string, clients int) string {
	return fmt.Sprintf(`{"type":"publish","topic":%q,"data":%s,"clients":%d}`, topic, data, clients)
}

func say(topic, data string) string {
	return fmt.Sprintf(`{"type":"publish","topic":%q,"data":%s}`, topic, data)
}

// Each client gets what the original server gave it.
func TestRecordingOfTheOriginal(t *testing.T) {
	t.Parallel()
	start(t, signal.Options{}).Repeat(t, wiretest.Recording{
		File: "testdata/y-webrtc.wire.jsonl",
		Path: func(string) string { return "/yjs" },
		Skip: map[int]string{
			13: "only subscribers publish", 14: "only subscribers publish",
			26: "junk ends nobody else", 27: "junk ends nobody else", 28: "one junk frame ends nobody",
		},
	})
}

// A frame may name thousands of topics: each counts as a frame against the client's rate. One that
// is named again costs a look at all of its subscribers.
func TestAttackManyTopics(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Rate: 5})
	var topics []string
	for i := range 1000 {
		topics = append(topics, fmt.Sprintf(`"t%d"`, i))
	}
	mallory := b.Dial(t, "/yjs")
	mallory.Say(`{"type":"subscribe","topics":[` + strings.Join(topics, ",") + `]}`)
	if n := b.Summary().Rooms; n < 10 || n > 30 {
		t.Errorf("one frame has opened %d rooms", n)
	}
	mallory.Close()
}

// To subscribe again does nothing, as in the original, and so costs nothing: neither the subscriber
// its connection, nor others their time.
func TestAttackSubscribeAgain(t *testing.T) {
	t.Parallel()
	b := wiretest.Start(t, signal.Options{}, func(h *signal.Hub, mux *http.ServeMux) { // without a rate
		mux.Handle("GET /yjs", yjs.New(h, yjs.Options{}))
	})
	for range 40 {
		b.Dial(t, "/yjs").Say(`{"type":"subscribe","topics":["tea"]}`)
	}
	again := strings.TrimSuffix(strings.Repeat(`"tea",`, 10_000), ",")
	for _, kind := range []string{"subscribe", "unsubscribe"} {
		alice := b.Dial(t, "/yjs")
		alice.Say(`{"type":"subscribe","topics":["tea"]}`)
		alice.Say(`{"type":"` + kind + `","topics":[` + again + `]}`)
		alice.Say(`{"type":"ping"}`)
		alice.Want(`{"type":"pong"}`)
		alice.Close()
	}
}

// The original lets everybody publish to every topic.
func TestOnlySubscribersPublish(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	alice, mallory := b.Dial(t, "/yjs"), b.Dial(t, "/yjs")
	alice.Say(`{"type":"subscribe","topics":["tea"]}`)
	mallory.Say(say("tea", `"hi"`))
	mallory.WantNothing()
	alice.WantNothing()
	mallory.Say(`{"type":"subscribe","topics":["tea"]}`)
	mallory.Say(say("tea", `"hi"`))
	alice.Want(publish("tea", `"hi"`, 2))
	mallory.Want(publish("tea", `"hi"`, 2))
}

// One frame of junk ends the original. Here others don't notice.
func TestJunkEndsNobodyElse(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	alice := b.Dial(t, "/yjs")
	alice.Say(`{"type":"subscribe","topics":["tea"]}`)
	for _, junk := range []string{
		"junk", "", "null", "[]", "7", `"subscribe"`, `{"type":`, `{"type":7}`, `{"type":["subscribe"]}`,
		`{"type":"subscribe","topics":7}`, `{"type":"subscribe","topics":{"length":-1}}`,
		`{"type":"subscribe","topics":[[],{},null,"","a\u0000b","` + strings.Repeat("x", 129) + `"]}`,
		`{"type":"unsubscribe","topics":["nowhere"]}`, `{"type":"publish"}`, `{"type":"publish","topic":{}}`,
		`{"type":"publish","topic":"__proto__","data":1}`, `{"type":"constructor"}`,
		strings.Repeat("[", 20_000), `{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}",
	} {
		mallory := b.Dial(t, "/yjs")
		for range 30 {
			mallory.Say(junk)
		}
		mallory.WantNothing()
		mallory.Cut()
		alice.Say(`{"type":"ping"}`)
		alice.Want(`{"type":"pong"}`)
	}
	alice.Say(say("tea", "1"))
	alice.Want(publish("tea", "1", 1))
}

// A topic is a room like any other: a native client may be in it, and its place is its own.
func TestTopicsAreRooms(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	bob := b.Dial(t, "/signal")
	bob.Say(`{"type":"hello","name":"Bob"}`)
	bob.Next()
	bob.Say(`{"type":"join","room":"yjs/tea"}`)
	bob.Next()
	alice, carol, dora := b.Dial(t, "/yjs"), b.Dial(t, "/yjs"), b.Dial(t, "/yjs")
	for _, c := range []*wiretest.Client{alice, carol, dora} {
		c.Say(`{"type":"subscribe","topics":["tea"]}`)
	}
	bob.Next()
	bob.Next()
	bob.Say(`{"type":"broadcast","room":"yjs/tea","data":{"topic":"other","clients":9}}`)
	alice.Want(publish("tea", `{"topic":"other","clients":9}`, 3))
	carol.Want(publish("tea", `{"topic":"other","clients":9}`, 3))
	dora.WantNothing() // the topic has as many as it may have
	alice.Say(`{"type":"publish","topic":"tea","data":1,"extra":true}`)
	bob.Want(`{"type":"broadcast","room":"yjs/tea","from":"$from","fromName":"",
		"data":{"type":"publish","topic":"tea","data":1,"extra":true},"seq":"$seq"}`)
	carol.Want(`{"type":"publish","topic":"tea","data":1,"extra":true,"clients":3}`)
	bob.Cut()
}

type guard struct{}

func (guard) Admit(token string, _ netip.Addr) (signal.Pass, error) {
	if token != "secret" {
		return signal.Pass{}, errors.New("no")
	}
	return signal.Pass{Rooms: func(room string) bool { return room == "yjs/tea" }}, nil
}

// With auth.mode, the address has the token, and the token's rooms hold.
func TestTokenInTheAddress(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Guard: guard{}})
	b.Dial(t, "/yjs").WantEnd()
	alice := b.Dial(t, "/yjs?token=secret")
	alice.Say(`{"type":"subscribe","topics":["coffee","tea"]}`)
	alice.Say(say("coffee", "1"))
	alice.Say(say("tea", "2"))
	alice.Want(publish("tea", "2", 1))
}
