package signal_test

import (
	"fmt"
	"sync"
	"testing"

	"signalbox/signal"
)

// Two that call each other at once are in one call, in which exactly one is polite, and both are
// told the same.
func TestCrossingCalls(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Calls: true})
	alice, bob := b.hello(t, frame{"user": "alice"}), b.hello(t, frame{"user": "bob"})
	var wg sync.WaitGroup
	wg.Go(func() { alice.send("signal", frame{"to": "@bob", "data": "offer"}) })
	wg.Go(func() { bob.send("signal", frame{"to": "@alice", "data": "offer"}) })
	wg.Wait()
	atAlice, atBob := alice.expect("signal"), bob.expect("signal")
	if atAlice["polite"] == atBob["polite"] {
		t.Fatalf("both are told %v", atAlice["polite"])
	}
	for range 3 {
		alice.send("signal", frame{"to": bob.id, "data": "more"})
		if f := bob.expect("signal"); f["polite"] != atBob["polite"] {
			t.Errorf("the role changed: %v", f)
		}
		bob.send("signal", frame{"to": "@alice", "data": "more"})
		if f := alice.expect("signal"); f["polite"] != atAlice["polite"] {
			t.Errorf("the role changed: %v", f)
		}
	}
}

// A call is between two: it opens nothing to anybody else, and a peer id that leaked is of no use.
func TestCallIsBetweenTwo(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Calls: true})
	alice, bob, eve := b.hello(t, frame{"user": "alice"}), b.hello(t, frame{"user": "bob"}), b.hello(t, nil)
	alice.send("signal", frame{"to": "@bob", "data": 1})
	bob.expect("signal")
	for _, id := range []string{alice.id, bob.id} {
		eve.send("signal", frame{"to": id, "data": 1})
		eve.expectError(signal.CodeNoSuchPeer)
	}
	bob.settle()
	alice.settle()
}

// The two of a call that also share a room can say which they mean.
func TestCallBesideARoom(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Calls: true})
	alice := b.hello(t, frame{"user": "alice"})
	alice.send("join", frame{"room": "tea"})
	alice.expect("joined")
	bob := b.join(t, "tea", "Bob")
	alice.expect("peer-joined")
	bob.send("signal", frame{"to": alice.id, "data": 1})
	if f := alice.expect("signal"); f["room"] != "tea" || f["polite"] != nil {
		t.Errorf("got %v", f)
	}
	bob.send("signal", frame{"to": "@alice", "data": 1})
	if f := alice.expect("signal"); f["room"] != nil || f["polite"] != true {
		t.Errorf("got %v", f)
	}
	bob.send("signal", frame{"to": alice.id, "room": "tea", "data": 1})
	if f := alice.expect("signal"); f["room"] != "tea" || f["polite"] != nil {
		t.Errorf("got %v", f)
	}
	bob.rawConn().Close()
	// Once for the room, once for the call.
	for range 2 {
		if f := alice.expect("peer-left"); f.text("reason") != "lost" {
			t.Errorf("got %v", f)
		}
	}
}

func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	const limit = 3
	b := start(t, signal.Options{Calls: true})
	b.LimitCalls(limit)
	caller := b.hello(t, nil)
	for i := range limit + 1 {
		b.hello(t, frame{"user": fmt.Sprint(i)})
	}
	for i := range limit {
		caller.send("signal", frame{"to": fmt.Sprint("@", i), "data": 1, "id": "1"})
		caller.expect("ack")
	}
	caller.send("signal", frame{"to": fmt.Sprint("@", limit), "data": 1})
	caller.expectError(signal.CodeRateLimited)
	caller.send("signal", frame{"to": "@0", "data": 1, "id": "1"}) // those that are open stay open
	caller.expect("ack")
}

// Who hangs up can't be reached any more, in either direction, and the relay is told so.
func TestHub4HangingUp(t *testing.T) {
	t.Parallel()
	members := &memberLog{}
	b := start(t, signal.Options{Calls: true, Members: members})
	alice, bob := b.hello(t, frame{"user": "alice"}), b.hello(t, frame{"user": "bob"})
	alice.send("signal", frame{"to": "@bob", "data": 1})
	bob.expect("signal")
	bob.send("leave", frame{"to": alice.id, "id": "1"})
	bob.expect("ack")
	if f := alice.expect("peer-left"); f["room"] != nil || f.text("reason") != "left" ||
		frame(f["peer"].(map[string]any)).text("id") != bob.id {
		t.Errorf("got %v", f)
	}
	members.await(t, "hung up "+bob.id+" "+alice.id)
	for _, c := range []struct{ from, to *peerConn }{{alice, bob}, {bob, alice}} {
		c.from.send("signal", frame{"to": c.to.id, "data": 1})
		c.from.expectError(signal.CodeNoSuchPeer)
		c.from.send("leave", frame{"to": c.to.id})
		c.from.expectError(signal.CodeNoSuchPeer)
	}
	alice.send("signal", frame{"to": "@bob", "data": 2}) // as often as they like
	bob.expect("signal")
}
