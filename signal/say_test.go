package signal_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"signalbox/signal"
)

// openTea opens a session without a connection that is in a room.
func openTea(t *testing.T, b *box) *signal.Session {
	t.Helper()
	from := signal.Client{Source: netip.MustParseAddr("192.0.2.1")}
	s, err := b.Open(newLines(), from, signal.Hello{Name: "Ann"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	s.Do(func() { err = s.Join(signal.Join{Room: "tea"}) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func say(s *signal.Session, data string) (err error) {
	s.Do(func() { err = s.Say(signal.Say{Room: "tea", Data: []byte(data)}) })
	return err
}

// What is said in an empty room waits for the next who joins, and for nobody else.
func TestSayWaitsForTheNext(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	ann := openTea(t, b)
	for n := range 3 {
		if err := say(ann, fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
	}
	bob := b.join(t, "txt/tea", "Bob")
	if err := say(ann, "3"); err != nil {
		t.Fatal(err)
	}
	for n := range 4 {
		f := bob.expect("signal")
		if f["data"] != float64(n) || f.text("from") != ann.ID() || f.text("room") != "txt/tea" {
			t.Errorf("got %v, want %d", f, n)
		}
	}
	b.join(t, "txt/tea", "Carol").settle()

	// The session takes what waits for it without a connection.
	var got []string
	for _, f := range ann.Take() {
		got = append(got, string(f.Body))
	}
	if want := "welcome Ann|joined tea 0 0|+ Bob|+ Carol"; strings.Join(got, "|") != want || ann.Take() != nil {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Who leaves takes along what it has said, and no more waits than a quarter of an outbox.
func TestSayIsBounded(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	ann := openTea(t, b)
	err := ann.Say(signal.Say{Room: "other", Data: []byte("1")})
	if signal.RefusalOf(err).Code != signal.CodeNotInRoom {
		t.Errorf("got %v", err)
	}
	n := 0
	for ; n < 5000 && say(ann, "1") == nil; n++ {
	}
	if n != 1024 {
		t.Errorf("%d messages wait", n)
	}
	if b.Stored() == 0 {
		t.Error("they take no memory")
	}
	text, _ := json.Marshal(strings.Repeat("x", 200<<10))
	bea := openTea(t, b)
	ann.Do(ann.Bye)
	eventually(t, "the room is left", func() bool { return b.Summary().Members == 1 })
	if first, second := say(bea, string(text)), say(bea, string(text)); first != nil ||
		signal.RefusalOf(second).Code != signal.CodeRateLimited {
		t.Errorf("got %v, %v", first, second)
	}
	bea.Do(bea.Bye)
}
