package chat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"signalbox/internal/testkit"
	"signalbox/signal"
	"signalbox/signal/internal/translate"
	"signalbox/signal/internal/wiretest"
)

func TestMain(m *testing.M) { testkit.Main(m, wiretest.Patience, "signalbox/signal") }

func start(t testing.TB, o signal.Options) *wiretest.Box {
	t.Helper()
	return startFor(t, o, 4)
}

// pageAndClient are a user of the hub who is not in the lobby, "bob", and the client "alice".
func pageAndClient(t testing.TB) (page, alice *wiretest.Client) {
	t.Helper()
	b := start(t, signal.Options{})
	page, alice = hello(t, b, "bob"), enter(t, b, "alice")
	alice.Want(userlist("alice"))
	return page, alice
}

// startFor starts a box with so many places in the lobby.
func startFor(t testing.TB, o signal.Options, capacity int) *wiretest.Box {
	t.Helper()
	b, _ := startServer(t, o, capacity)
	return b
}

func startServer(t testing.TB, o signal.Options, capacity int) (b *wiretest.Box, s *Server) {
	t.Helper()
	o.Calls = true
	b = wiretest.Start(t, o, func(h *signal.Hub, mux *http.ServeMux) {
		s = New(h, Options{Capacity: capacity})
		mux.Handle("GET /chat", s)
		mux.Handle("GET /{$}", s.Before(http.NotFoundHandler()))
	})
	return b, s
}

// enter connects a client under a name that is free.
func enter(t testing.TB, b *wiretest.Box, name string) *wiretest.Client {
	t.Helper()
	c := b.Dial(t, "/chat")
	c.Want(`{"type":"id","id":"$id"}`)
	c.Say(fmt.Sprintf(`{"type":"username","name":%q,"id":1,"date":2}`, name))
	return c
}

func userlist(names ...string) string {
	return `{"type":"userlist","users":["` + strings.Join(names, `","`) + `"]}`
}

// two are clients that know of each other.
func two(t testing.TB, b *wiretest.Box) (alice, bob *wiretest.Client) {
	t.Helper()
	alice = enter(t, b, "alice")
	alice.Want(userlist("alice"))
	bob = enter(t, b, "bob")
	for _, c := range []*wiretest.Client{alice, bob} {
		c.Want(userlist("alice", "bob"))
	}
	return alice, bob
}

// Each client gets what the original server gave it, but for the change of a name.
func TestRecordingOfTheOriginal(t *testing.T) {
	t.Parallel()
	start(t, signal.Options{}).Repeat(t, wiretest.Recording{
		File: "testdata/mdn-chat.wire.jsonl",
		Path: func(url string) string { return url },
		Skip: map[int]string{
			30: "a name is for as long as the connection", 33: "the close is the client's own",
			37: "junk ends nobody", 38: "junk ends nobody",
		},
		Instead: map[int]string{31: `{"type":"rejectusername","id":<id2>,"name":"alice1"}`},
	})
}

// In the original, name and id are what the sender says.
func TestNobodySpeaksForOthers(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	alice, bob := two(t, b)
	bob.Say(`{"type":"message","text":"1","name":"alice","id":1}`)
	alice.Want(`{"type":"message","text":"1","name":"bob","id":"$bob"}`)
	bob.Want(`{"type":"message","text":"1","name":"bob","id":"$bob"}`)
	bob.Say(`{"type":"video-offer","name":"mallory","target":"alice","sdp":{"type":"offer","sdp":"v=0"},"more":1}`)
	alice.Want(`{"type":"video-offer","name":"bob","target":"alice","sdp":{"type":"offer","sdp":"v=0"},"more":1}`)
	for _, kind := range []string{"id", "userlist", "rejectusername"} {
		bob.Say(`{"type":"` + kind + `","name":"alice","users":[]}`)
		bob.Say(`{"type":"` + kind + `","target":"alice","id":7}`)
	}
	alice.WantNothing()
	native := hello(t, b, "carol")
	native.Say(`{"type":"join","room":"chat/lobby"}`)
	native.Next()
	alice.Want(userlist("alice", "bob", "carol"))
	native.Say(`{"type":"broadcast","room":"chat/lobby","data":{"type":"userlist","users":[]}}`)
	native.Say(`{"type":"broadcast","room":"chat/lobby","data":{"type":"message","text":"<b>x</b>","name":"bob"}}`)
	native.Say(`{"type":"broadcast","room":"chat/lobby","data":"hi"}`)
	alice.Want(`{"type":"message","text":"x","name":"carol"}`, `{"type":"message","text":"hi","name":"carol"}`)
	native.Cut()
}

