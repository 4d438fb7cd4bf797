package bench

import (
	"testing"
	"time"
)

func TestPacerKeepsTheRate(t *testing.T) {
	t.Parallel()
	p := newPacer(3000, 0)
	sent := 0
	for now := int64(0); now < int64(time.Second); now += int64(777 * time.Microsecond) {
		for p.take(now) {
			sent++
		}
	}
	if sent < 2995 || sent > 3000 {
		t.Errorf("%d bursts in a second, want 3000", sent)
	}
}

// What could not be sent in time is not sent at once later.
func TestPacerForgetsWhatIsLate(t *testing.T) {
	t.Parallel()
	p := newPacer(1000, 0)
	for p.take(0) {
	}
	sent := 0
	for p.take(int64(time.Second)) {
		sent++
	}
	if sent != 1 {
		t.Errorf("%d bursts after a second's pause, want 1", sent)
	}
	if p.take(int64(time.Second)); p.next() <= int64(time.Second) {
		t.Errorf("the next is due at %v", time.Duration(p.next()))
	}
	for p.take(int64(time.Second + 10*time.Millisecond)) {
		sent++
	}
	if sent != 11 {
		t.Errorf("%d bursts after 10 ms more, want 11", sent)
	}
}

func TestPacerAtFullSpeed(t *testing.T) {
	t.Parallel()
	p := newPacer(0, 0)
	for range 1000 {
		if !p.take(0) {
			t.Fatal("it waits")
		}
	}
}
