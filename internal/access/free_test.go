package access

import (
	"sync/atomic"
	"testing"
	"time"
)

// A file system that does not answer holds up nobody, and one thread at most.
func TestFreeWaitsForNoFileSystem(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	answer := make(chan bool)
	a := newRoomAsker(func(string) (room, bool) {
		asked.Add(1)
		return room{7, 8}, <-answer
	})
	for range 3 {
		if r, ok := a.ask("/", time.Millisecond); ok {
			t.Errorf("it knows %v", r)
		}
	}
	if n := asked.Load(); n > 1 {
		t.Errorf("%d questions are out", n)
	}
	if asked.Load() == 1 {
		answer <- true // too late for who has asked
	}
	close(answer) // from now on nobody knows
	if r, ok := a.ask("/", time.Minute); ok {
		t.Errorf("it knows %v", r)
	}
	a.at = func(string) (room, bool) { return room{7, 8}, true }
	if r, ok := a.ask("/", time.Minute); !ok || r != (room{7, 8}) {
		t.Errorf("%v, %v", r, ok)
	}
}
