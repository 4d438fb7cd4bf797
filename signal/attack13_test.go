package signal_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/signal"
)

// A stranger who calls and hangs up over and over, and has used up what strangers may say, says
// nothing more by hanging up: whoever is away for a moment keeps the session.
func TestHub1HangingUpIsPaidFor(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Calls: true, Resume: time.Minute}, func(l *signal.Limits) { l.Backlog = 256 })
	alice := b.hello(t, frame{"user": "alice"})
	alice.rawConn().Close()
	s := b.away(t, alice.id)
	eve := b.hello(t, nil)
	for range 600 {
		eve.send("signal", frame{"to": "@alice", "data": 1})
		eve.send("leave", frame{"to": "@alice", "id": "done"})
		for eve.next()["id"] != "done" {
		}
	}
	eve.settle()
	if s.Closed() {
		t.Error("the session is over")
	}
}

// Whoever is away keeps the session, however often others come and go meanwhile, in one session or
// in ever new ones. What they say in between is there afterwards, and so is who was there before
// and has gone; the numbers have no gap.
func TestHub13ComingAndGoingIsFree(t *testing.T) {
	t.Parallel()
	const backlog = 64
	b := start(t, signal.Options{Resume: time.Minute}, func(l *signal.Limits) { l.Backlog = backlog })
	alice := b.dial(t)
	alice.send("hello", frame{"name": "Alice"})
	token := alice.expect("welcome")
	alice.id = token.text("peerId")
	alice.send("join", frame{"room": "tea"})
	alice.expect("joined")
	friend := b.join(t, "tea", "Friend")
	alice.expect("peer-joined")
	alice.rawConn().Close()
	s := b.away(t, alice.id)

	churn := func(c *peerConn, rounds int) {
		for range rounds {
			c.send("join", frame{"room": "tea"})
			c.send("leave", frame{"room": "tea", "id": "left"})
			for c.next()["id"] != "left" {
			}
		}
	}
	eve := b.hello(t, nil)
	churn(eve, 2*backlog)
	eve.send("join", frame{"room": "tea"})
	eve.send("broadcast", frame{"room": "tea", "data": "was here"})
	eve.send("leave", frame{"room": "tea"})
	churn(eve, 2*backlog)
	for range 2 * backlog {
		c := b.dial(t)
		c.send("hello", nil)
		c.send("join", frame{"room": "tea"})
		c.settle()
		c.send("bye", nil)
		c.expectClose(1000)
	}
	friend.send("leave", frame{"room": "tea", "id": "left"})
	for friend.next()["id"] != "left" {
	}
	churn(friend, 2*backlog)
	eve.send("join", frame{"room": "tea"})
	eve.settle()
	if s.Closed() {
		t.Fatal("the session is over")
	}

	c, f := b.resume(t, token["resumeToken"], 2)
	if f["type"] != "resumed" {
		t.Fatalf("got %v", f)
	}
	for i, want := range []struct{ kind, who string }{
		{"peer-joined", eve.id}, {"broadcast", eve.id}, {"peer-left", eve.id},
		{"peer-left", friend.id}, {"peer-joined", eve.id},
	} {
		f := c.expect(want.kind)
		who := f.text("from")
		if peer, is := f["peer"].(map[string]any); is {
			who, _ = peer["id"].(string)
		}
		if who != want.who || f["seq"] != float64(3+i) {
			t.Errorf("event %d: got %v, want a %s of %s", 3+i, f, want.kind, want.who)
		}
	}
}

// What may have been written to a connection that broke keeps its number, whatever happens since.
func TestHub13WhatWasWrittenStays(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute})
	alice := b.dial(t)
	alice.send("hello", nil)
	token := alice.expect("welcome")
	alice.id = token.text("peerId")
	alice.send("join", frame{"room": "tea"})
	alice.expect("joined")
	eve := b.join(t, "tea", "Eve")
	alice.expect("peer-joined")
	alice.rawConn().Close()
	b.away(t, alice.id)
	eve.send("leave", frame{"room": "tea"})
	eve.send("join", frame{"room": "tea"})
	eve.settle()
	// It comes back, and goes at once: whether it has got what waits, nobody knows.
	c, f := b.resume(t, token["resumeToken"], 1)
	c.rawConn().Close()
	b.away(t, alice.id)
	eve.send("leave", frame{"room": "tea"})
	eve.settle()
	c, f = b.resume(t, f["resumeToken"], 1)
	if f["type"] != "resumed" {
		t.Fatalf("got %v", f)
	}
	for seq, kind := range []string{"peer-joined", "peer-left", "peer-joined", "peer-left"} {
		if f := c.expect(kind); f["seq"] != float64(2+seq) {
			t.Errorf("got %v, want the number %d", f, 2+seq)
		}
	}
}