// A partner whose tab is closed, or whose line is cut, has hung up; others have not.
func TestLostPartnerHasHungUp(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	alice, bob := two(t, b)
	carol := enter(t, b, "carol")
	for _, c := range []*wiretest.Client{alice, bob, carol} {
		c.Want(userlist("alice", "bob", "carol"))
	}
	alice.Say(`{"type":"video-offer","target":"bob","sdp":{"type":"offer","sdp":"v=0"}}`)
	bob.Next()
	bob.Cut()
	alice.Want(`{"type":"hang-up","name":"bob","target":"alice"}`, userlist("alice", "carol"))
	carol.Want(userlist("alice", "carol"))
	carol.Close()
	alice.Want(userlist("alice"))
}

// One frame of junk ends the original. Here others don't notice.
func TestJunkEndsNobodyElse(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	alice := enter(t, b, "alice")
	alice.Want(userlist("alice"))
	for _, junk := range []string{
		"junk", "", "null", "[]", "7", `{"type":`, `{}`, `{"type":7}`,
		`{"type":"video-offer","target":"nobody","sdp":{}}`,
		`{"type":"video-offer","target":"nobody","sdp":{"type":"offer","sdp":"v=0"}}`,
		`{"type":"new-ice-candidate","target":"nobody"}`, `{"type":"hang-up","target":"nobody"}`,
		`{"type":"hang-up","target":"__proto__"}`, strings.Repeat("[", 20_000),
		`{"type":"x","a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}",
	} {
		b.Dial(t, "/chat").Say(junk) // before it has a name
		mallory := enter(t, b, "mallory")
		mallory.Want(userlist("alice", "mallory"))
		alice.Want(userlist("alice", "mallory"))
		for range 30 {
			mallory.Say(junk)
		}
		mallory.Cut()
		alice.Want(userlist("alice"))
	}
}

// Names that nobody can have are made such that somebody can, and the client is told.
func TestNamesArePresentable(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	for want, gets := range map[string]string{
		`""`: "guest", `"a\u0000\u202eb"`: "ab", `"` + strings.Repeat("x", 100) + `"`: strings.Repeat("x", 62),
		"7": "guest",
	} {
		c := b.Dial(t, "/", "json")
		c.Want(`{"type":"id","id":"$id"}`)
		c.Say(`{"type":"username","name":` + want + `}`)
		text, _ := c.Next()
		if !wiretest.Equal(text, `{"type":"rejectusername","id":"$id","name":"`+gets+`"}`, map[string]any{}) {
			t.Errorf("%s: got %s", want, text)
		}
		c.Close()
		for b.Summary().Sessions > 0 { // the name is free a moment later
			time.Sleep(time.Millisecond)
		}
	}
}

// Neither a name nor a text becomes HTML in the others' pages.
func TestAttackMarkup(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	alice := enter(t, b, "alice")
	alice.Want(userlist("alice"))
	mallory := enter(t, b, "<img src=x onerror=alert(1)>")
	name := "img src=x onerror=alert(1)"
	mallory.Want(`{"type":"rejectusername","id":"$id","name":"`+name+`"}`, userlist("alice", name))
	alice.Want(userlist("alice", name))
	for text, gets := range map[string]string{
		"<img src=x onerror=alert(2) <b>x</b> <img src=y onerror=alert(3) ": "x ",
		"a <!-- ": "a ", "</b": "", "<><svg onload=alert(4) ": "<>", "I <3 you, 1 < 2": "I <3 you, 1 < 2",
	} {
		mallory.Say(fmt.Sprintf(`{"type":"message","text":%q}`, text))
		alice.Want(fmt.Sprintf(`{"type":"message","text":%q,"name":%q}`, gets, name))
	}
	native := hello(t, b, "al<ice>")
	native.Say(`{"type":"join","room":"chat/lobby"}`)
	if text, _ := alice.Next(); strings.ContainsAny(text, "<>") || strings.Contains(text, `\u003c`) {
		t.Errorf("a user of another protocol is in %s", text)
	}
	native.Cut()
}

// One signal of a page's becomes no more frames than a page ever has candidates.
func TestAttackManyCandidates(t *testing.T) {
	t.Parallel()
	page, alice := pageAndClient(t)
	page.Say(`{"type":"signal","to":"@alice","data":{"signalbox":{"call":"ring","id":"x"}}}`)
	page.Next()
	for _, n := range []int{20_000, translate.MaxCandidates} {
		page.Say(`{"type":"signal","to":"@alice","data":{"signalbox":{"call":"peer","id":"x","candidates":[` +
			strings.TrimSuffix(strings.Repeat("{},", n), ",") + `]}}}`)
	}
	for range translate.MaxCandidates {
		alice.Want(`{"type":"new-ice-candidate","target":"alice","candidate":{}}`)
	}
	alice.WantNothing()
	page.Cut()
}

// One source leaves three quarters of the lobby to others.
func TestAttackWholeLobby(t *testing.T) {
	t.Parallel()
	hub, err := signal.New(signal.Options{SessionsPerSource: 512})
	if err != nil {
		t.Fatal(err)
	}
	server := New(hub, Options{Capacity: 64})
	comes := func(from string, n int) (err error) {
		c := &conversation{server: server, partners: map[string]*partner{}}
		client := signal.Client{Source: netip.MustParseAddr(from)}
		s, err := hub.Open(c, client, signal.Hello{User: fmt.Sprint(from, "-", n)}, time.Minute)
		if err != nil {
			return err
		}
		t.Cleanup(func() { s.Stop(signal.CodeLost) })
		s.Do(func() { c.session, err = s, s.Join(signal.Join{Room: lobby}) })
		return err
	}
	for n := range 17 {
		err := comes("192.0.2.1", n)
		if n < 16 && err != nil || n == 16 && signal.RefusalOf(err).Code != signal.CodeRoomFull {
			t.Errorf("number %d of one source: %v", n, err)
		}
	}
	if err := comes("192.0.2.2", 0); err != nil {
		t.Error(err)
	}
}

// Who has not accepted for long stops ringing, as after a hang-up of both ends.
func TestCallsThatNobodyAcceptsExpire(t *testing.T) {
	t.Parallel()
	b, server := startServer(t, signal.Options{}, 4)
	server.patience = 50 * time.Millisecond
	page, alice := hello(t, b, "bob"), enter(t, b, "alice")
	alice.Want(userlist("alice"))
	for range 2 {
		alice.Say(`{"type":"video-offer","target":"bob","sdp":{"type":"offer","sdp":"v=0"}}`)
		bound := map[string]any{}
		for _, want := range []string{says(true, `{"call":"ring","id":"$id"}`), left(`{"call":"cancel","id":"$id"}`)} {
			if text, ok := page.Next(); !ok || !wiretest.Equal(text, want, bound) {
				t.Fatalf("got %s (%v), want %s", text, ok, want)
			}
			delete(bound, "$seq")
		}
		alice.Want(`{"type":"hang-up","target":"alice","name":"bob"}`)
	}
	page.Cut()
}

// Who comes and goes in a full lobby does not have the others told of each step: they are told who
// is there in the end.
func TestAttackComingAndGoing(t *testing.T) {
	t.Parallel()
	b := startFor(t, signal.Options{}, 128)
	hub := b.Hub
	server := New(hub, Options{Capacity: 128})
	c := &conversation{server: server, partners: map[string]*partner{}}
	s, err := hub.Open(c, signal.Client{Source: netip.MustParseAddr("192.0.2.1")}, signal.Hello{User: "alice"},
		time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c.session = s
	member := func(n int) signal.Member {
		return signal.Member{ID: fmt.Sprint(n), User: fmt.Sprint(n) + strings.Repeat("\U00010400", 58)}
	}
	var peers []signal.Peer
	for n := range 126 {
		peers = append(peers, signal.Peer{Member: member(n)})
	}
	told := 0
	hear := func(e signal.Event) {
		for _, f := range c.Encode(nil, e) {
			told += len(f.Body)
		}
	}
	hear(signal.Joined{Room: "chat/lobby", Peers: peers})
	for n := range 40 {
		hear(signal.PeerJoined{Room: "chat/lobby", Peer: signal.Peer{Member: member(1000 + n)}})
		hear(signal.PeerLeft{Room: "chat/lobby", Peer: member(1000 + n)})
	}
	if told == 0 || told > 2*listsAtOnce {
		t.Errorf("81 changes are told in %d bytes", told)
	}
	hear(signal.PeerLeft{Room: "chat/lobby", Peer: member(0)})
	for until := time.Now().Add(wiretest.Patience); ; time.Sleep(time.Millisecond) {
		if frames := s.Take(); len(frames) > 0 {
			last := string(frames[len(frames)-1].Body)
			if strings.Contains(last, `"users"`) && strings.Count(last, ",") == 1+125 {
				break
			}
		}
		if time.Now().After(until) {
			t.Fatal("the last userlist does not come")
		}
	}
	s.Stop(signal.CodeLost)
}

// door counts who asks.
type door struct{ asked atomic.Int64 }

func (d *door) Enter(context.Context, signal.Visitor) error {
	d.asked.Add(1)
	return nil
}

// A name that is taken, and all that are like it, costs the operator's door nothing.
func TestAttackTakenNames(t *testing.T) {
	t.Parallel()
	d := &door{}
	b := startFor(t, signal.Options{Door: d}, 64)
	for n := range int64(32) {
		if enter(t, b, "bob"); d.asked.Load() != n+1 {
			t.Fatalf("the door was asked %d times for %d clients", d.asked.Load(), n+1)
		}
	}
	c := b.Dial(t, "/chat")
	c.Want(`{"type":"id","id":"$id"}`)
	c.Say(`{"type":"username","name":"bob"}`)
	c.WantEnd()
	if n := d.asked.Load(); n != 32 {
		t.Errorf("the door was asked %d times for a name that nobody can have", n)
	}
}

type guard struct{}

func (guard) Admit(token string, _ netip.Addr) (signal.Pass, error) {
	switch token {
	case "alice", "bob":
		return signal.Pass{Attested: true, User: token}, nil
	case "password":
		return signal.Pass{}, nil
	}
	return signal.Pass{}, errors.New("no")
}

// With auth.mode, the address has the token; a token that names a user names the client.
func TestTokenInTheAddress(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Guard: guard{}})
	for token, gets := range map[string]string{"alice": "alice", "password": "bob", "": ""} {
		c := b.Dial(t, "/chat?token="+token)
		c.Want(`{"type":"id","id":"$id"}`)
		c.Say(`{"type":"username","name":"bob"}`)
		switch gets {
		case "":
			c.WantEnd()
		case "alice":
			c.Want(`{"type":"rejectusername","id":"$id","name":"alice"}`)
		default:
			if text, _ := c.Next(); !strings.Contains(text, `"bob"`) {
				t.Errorf("got %s", text)
			}
		}
	}
}

// hello connects a client of the native protocol.
func hello(t testing.TB, b *wiretest.Box, user string) *wiretest.Client {
	t.Helper()
	c := b.Dial(t, "/signal")
	c.Say(`{"type":"hello","user":"` + user + `"}`)
	c.Next()
	return c
}

// says is a signal of a call as a page gets it.
func says(polite bool, own string) string {
	return fmt.Sprintf(`{"type":"signal","from":"$from","fromName":"","fromUser":"alice","polite":%v,
		"data":{"signalbox":%s},"seq":"$seq"}`, polite, own)
}

// left is the end of a call as a page gets it.
func left(word string) string {
	return fmt.Sprintf(`{"type":"peer-left","peer":{"id":"$from","name":"","user":"alice"},"reason":"left",
		"data":{"signalbox":%s},"seq":"$seq"}`, word)
}

// A client calls a page, which is not in the lobby: the offer waits until the page has accepted.
func TestClientCallsPage(t *testing.T) {
	t.Parallel()
	page, alice := pageAndClient(t)
	alice.Say(`{"type":"video-offer","target":"bob","name":"alice","sdp":{"type":"offer","sdp":"v=0"}}`)
	alice.Say(`{"type":"new-ice-candidate","target":"bob","candidate":{"candidate":"c","sdpMid":"0"}}`)
	bound := map[string]any{}
	want := func(own string) {
		t.Helper()
		if text, ok := page.Next(); !ok || !wiretest.Equal(text, says(true, own), bound) {
			t.Fatalf("got %s (%v), want %s", text, ok, own)
		}
		delete(bound, "$seq")
	}
	want(`{"call":"ring","id":"$id"}`)
	say := func(own string) {
		own = strings.ReplaceAll(own, "$id", bound["$id"].(string))
		page.Say(fmt.Sprintf(`{"type":"signal","to":%q,"data":{"signalbox":%s}}`, bound["$from"], own))
	}
	page.WantNothing()
	say(`{"call":"accept","id":"$id"}`)
	want(`{"call":"peer","id":"$id","description":{"type":"offer","sdp":"v=0"}}`)
	want(`{"call":"peer","id":"$id","candidates":[{"candidate":"c","sdpMid":"0"}]}`)
	say(`{"call":"peer","id":"$id","want":{"after":0,"audio":1}}`)
	say(`{"call":"peer","id":"$id","description":{"type":"answer","sdp":"v=1"},"offer":1,"tag":"x"}`)
	say(`{"call":"peer","id":"$id","candidates":[{"candidate":"d"},{"candidate":"e"},null]}`)
	alice.Want(`{"type":"video-answer","target":"alice","name":"bob","sdp":{"type":"answer","sdp":"v=1"}}`,
		`{"type":"new-ice-candidate","target":"alice","candidate":{"candidate":"d"}}`,
		`{"type":"new-ice-candidate","target":"alice","candidate":{"candidate":"e"}}`)
	// The client gets a moment between an answer and an offer, which it takes in at once.
	answered := time.Now()
	say(`{"call":"peer","id":"$id","description":{"type":"answer","sdp":"v=2"}}`)
	say(`{"call":"peer","id":"$id","description":{"type":"offer","sdp":"v=3"}}`)
	alice.Want(`{"type":"video-answer","target":"alice","name":"bob","sdp":{"type":"answer","sdp":"v=2"}}`,
		`{"type":"video-offer","target":"alice","name":"bob","sdp":{"type":"offer","sdp":"v=3"}}`)
	if d := time.Since(answered); d < breath {
		t.Errorf("the offer comes after %v", d)
	}
	say(`{"call":"end","id":"other"}`)
	alice.Say(`{"type":"hang-up","name":"alice","target":"bob"}`)
	if text, ok := page.Next(); !ok || !wiretest.Equal(text, left(`{"call":"end","id":"$id"}`), bound) {
		t.Fatalf("got %s (%v), want the end", text, ok)
	}
	alice.WantNothing()
	page.Cut()
}

// What waits for somebody to accept is bounded, whoever it is for, and is gone with the call.
func TestAttackOffersThatWait(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	page, other, alice := hello(t, b, "bob"), hello(t, b, "eve"), enter(t, b, "alice")
	alice.Want(userlist("alice"))
	offer := func(to string) {
		alice.Say(`{"type":"video-offer","target":"` + to + `","sdp":{"type":"offer","sdp":"v=0"}}`)
	}
	large := func(to string) {
		alice.Say(`{"type":"new-ice-candidate","target":"` + to + `","candidate":{"candidate":"` +
			strings.Repeat("x", 31<<10) + `"}}`)
	}
	ring := func(c *wiretest.Client) (id string) {
		text, _ := c.Next()
		_, id, _ = strings.Cut(text, `"call":"ring","id":"`)
		id, _, _ = strings.Cut(id, `"`)
		return id
	}
	accept := func(c *wiretest.Client, id string) {
		c.Say(`{"type":"signal","to":"@alice","data":{"signalbox":{"call":"accept","id":"` + id + `"}}}`)
	}
	// heard is how much comes to a page: the offer, so many candidates, and no more.
	heard := func(c *wiretest.Client, candidates int) (bytes int) {
		for range 1 + candidates {
			text, _ := c.Next()
			bytes += len(text)
		}
		alice.Settle()
		c.WantNothing()
		return bytes
	}
	offer("bob")
	first := ring(page)
	for range 10 {
		large("bob")
	}
	offer("eve")
	second := ring(other)
	large("eve") // for which there is no room either
	accept(page, first)
	if n := heard(page, 3); n < 90<<10 || n > maxWaiting {
		t.Errorf("%d bytes have waited", n)
	}
	large("eve") // for which there is, since the others are gone
	accept(other, second)
	if n := heard(other, 1); n < 30<<10 || n > 40<<10 {
		t.Errorf("then %d bytes have waited", n)
	}
	page.Cut()
	other.Cut()
}

// A description that a member of the lobby says is not kept.
func TestAttackLongDescriptions(t *testing.T) {
	t.Parallel()
	var p partner
	if n := unsafe.Sizeof(p); n > 64 {
		t.Errorf("%d bytes are kept of each partner", n)
	}
	offer := &translate.Description{Type: "offer", SDP: "v=0"}
	if !p.news(offer) || p.news(offer) || !p.news(&translate.Description{Type: "answer", SDP: "v=1"}) {
		t.Error("what is said again is news")
	}
}

// A page calls a client: it is told at once to make its offer.
func TestPageCallsClient(t *testing.T) {
	t.Parallel()
	page, alice := pageAndClient(t)
	page.Say(`{"type":"signal","to":"@alice","data":{"signalbox":{"call":"ring","id":"x"}}}`)
	page.Want(says(false, `{"call":"accept","id":"x"}`))
	to := `{"type":"signal","to":"@alice","data":{"signalbox":`
	for range 2 { // pages say it again
		page.Say(to + `{"call":"peer","id":"x","description":{"type":"offer","sdp":"v=0"},"offer":1}}}`)
	}
	alice.Want(`{"type":"video-offer","target":"alice","name":"bob","sdp":{"type":"offer","sdp":"v=0"}}`)
	alice.Say(`{"type":"video-answer","target":"bob","name":"alice","sdp":{"type":"answer","sdp":"v=1"}}`)
	alice.Say(`{"type":"new-ice-candidate","target":"bob","candidate":{"candidate":"c"}}`)
	page.Want(says(false, `{"call":"peer","id":"x","description":{"type":"answer","sdp":"v=1"}}`),
		says(false, `{"call":"peer","id":"x","candidates":[{"candidate":"c"}]}`))
	page.Say(to + `{"call":"end","id":"x"}}}`)
	alice.Want(`{"type":"hang-up","target":"alice","name":"bob"}`)
	if text, _ := page.Next(); !strings.Contains(text, `"type":"peer-left"`) { // the next call has its own roles
		t.Errorf("got %s", text)
	}
	page.Cut()
	alice.WantNothing()
}

// A page whose line is cut has hung up, as has one that declines.
func TestPageIsLost(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	page, alice := hello(t, b, "bob"), enter(t, b, "alice")
	alice.Want(userlist("alice"))
	page.Say(`{"type":"signal","to":"@alice","data":{"signalbox":{"call":"ring","id":"x"}}}`)
	page.Next()
	page.Close()
	alice.Want(`{"type":"hang-up","target":"alice","name":"bob"}`)
	page = hello(t, b, "bob")
	alice.Say(`{"type":"video-offer","target":"bob","sdp":{"type":"offer","sdp":"v=0"}}`)
	ring, _ := page.Next()
	id := ring[strings.Index(ring, `"id":"`)+6:]
	id = id[:strings.Index(id, `"`)]
	page.Say(`{"type":"signal","to":"@alice","data":{"signalbox":{"call":"decline","id":"` + id + `"}}}`)
	alice.Want(`{"type":"hang-up","target":"alice","name":"bob"}`)
	page.Cut()
}

// Who is in the lobby natively is offered to as in any room.
func TestPageInTheLobby(t *testing.T) {
	t.Parallel()
	page, alice := pageAndClient(t)
	page.Say(`{"type":"join","room":"chat/lobby"}`)
	page.Next()
	alice.Want(userlist("alice", "bob"))
	alice.Say(`{"type":"video-offer","target":"bob","sdp":{"type":"offer","sdp":"v=0"}}`)
	text, _ := page.Next()
	if !strings.Contains(text, `"signalbox":{"description":{"type":"offer","sdp":"v=0"}}`) {
		t.Errorf("got %s", text)
	}
	from := text[strings.Index(text, `"from":"`)+8:][:22]
	page.Say(`{"type":"signal","room":"chat/lobby","to":"` + from + `","data":{"signalbox":{"description":
		{"type":"answer","sdp":"v=1"},"offer":1}}}`)
	alice.Want(`{"type":"video-answer","target":"alice","name":"bob","sdp":{"type":"answer","sdp":"v=1"}}`)
	page.Cut()
}

// Whatever a client or a member that speaks another protocol says, the session lives, and what it
// gets is the sender's own.
func FuzzConversation(f *testing.F) {
	for _, seed := range []string{
		`{"type":"message","text":"<b>"}`, `{"type":"video-offer","target":"b","sdp":{"type":"offer","sdp":"v=0"}}`,
		`{"type":"hang-up","target":"b"}`, `{"type":"username","name":"a"}`, "junk", `"hi"`,
		`{"signalbox":{"call":"ring","id":"x"}}`, `{"signalbox":{"candidates":[null,{}]}}`,
	} {
		f.Add([]byte(seed))
	}
	hub, err := signal.New(signal.Options{Calls: true})
	if err != nil {
		f.Fatal(err)
	}
	server := New(hub, Options{})
	from := signal.Client{Source: netip.MustParseAddr("192.0.2.1")}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := &conversation{server: server, partners: map[string]*partner{}}
		s, err := hub.Open(c, from, signal.Hello{}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Stop(signal.CodeLost)
		s.Do(func() { c.session = s; c.Receive(s, signal.Frame{Body: text}, nil) })
		b := signal.Member{ID: "x", User: "b"}
		c.Encode(nil, signal.Signaled{From: b, Data: text})
		c.Encode(nil, signal.Signaled{From: b, Room: "chat/lobby", Data: text})
		for _, f := range c.Encode(nil, signal.Broadcasted{From: b, Room: "chat/lobby", Data: text}) {
			if strings.HasPrefix(string(f.Body), `{"type":"userlist"`) {
				t.Errorf("%q becomes %q", text, f.Body)
			}
		}
	})
}
