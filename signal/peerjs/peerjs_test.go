package peerjs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/signal"
	"signalbox/signal/internal/wiretest"
)

func TestMain(m *testing.M) { testkit.Main(m, wiretest.Patience, "signalbox/signal") }

type box struct {
	*wiretest.Box
	server *Server
}

func start(t testing.TB, o signal.Options, own Options) *box {
	t.Helper()
	b := &box{}
	o.Calls = true
	b.Box = wiretest.Start(t, o, func(h *signal.Hub, mux *http.ServeMux) {
		b.server = New(h, own)
		for pattern, handler := range b.server.Routes() {
			mux.Handle(pattern, handler)
		}
	})
	return b
}

func (b *box) dial(t testing.TB, id, token string) *wiretest.Client {
	t.Helper()
	return b.Dial(t, "/peerjs/peerjs?key=peerjs&id="+id+"&token="+token+"&version=1.5.5")
}

const opened = `{"type":"OPEN"}`

func (b *box) open(t testing.TB, id string) *wiretest.Client {
	t.Helper()
	c := b.dial(t, id, "t-"+id)
	c.Want(opened)
	return c
}

func same(url string) string { return url }

// Each client gets what the original server gave it.
func TestRecordingsOfTheOriginal(t *testing.T) {
	t.Parallel()
	t.Run("peerjs", func(t *testing.T) {
		t.Parallel()
		start(t, signal.Options{}, Options{}).Repeat(t, wiretest.Recording{
			File: "testdata/peerjs.wire.jsonl", Path: same,
			Skip: map[int]string{
				48: "junk ends nobody", 49: "junk ends nobody", 50: "junk ends nobody",
			},
		})
	})
	t.Run("discovery", func(t *testing.T) {
		t.Parallel()
		start(t, signal.Options{Sessions: 1}, Options{Discovery: true}).Repeat(t, wiretest.Recording{
			File: "testdata/peerjs-discovery.wire.jsonl", Path: same,
		})
	})
}

// Unknown destinations: what is said to them waits, and arrives in order behind the OPEN.
func TestMessagesWaitInOrder(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, Options{})
	alice := b.open(t, "alice")
	alice.Say(`{"type":"OFFER","dst":"bob","payload":1}`)
	alice.Say(`{"type":"CANDIDATE","dst":"bob","payload":2}`)
	bob := b.open(t, "bob")
	alice.Say(`{"type":"CANDIDATE","dst":"bob","payload":3}`)
	bob.Want(`{"type":"OFFER","src":"alice","dst":"bob","payload":1}`,
		`{"type":"CANDIDATE","src":"alice","dst":"bob","payload":2}`,
		`{"type":"CANDIDATE","src":"alice","dst":"bob","payload":3}`)
	bob.Say(`{"type":"ANSWER","dst":"alice"}`)
	alice.Want(`{"type":"ANSWER","src":"bob","dst":"alice"}`)
}

// An EXPIRE comes once for all that has waited for one id, after five seconds.
func TestExpiresOncePerPair(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, Options{})
	alice := b.open(t, "alice")
	begun := time.Now()
	for _, to := range []string{"ghost", "spirit", "ghost", "alice"} {
		alice.Say(`{"type":"OFFER","dst":"` + to + `"}`)
	}
	for range 3 {
		if text, ok := alice.Next(); !ok || !strings.Contains(text, "EXPIRE") {
			t.Fatalf("got %s (%v)", text, ok)
		}
	}
	if d := time.Since(begun); d < 5*time.Second {
		t.Errorf("after %v", d)
	}
	alice.WantNothing()
	c := b.server.ids["alice"]
	c.session.Do(func() {
		if c.held != 0 || len(b.server.waiting) != 0 {
			t.Errorf("%d bytes are held", c.held)
		}
	})
}

// What waits is bounded: who says more is told at once that nobody is there.
func TestWaitingMessagesAreBounded(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, Options{})
	alice := b.open(t, "alice")
	for range maxMessages {
		alice.Say(`{"type":"OFFER","dst":"ghost"}`)
	}
	alice.WantNothing()
	alice.Say(`{"type":"OFFER","dst":"ghost"}`)
	alice.Want(`{"type":"EXPIRE","src":"ghost","dst":"alice"}`)
	large := `{"type":"OFFER","dst":"ghost","payload":"` + strings.Repeat("x", maxWaiting/2) + `"}`
	alice.Say(large)
	alice.Say(large)
	alice.Want(`{"type":"EXPIRE","src":"ghost","dst":"alice"}`)
	alice.Cut()
	b.open(t, "ghost").WantNothing()
}

