package signal

import (
	"net/netip"
	"testing"
	"time"
)

// A call in which nothing has been said for long makes room for a new one, and no other does.
func TestHub4SilentCallsMakeRoom(t *testing.T) {
	t.Parallel()
	b, now := newCallBook[int](2), time.Unix(1000, 0)
	call := func(from, to int) (over []call[int], err error) {
		_, _, over, err = b.ring(from, []int{to}, callWord{}, now)
		return over, err
	}
	call(1, 10) //nolint:errcheck // looked at below
	call(1, 11) //nolint:errcheck
	if _, err := call(1, 12); err == nil {
		t.Error("there is no limit")
	}
	now = now.Add(callSilence - time.Second)
	if _, _, _, err := b.said(10, 1, callWord{}, now); err != nil {
		t.Error(err)
	}
	if _, err := call(1, 12); err == nil {
		t.Error("a call is over before its time")
	}
	now = now.Add(time.Second)
	over, err := call(1, 12)
	if err != nil || len(over) != 1 || over[0].to != 11 {
		t.Fatalf("%v, %v", over, err)
	}
	if !b.between(1, 10) || b.between(1, 11) || b.between(11, 1) || !b.between(12, 1) {
		t.Error("another call is over")
	}
	for from := 20; ; from++ { // a callee has more
		if _, err := call(from, 1); err != nil {
			if from != 26 {
				t.Errorf("one is in %d calls at once", from-20+2)
			}
			break
		}
	}
	now = now.Add(callSilence)
	if over, err := call(30, 1); err != nil || len(over) != 1 || over[0].from != 1 || over[0].to != 10 {
		t.Errorf("%v, %v", over, err)
	}
	for s := range 40 {
		b.end(s)
	}
	if len(b.calls) != 0 {
		t.Errorf("%d are left", len(b.calls))
	}
}

// A call makes room only for one that begins: whom the callee's limit keeps out loses nothing.
func TestCallsMakeNoRoomInVain(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for range 20 { // whichever end is looked at first
		b := newCallBook[int](1)
		b.ring(1, []int{10}, callWord{}, now) //nolint:errcheck // there is room
		later := now.Add(callSilence)
		for from := 20; from < 24; from++ {
			b.ring(from, []int{2}, callWord{}, later) //nolint:errcheck // there is room
		}
		if _, _, over, err := b.ring(1, []int{2}, callWord{}, later); err == nil || len(over) > 0 || !b.between(1, 10) {
			t.Fatalf("%v, %v", over, err)
		}
	}
}

// Who has no call any more says nothing in it.
func TestNothingIsSaidAfterTheCall(t *testing.T) {
	t.Parallel()
	b, now := newCallBook[int](2), time.Unix(1000, 0)
	b.ring(1, []int{10, 11}, callWord{}, now) //nolint:errcheck // there is room
	_, _, unanswered, err := b.said(10, 1, callWord{}, now)
	if err != nil || len(unanswered) != 1 || unanswered[0] != 11 {
		t.Errorf("%v, %v", unanswered, err)
	}
	if _, _, _, err := b.said(11, 1, callWord{}, now); err == nil {
		t.Error("the other device answers, too")
	}
}

// A line has its share of a callee's places back when its calls have been silent for long.
func TestHub13SilentCallsOfALineCountNoMore(t *testing.T) {
	t.Parallel()
	b, now := newCallBook[int](4), time.Unix(1000, 0)
	b.line = func(int) netip.Prefix { return netip.MustParsePrefix("192.0.2.1/32") }
	for from := 1; from <= 2; from++ { // an eighth of the sixteen
		if _, _, _, err := b.ring(from, []int{9}, callWord{}, now); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, _, err := b.ring(3, []int{9}, callWord{}, now.Add(callSilence-time.Second)); err == nil {
		t.Error("a third call takes another's place")
	}
	if _, _, _, err := b.ring(3, []int{9}, callWord{}, now.Add(callSilence)); err != nil {
		t.Error(err)
	}
}
