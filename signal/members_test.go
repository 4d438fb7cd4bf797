package signal_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/signal"
)

// memberLog notes what a relay would be told.
type memberLog struct {
	mu     sync.Mutex
	events []string
}

func (l *memberLog) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, fmt.Sprintf(format, args...))
}

func (l *memberLog) Opened(id, user string, source netip.Addr) { l.note("opened %s %v", id, source) }
func (l *memberLog) Identified(id, who, account string) {
	l.note("identified %s %s, account %q", id, who, account)
}
func (l *memberLog) Moved(id string, source netip.Addr) { l.note("moved %s %v", id, source) }
func (l *memberLog) Joined(group, id string)            { l.note("joined %s %s", group, id) }
func (l *memberLog) Called(from, to string)             { l.note("called %s %s", from, to) }
func (l *memberLog) HungUp(from, to string)             { l.note("hung up %s %s", from, to) }
func (l *memberLog) Left(group, id string)              { l.note("left %s %s", group, id) }
func (l *memberLog) Claimed(id string, addr netip.Addr) { l.note("claimed %s %v", id, addr) }
func (l *memberLog) Ended(id string, lost bool)         { l.note("ended %s lost=%v", id, lost) }

func (l *memberLog) has(event string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.events, event)
}

func (l *memberLog) await(t *testing.T, event string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !l.has(event); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never told: %s\ntold: %s", event, strings.Join(l.events, "\n      "))
		}
	}
}