// A session that leaves and comes back over and over is slowed: others build a connection each
// time. One that enters many rooms is not.
func TestHub13ComingBackHasAPace(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Rate: 1000})
	alice, eve := b.join(t, "tea", "Alice"), b.hello(t, nil)
	for i := range 200 {
		eve.send("join", frame{"room": fmt.Sprint(i)})
		eve.expect("joined")
	}
	refused := 0
	for range 100 {
		eve.send("join", frame{"room": "tea"})
		if f := eve.next(); f["type"] == "error" {
			if f["code"] != string(signal.CodeRateLimited) {
				t.Fatalf("got %v", f)
			}
			refused++
			continue
		}
		eve.send("leave", frame{"room": "tea"})
		eve.expect("left")
	}
	if refused < 50 {
		t.Errorf("only %d of 100 were refused", refused)
	}
	alice.send("leave", frame{"room": "tea", "id": "left"}) // nobody else pays
	for alice.next()["id"] != "left" {
	}
	alice.send("join", frame{"room": "tea"})
	alice.expect("joined")
}

// Sessions of one address take a share of the places for calls, and of the room for what callers
// say, so that others still reach a user who answers none of them.
func TestHub13OneAddressLeavesPlacesForCallers(t *testing.T) {
	t.Parallel()
	const places = 32 // of a callee
	b := start(t, signal.Options{Calls: true, SessionsPerSource: 200, Source: testSource, Resume: time.Minute})
	b.LimitCalls(places / 4)
	from := func(addr string) *peerConn {
		c := b.dialFrom(t, addr)
		c.send("hello", nil)
		c.id = c.expect("welcome").text("peerId")
		return c
	}
	alice := b.hello(t, frame{"user": "alice"})
	calls := func(addr string) (taken int) {
		for range places {
			if from(addr).answered("signal", frame{"to": "@alice", "data": 1}) {
				taken++
				alice.expect("signal")
			}
		}
		return taken
	}
	if n := calls("192.0.2.1"); n != places/8 {
		t.Errorf("one address has %d of %d places", n, places)
	}
	if n := calls("2001:db8:1::1") + calls("2001:db8:1:ff::1"); n != places/8 {
		t.Errorf("one line has %d of %d places", n, places)
	}
	friend := from("192.0.2.1")
	alice.rawConn().Close()
	b.away(t, alice.id)
	if friend.answered("signal", frame{"to": "@alice", "data": 1}) {
		t.Error("it has one more")
	}
	for i := range 8 {
		if !from(fmt.Sprint("192.0.2.", 10+i)).answered("signal", frame{"to": "@alice", "data": 1}) {
			t.Errorf("caller %d from elsewhere does not reach her", i)
		}
	}
}

// Whoever has been answered takes none of the share of its address.
func TestHub13AnsweredCallsAreNoStrangers(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Calls: true, SessionsPerSource: 100})
	b.LimitCalls(4) // so a callee has 16, two of them for one address
	alice := b.hello(t, frame{"user": "alice"})
	for range 8 {
		c := b.hello(t, nil)
		if !c.answered("signal", frame{"to": "@alice", "data": 1}) {
			t.Fatal("a call is refused")
		}
		alice.expect("signal")
		alice.send("signal", frame{"to": c.id, "data": 1})
		c.expect("signal")
	}
}

// One address does not fill the room that a user who is away has for what strangers say.
func TestHub13OneAddressLeavesRoomForStrangers(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Calls: true, SessionsPerSource: 200, Source: testSource, Resume: time.Minute})
	alice := b.hello(t, frame{"user": "alice"})
	alice.rawConn().Close()
	b.away(t, alice.id)
	say := func(addr string) bool {
		c := b.dialFrom(t, addr)
		c.send("hello", nil)
		c.expect("welcome")
		return c.answered("signal", frame{"to": "@alice", "data": strings.Repeat("x", 7<<10)})
	}
	for range 20 {
		say("192.0.2.1")
	}
	if !say("192.0.2.2") {
		t.Error("another address has no room")
	}
}

// Sessions of one line that come and go in a room, in ever new ones, are slowed. Those of others
// are not, nor is who fills the room.
func TestHub13ALineComesAndGoesAtAPace(t *testing.T) {
	t.Parallel()
	const capacity = 60
	b := start(t, signal.Options{RoomCapacity: capacity, SessionsPerSource: 1000, Source: testSource})
	enter := func(addr string) *peerConn {
		c := b.dialFrom(t, addr)
		c.send("hello", nil)
		c.expect("welcome")
		c.send("join", frame{"room": "tea"})
		return c
	}
	enter("192.0.2.1").expect("joined")
	for i := range capacity / 2 { // all behind one router; places stay for those who are leaving
		if f := enter("192.0.2.2").next(); f["type"] != "joined" {
			t.Fatalf("member %d: got %v", i, f)
		}
	}
	refused := 0
	for i := range 5 * capacity {
		c := enter(fmt.Sprintf("2001:db8:1:%x::1", i))
		if f := c.next(); f["code"] == string(signal.CodeRateLimited) {
			refused++
		} else if f["type"] != "joined" {
			t.Fatalf("got %v", f)
		}
		c.send("bye", nil)
		c.expectClose(1000)
	}
	if refused < 2*capacity {
		t.Errorf("only %d of %d were refused", refused, 5*capacity)
	}
	enter("192.0.2.2").expect("joined")
}
