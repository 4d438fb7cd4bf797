package signal_test

import (
	"encoding/json"
	"testing"
	"time"

	"signalbox/signal"
)

// The admin page and others read this.
func TestSnapshotJSON(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	before := time.Now().UnixMilli()
	alice := b.hello(t, frame{"name": "Alice", "user": "alice"})
	alice.send("join", frame{"room": "tea"})
	alice.expect("joined")
	bob := b.join(t, "tea", "Bob")
	alice.expect("peer-joined")
	bob.send("signal", frame{"to": alice.id, "data": 1})
	bob.send("broadcast", frame{"room": "tea", "data": 1})
	alice.expect("signal")
	alice.expect("broadcast")
	b.dial(t).settle()

	text, err := json.Marshal(b.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	var shot struct {
		Connections, Sessions, Users int
		Rooms                        []struct {
			Room    string
			Members []struct {
				ID, Name, User, Source string
				Since                  int64
			}
		}
		Counters map[string]uint64
		Refusals map[string]uint64
		Draining *bool
	}
	if err := json.Unmarshal(text, &shot); err != nil {
		t.Fatal(err)
	}
	if shot.Connections != 3 || shot.Sessions != 2 || shot.Users != 1 || shot.Draining == nil || len(shot.Rooms) != 1 {
		t.Fatalf("got %s", text)
	}
	room := shot.Rooms[0]
	if room.Room != "tea" || len(room.Members) != 2 || room.Members[0].ID != alice.id || room.Members[1].ID != bob.id {
		t.Fatalf("got %s", text)
	}
	member := room.Members[0]
	if member.Name != "Alice" || member.User != "alice" || member.Source != "127.0.0.1" ||
		member.Since < before || member.Since > time.Now().UnixMilli() {
		t.Errorf("got %+v", member)
	}
	if len(shot.Refusals) != len(signal.Codes()) {
		t.Errorf("refusals: %v", shot.Refusals)
	}
	checkCounters(t, shot.Counters)
}

func checkCounters(t *testing.T, counters map[string]uint64) {
	t.Helper()
	want := map[string]uint64{"connections": 3, "sessions": 2, "signals": 1, "broadcasts": 1, "framesIn": 7,
		"foreignOrigins": 0}
	for name, n := range want {
		if got, ok := counters[name]; !ok || got != n {
			t.Errorf("counter %s: %d, want %d", name, got, n)
		}
	}
	for _, name := range []string{"framesOut", "bytesIn", "bytesOut"} {
		if counters[name] == 0 {
			t.Errorf("counter %s: %v", name, counters[name])
		}
	}
}