// Nor do messages wait for any number of ids that never come, and who leaves takes them along.
func TestAttackManyAbsentIDs(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, Options{})
	mallory := b.open(t, "mallory")
	for n := range maxLetters {
		mallory.Say(fmt.Sprintf(`{"type":"OFFER","dst":"ghost%d"}`, n))
	}
	mallory.WantNothing()
	mallory.Say(`{"type":"OFFER","dst":"one more"}`)
	mallory.Want(`{"type":"EXPIRE","src":"one more","dst":"mallory"}`)
	mallory.Say(`{"type":"LEAVE"}`)
	mallory.WantEnd()
	testkit.Eventually(t, wiretest.Patience, "nothing waits any more", func() bool {
		b.server.mu.Lock()
		defer b.server.mu.Unlock()
		return len(b.server.waiting) == 0
	})
}

// In the original anybody's src and type pass.
func TestNobodySpeaksForOthers(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, Options{})
	alice, bob := b.open(t, "alice"), b.open(t, "bob")
	mallory := b.Dial(t, "/signal")
	mallory.Say(`{"type":"hello","user":"mallory"}`)
	mallory.Say(`{"type":"signal","to":"@peerjs/bob","data":{"type":"LEAVE","src":"alice","dst":"bob"}}`)
	alice.Say(`{"type":"EXPIRE","src":"bob","dst":"bob"}`)
	alice.Say(`{"type":"ERROR","dst":"bob","payload":{"msg":"no"}}`)
	bob.WantNothing()
	alice.Say(`{"type":"OFFER","src":"mallory","dst":"bob","msg":1}`)
	bob.Want(`{"type":"OFFER","src":"alice","dst":"bob"}`)
	mallory.Cut()
}

// Who has left may come back at once, with the same token.
func TestComesBackAtOnce(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, Options{})
	for range 50 {
		b.open(t, "alice").Say(`{"type":"LEAVE"}`)
	}
	b.open(t, "alice")
}

// Only an OFFER opens a pair: who was not called is heard by nobody.
func TestOnlyAnOfferOpensThePair(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, Options{})
	alice, bob := b.open(t, "alice"), b.open(t, "bob")
	alice.Say(`{"type":"CANDIDATE","dst":"bob"}`)
	bob.WantNothing()
	alice.Say(`{"type":"OFFER","dst":"bob"}`)
	bob.Want(`{"type":"OFFER","src":"alice","dst":"bob"}`)
	bob.Say(`{"type":"CANDIDATE","dst":"alice"}`)
	alice.Want(`{"type":"CANDIDATE","src":"bob","dst":"alice"}`)
}

