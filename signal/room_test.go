package signal_test

import (
	"fmt"
	"sync"
	"testing"

	"signalbox/signal"
)

// All members see one order of joins, broadcasts and leaves, while everything happens at once.
func TestRoomHasOneOrder(t *testing.T) {
	t.Parallel()
	const observers, senders, rounds = 3, 8, 40
	b := start(t, signal.Options{})
	var watching []*peerConn
	for i := range observers {
		watching = append(watching, b.join(t, "tea", fmt.Sprint("observer ", i)))
	}
	for i, c := range watching {
		for range observers - 1 - i {
			c.expect("peer-joined")
		}
	}

	var wg sync.WaitGroup
	for i := range senders {
		c := b.hello(t, frame{"name": fmt.Sprint(i)})
		wg.Go(func() {
			for n := range rounds {
				c.send("join", frame{"room": "tea"})
				c.send("broadcast", frame{"room": "tea", "data": n})
				c.send("leave", frame{"room": "tea"})
			}
			for lefts := 0; lefts < rounds; {
				if f, err := c.read(); err != nil {
					t.Errorf("sender: %v", err)
					return
				} else if f["type"] == "left" {
					lefts++
				}
			}
		})
	}
	seen := make([][]string, observers)
	for i, c := range watching {
		wg.Go(func() {
			for range senders * rounds * 3 {
				f, err := c.read()
				if err != nil {
					t.Errorf("observer: %v", err)
					return
				}
				who := f.text("from")
				if p, ok := f["peer"].(map[string]any); ok {
					who = frame(p).text("id")
				}
				seen[i] = append(seen[i], fmt.Sprint(f["type"], " ", who, " ", f["data"]))
			}
		})
	}
	wg.Wait()
	for i := 1; i < observers; i++ {
		if len(seen[i]) != len(seen[0]) {
			t.Fatalf("observer %d saw %d events, observer 0 saw %d", i, len(seen[i]), len(seen[0]))
		}
		for n := range seen[0] {
			if seen[i][n] != seen[0][n] {
				t.Fatalf("event %d: observer 0 saw %q, observer %d %q", n, seen[0][n], i, seen[i][n])
			}
		}
	}
}

// What one peer sends to another arrives in order, and the receiver's seq counts without a gap.
func TestSignalsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	const count = 1000 // which may wait, whatever Alice does
	b := start(t, signal.Options{})
	alice := b.join(t, "tea", "Alice")
	bob := b.join(t, "tea", "Bob")
	joined := alice.expect("peer-joined")

	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range count {
			bob.send("signal", frame{"to": alice.id, "room": "tea", "data": n})
		}
	})
	last := joined["seq"].(float64)
	for n := range count {
		f := alice.expect("signal")
		if f["data"] != float64(n) || f["seq"] != last+1 || f.text("from") != bob.id {
			t.Fatalf("frame %d after seq %v: %v", n, last, f)
		}
		last++
	}
	wg.Wait()
}

// The later of two is the polite one, in every pair, also after somebody has left and come back.
func TestPoliteRoles(t *testing.T) {
	t.Parallel()
	const members = 4
	b := start(t, signal.Options{})
	polite := make(map[string]map[string]bool) // reader, then peer
	note := func(reader string, p any) {
		f := frame(p.(map[string]any))
		if polite[reader] == nil {
			polite[reader] = make(map[string]bool)
		}
		polite[reader][f.text("id")] = f["polite"].(bool)
	}
	var all []*peerConn
	join := func(c *peerConn) {
		c.send("join", frame{"room": "tea"})
		for _, p := range c.expect("joined")["peers"].([]any) {
			note(c.id, p)
		}
		for _, other := range all {
			if other != c {
				note(other.id, other.expect("peer-joined")["peer"])
			}
		}
	}
	for i := range members {
		c := b.hello(t, frame{"name": fmt.Sprint(i)})
		join(c)
		all = append(all, c)
	}
	first := all[0]
	first.send("leave", frame{"room": "tea"})
	first.expect("left")
	for _, c := range all[1:] {
		if f := c.expect("peer-left"); f.text("reason") != "left" || f.text("room") != "tea" {
			t.Fatalf("got %v", f)
		}
	}
	join(first)
	order := append(append([]*peerConn{}, all[1:]...), first)
	for i, a := range order {
		for j, c := range order {
			if i != j && polite[a.id][c.id] != (i > j) {
				t.Errorf("member %d towards %d: polite %v", i, j, polite[a.id][c.id])
			}
		}
	}
	// Told again, the roles are the same.
	all[2].send("join", frame{"room": "tea"})
	for _, p := range all[2].expect("joined")["peers"].([]any) {
		f := frame(p.(map[string]any))
		if f["polite"] != polite[all[2].id][f.text("id")] {
			t.Errorf("joined again: %v, before %v", f, polite[all[2].id])
		}
	}
}

