package client

import (
	"testing"
	"time"
)

// The first attempt is at once: most connections break for a moment. Later ones spread out: a
// restarted box isn't met by everybody in the same second.
func TestBackoff(t *testing.T) {
	t.Parallel()
	for attempt, least := range []time.Duration{0, 300, 1200, 2700, 4800, 7000, 7000, 7000} {
		least *= time.Millisecond
		for range 100 {
			most := least + time.Second
			if attempt == 0 {
				most = 0
			}
			if d := backoff(attempt); d < least || d > most {
				t.Fatalf("attempt %d after %v, want %v to %v", attempt, d, least, most)
			}
		}
	}
}