// One frame of junk ends the original. Here others don't notice.
func TestJunkEndsNobodyElse(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, Options{})
	alice, bob := b.open(t, "alice"), b.open(t, "bob")
	for _, junk := range []string{
		"junk", "", "null", "[]", "7", `{"type":`, `{}`, `{"type":7}`, `{"type":"OFFER"}`, `{"type":"OFFER","dst":7}`,
		`{"type":"OFFER","dst":""}`, `{"type":"OFFER","dst":"` + strings.Repeat("x", 1000) + `"}`,
		`{"type":"OFFER","dst":"__proto__","payload":{"__proto__":1}}`, `{"type":"constructor","dst":"alice"}`,
		strings.Repeat("[", 20_000), `{"payload":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}",
	} {
		mallory := b.open(t, "mallory")
		for range 30 {
			mallory.Say(junk)
		}
		mallory.Say(`{"type":"LEAVE"}`)
	}
	alice.Say(`{"type":"OFFER","dst":"bob"}`)
	bob.Want(`{"type":"OFFER","src":"alice","dst":"bob"}`)
	alice.WantNothing()
}

// Who is taken out of the room of its id has left, and the id is free.
func TestTakenOutOfItsRoom(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, Options{})
	alice := b.open(t, "alice")
	if _, err := b.Evict("peerjs/alice", func(signal.Member) bool { return true }); err != nil {
		t.Fatal(err)
	}
	alice.WantEnd()
	for text := ""; text != opened; { // the id is free a moment later
		text, _ = b.dial(t, "alice", "another").Next()
	}
}

// door has the second who comes wait.
type door struct {
	n            atomic.Int32
	waits, opens chan struct{}
}

func (d *door) Enter(context.Context, signal.Visitor) error {
	if d.n.Add(1) == 2 {
		close(d.waits)
		<-d.opens
	}
	return nil
}

// A second connection of a client that is still coming in takes over.
func TestTakeOverOfOneThatComesIn(t *testing.T) {
	t.Parallel()
	d := &door{waits: make(chan struct{}), opens: make(chan struct{})}
	b := start(t, signal.Options{Door: d}, Options{})
	eve := b.open(t, "eve")
	b.dial(t, "alice", "t")
	<-d.waits
	again := b.dial(t, "alice", "t")
	time.AfterFunc(wiretest.Patience/100, func() { close(d.opens) }) // it has come to wait, too
	again.Say(`{"type":"OFFER","dst":"eve"}`)
	eve.Want(`{"type":"OFFER","src":"alice","dst":"eve"}`)
}

// A client that says nothing for so long has left, and its id is free.
func TestSilentClientsEnd(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, Options{})
	b.server.silence = 50 * time.Millisecond
	alice := b.open(t, "alice")
	alice.WantEnd()
	b.server.silence = time.Hour
	for text := ""; text != opened; { // the id is free a moment later
		text, _ = b.dial(t, "alice", "another").Next()
	}
}

func TestWhoIsTurnedAway(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, Options{})
	long := strings.Repeat("x", maxID+1)
	for _, query := range []string{"", "id=a&token=t", "key=peerjs&token=t", "key=peerjs&id=" + long + "&token=t",
		"key=peerjs&id=a%00b&token=t", "key=peerjs&id=a&token=" + strings.Repeat("t", maxToken+1)} {
		c := b.Dial(t, "/peerjs?"+query)
		c.Want(`{"type":"ERROR","payload":{"msg":"$why"}}`)
		c.WantEnd()
	}
	response, err := http.Get(b.URL + "/peerjs/peerjs/id?ts=1")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	id, _ := io.ReadAll(response.Body)
	if len(id) != 36 {
		t.Errorf("the id %q", id)
	}
	b.open(t, string(id))
}

type guard struct{}

func (guard) Admit(token string, _ netip.Addr) (signal.Pass, error) {
	room, ok := map[string]string{"secret": "peerjs/alice", "others": "peerjs/eve"}[token]
	switch {
	case token == "eve's":
		return signal.Pass{Attested: true, User: "peerjs/eve"}, nil
	case !ok:
		return signal.Pass{}, errors.New("no")
	}
	return signal.Pass{Rooms: func(name string) bool { return name == room }}, nil
}

// With auth.mode, the key is the token, and the token's rooms say which ids.
func TestKeyIsTheToken(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Guard: guard{}}, Options{KeyIsToken: true})
	for _, query := range []string{"key=peerjs&id=alice", "key=secret&id=bob"} {
		c := b.Dial(t, "/peerjs?token=t&"+query)
		c.Want(`{"type":"ERROR","payload":{"msg":"Invalid key provided"}}`)
		c.WantEnd()
	}
	b.Dial(t, "/peerjs?token=t&key=secret&id=alice").Want(opened)
}

// Who shows the token of an id takes its session over only with a key that admits to it: PeerJS
// makes tokens up by Math.random.
func TestTakeOverAsksForTheKey(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Guard: guard{}}, Options{KeyIsToken: true})
	dial := func(key, id string) *wiretest.Client {
		return b.Dial(t, "/peerjs?token=t&id="+id+"&key="+key)
	}
	alice, eve := dial("secret", "alice"), dial("others", "eve")
	alice.Want(opened)
	eve.Want(opened)
	for _, key := range []string{"", "peerjs", "wrong", "others", "eve's"} {
		c := dial(key, "alice")
		c.Want(`{"type":"ERROR","payload":{"msg":"$why"}}`)
		c.WantEnd()
	}
	eve.Say(`{"type":"OFFER","dst":"alice"}`)
	alice.Want(`{"type":"OFFER","src":"eve","dst":"alice"}`)
	again := dial("secret", "alice")
	alice.WantEnd()
	eve.Say(`{"type":"CANDIDATE","dst":"alice"}`)
	again.Want(`{"type":"CANDIDATE","src":"eve","dst":"alice"}`)
}

// Whatever a client or a member that speaks another protocol says, the session lives.
func FuzzConversation(f *testing.F) {
	for _, seed := range []string{
		`{"type":"OFFER","dst":"bob","payload":{}}`, `{"type":"LEAVE"}`, `{"type":"HEARTBEAT"}`, "junk",
	} {
		f.Add([]byte(seed))
	}
	hub, err := signal.New(signal.Options{Calls: true})
	if err != nil {
		f.Fatal(err)
	}
	server := New(hub, Options{})
	server.expiry = time.Millisecond
	from := signal.Client{Source: netip.MustParseAddr("192.0.2.1")}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := &conversation{server: server, id: "a", settled: make(chan struct{}), gone: make(chan struct{}),
			letters: make(map[string]*letter)}
		s, err := hub.Open(c, from, signal.Hello{}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Stop(signal.CodeLost)
		s.Do(func() {
			c.session, c.silence = s, time.NewTimer(time.Minute)
			c.Receive(s, signal.Frame{Body: text}, nil)
		})
		e := signal.Signaled{From: signal.Member{User: space + "b"}, Data: text}
		for _, f := range c.Encode(nil, e) {
			got := string(f.Body)
			if !strings.HasPrefix(got, `{"type":"`) || !strings.Contains(got, `","src":"b","dst":"a"`) {
				t.Errorf("%q becomes %q", text, f.Body)
			}
		}
	})
}