// A room takes as many as its capacity, however many come at once, and a freed place is free again.
func TestCapacityUnderConcurrency(t *testing.T) {
	t.Parallel()
	const capacity, comers = 5, 20
	b := start(t, signal.Options{RoomCapacity: capacity})
	results := make(chan *peerConn, comers)
	var wg sync.WaitGroup
	for range comers {
		c := b.hello(t, nil)
		wg.Go(func() {
			c.send("join", frame{"room": "tea", "id": "j"})
			for {
				f, err := c.read()
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				switch {
				case f["type"] == "joined":
					if f["capacity"] != float64(capacity) {
						t.Errorf("capacity %v", f["capacity"])
					}
					results <- c
					return
				case f["code"] == string(signal.CodeRoomFull):
					return
				}
			}
		})
	}
	wg.Wait()
	close(results)
	if len(results) != capacity {
		t.Fatalf("%d of %d joined, want %d", len(results), comers, capacity)
	}
	if shot := b.Snapshot(); len(shot.Rooms) != 1 || len(shot.Rooms[0].Members) != capacity || shot.Sessions != comers {
		t.Fatalf("snapshot: %+v", shot)
	}
	(<-results).rawConn().Close()
	eventually(t, "the lost member's place is free", func() bool { return b.Summary().Members == capacity-1 })
	b.join(t, "tea", "late")
}

// Rooms come and go with their members, under the same name and at the same time.
func TestRoomsComeAndGo(t *testing.T) {
	t.Parallel()
	const sessions, rounds = 8, 100
	b := start(t, signal.Options{})
	var wg sync.WaitGroup
	for range sessions {
		c := b.hello(t, nil)
		wg.Go(func() {
			for range rounds {
				c.send("join", frame{"room": "tea"})
				c.send("leave", frame{"room": "tea"})
			}
			c.send("ping", frame{"id": "done"})
			joins := 0
			for {
				f, err := c.read()
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				switch f["type"] {
				case "joined":
					joins++
				case "error":
					t.Errorf("got %v", f)
				case "ack":
					if joins != rounds {
						t.Errorf("joined %d times, want %d", joins, rounds)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	if shot := b.Snapshot(); len(shot.Rooms) != 0 {
		t.Errorf("rooms left: %+v", shot.Rooms)
	}
}

// What looks the same is one room, however it was typed, and so is what looks the same one user.
func TestHub8NamesAreComparedAsTheyAreSeen(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Calls: true})
	mac, windows := b.hello(t, frame{"user": "Rene\u0301"}), b.hello(t, frame{"user": "bob"})
	mac.send("join", frame{"room": "cafe\u0301"})
	if f := mac.expect("joined"); f.text("room") != "caf\u00e9" {
		t.Errorf("got %v", f)
	}
	windows.send("join", frame{"room": "caf\u00e9"})
	if f := windows.expect("joined"); len(f["peers"].([]any)) != 1 {
		t.Errorf("got %v", f)
	}
	mac.expect("peer-joined")
	windows.send("signal", frame{"to": "@Ren\u00e9", "data": 1})
	mac.expect("signal")
	for _, to := range []string{"@bo\u200bb", "@\u200ebob"} {
		mac.send("signal", frame{"to": to, "data": 1})
		windows.expect("signal")
	}
	c := b.dial(t)
	c.send("hello", frame{"user": "b\u00adob"})
	c.expectError(signal.CodeUserTaken)
	mac.send("leave", frame{"room": "cafe\u0301"})
	mac.expect("left")
}

// A hall takes as many as it says, whoever opens it.
func TestHall(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{RoomCapacity: 2, Halls: map[string]signal.Hall{"hall": {Capacity: 10}}})
	for n := range 10 {
		b.join(t, "hall", fmt.Sprint("guest ", n))
	}
	last := b.hello(t, nil)
	last.send("join", frame{"room": "hall", "id": "j"})
	last.expectError(signal.CodeRoomFull)
	other := b.hello(t, nil)
	other.send("join", frame{"room": "tea", "id": "j"})
	if got := other.expect("joined")["capacity"]; got != float64(2) {
		t.Errorf("another room takes %v", got)
	}
}