// The relay is told who may reach whom, before the members themselves are.
func TestMembersAreTold(t *testing.T) {
	t.Parallel()
	told := &memberLog{}
	b := start(t, signal.Options{Members: told, Claims: true, Calls: true})
	ada, bob := b.hello(t, frame{"name": "Ada"}), b.hello(t, frame{"name": "Bob", "user": "bob"})
	told.await(t, "opened "+ada.id+" 127.0.0.1")

	ada.send("join", frame{"room": "tea"})
	ada.expect("joined")
	told.await(t, "joined tea "+ada.id)
	bob.send("join", frame{"room": "tea"})
	bob.expect("joined")
	told.await(t, "joined tea "+bob.id)
	ada.expect("peer-joined")

	ada.send("signal", frame{"to": bob.id, "data": frame{"candidate": frame{
		"candidate": "candidate:1 1 udp 2122260223 203.0.114.7 50000 typ srflx raddr 0.0.0.0 rport 0",
	}}})
	bob.expect("signal")
	if !told.has("claimed " + ada.id + " 203.0.114.7") {
		t.Error("the far end knows a candidate that the relay was not told of")
	}
	ada.send("broadcast", frame{"room": "tea", "data": []string{"message",
		"candidate:1 1 udp 2122260223 203.0.114.8 50000 typ srflx raddr 0.0.0.0 rport 0"}})
	bob.expect("broadcast")
	if !told.has("claimed " + ada.id + " 203.0.114.8") {
		t.Error("the others know a candidate that the relay was not told of")
	}

	ada.send("signal", frame{"to": "@bob", "data": 1})
	bob.expect("signal")
	told.await(t, "called "+ada.id+" "+bob.id)

	ada.send("leave", frame{"room": "tea"})
	ada.expect("left")
	told.await(t, "left tea "+ada.id)

	bob.ws.Close()
	told.await(t, "ended "+bob.id+" lost=true")
	if told.has("left tea " + bob.id) {
		t.Error("a lost connection is told as a leave: its media may go on")
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"candidate":"candidate:1 1 udp 1 192.0.2.1 5 typ host"}`: "[192.0.2.1]",
		`{"sdp":"v=0\r\na=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\n` +
			`a=candidate:2 1 UDP 1 2001:db8::1 5 typ relay\r\n"}`: "[192.0.2.1 2001:db8::1]",
		`"candidate:1 1 udp 1 ::ffff:192.0.2.1 5 typ host"`: "[192.0.2.1]",
		`"candidate:1 1 udp 1 abc.local 5 typ host"`:        "[]",
		`"candidate:1 1 udp 1 fe80::1%eth0 5 typ host"`:     "[]",
		`"candidate:1 1 udp 1 192.0.2.1 5 nope host"`:       "[]",
		`"candidate: candidate:candidate:"`:                 "[]",
		`{}`:                                                "[]",
	} {
		if got := fmt.Sprint(signal.Claims([]byte(text))); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	many := []byte(strings.Repeat("candidate:1 1 udp 1 192.0.2.1 5 typ host\n", 1000))
	if n := len(signal.Claims(many)); n != signal.MaxClaims {
		t.Errorf("%d claims of one signal", n)
	}
}

func FuzzClaims(f *testing.F) {
	f.Add([]byte(`{"candidate":"candidate:1 1 udp 1 192.0.2.1 5 typ host"}`))
	f.Add([]byte(`a=candidate:2 1 UDP 1 2001:db8::1 5 typ relay raddr ::`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, addr := range signal.Claims(data) {
			if !addr.IsValid() || addr.Zone() != "" || addr.Is4In6() {
				t.Errorf("claim %v", addr)
			}
		}
	})
}

// Sessions of one token are one user to the relay, and so are those of tokens for one user; what a
// client only says of itself is not told.
func TestAttackF7TheRelayIsToldWhoIsBehindASession(t *testing.T) {
	t.Parallel()
	passes := map[string]signal.Pass{
		"a": {Key: "jti-a", Attested: true}, "b": {Key: "jti-b", Attested: true, User: "bob", Subject: "42"},
		"c": {}, "d": {Key: "jti-d", Attested: true, Subject: "42"},
	}
	told := &memberLog{}
	b := start(t, signal.Options{Members: told, Guard: guard{passes}})
	for token, want := range map[string]string{
		"a": `token:jti-a 127.0.0.1/32, account ""`, "b": `user:bob, account "bob"`,
		"d": `token:jti-d 127.0.0.1/32, account "sub:42"`,
	} {
		told.await(t, "identified "+b.hello(t, frame{"token": token}).id+" "+want)
	}
	id := b.hello(t, frame{"token": "c", "user": "eve"}).id
	if told.has("identified " + id + ` user:eve, account "eve"`) {
		t.Error("a name of the client's own choice is told")
	}
}

// A token that names no user may be for all guests of an event. They don't share the limits of one
// user, and nobody gets more of them by another session, or from another address of one host.
func TestAttackF7GuestsOfOneTokenAreTold(t *testing.T) {
	t.Parallel()
	guests, bob := signal.Pass{Key: "t"}, signal.Pass{Key: "t", Attested: true, User: "bob"}
	other, nameless := signal.Pass{Key: "u"}, signal.Pass{Attested: true}
	from := func(p signal.Pass, ip string) string { return p.Identity(netip.MustParseAddr(ip)) }
	for _, same := range [][2]string{
		{from(guests, "203.0.113.1"), from(guests, "203.0.113.1")},
		{from(guests, "::ffff:203.0.113.1"), from(guests, "203.0.113.1")},
		{from(guests, "2001:db8::1"), from(guests, "2001:db8::2")},
		{from(bob, "203.0.113.1"), from(bob, "203.0.113.2")},
		{from(nameless, "203.0.113.1"), "token: 203.0.113.1/32"},
	} {
		if same[0] != same[1] {
			t.Errorf("%q and %q are one", same[0], same[1])
		}
	}
	for _, differ := range [][2]string{
		{from(guests, "203.0.113.1"), from(guests, "203.0.113.2")},
		{from(guests, "2001:db8::1"), from(guests, "2001:db8:0:1::1")},
		{from(guests, "203.0.113.1"), from(other, "203.0.113.1")},
		{from(guests, "203.0.113.1"), from(bob, "203.0.113.1")},
	} {
		if differ[0] == differ[1] {
			t.Errorf("%q is two", differ[0])
		}
	}
	if who := from(signal.Pass{}, "203.0.113.1"); who != "" {
		t.Errorf("a client without a token is %q", who)
	}
}
