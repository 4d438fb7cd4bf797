//go:build linux

package lab_test

import (
	"os"
	"testing"
	"time"
)

// Browsers mostly wait for each other and for networks that fail, but each wants a core while it
// starts or shows a picture: of the tests that have some, so many run at once.
var beside = make(chan struct{}, 3)

// besideOthers lets a test that has browsers run beside others. Those that measure time, or load
// the machine, run alone, before them.
func besideOthers(t *testing.T) {
	t.Helper()
	t.Parallel()
	beside <- struct{}{}
	t.Cleanup(func() { <-beside })
}

// lasting is how long a long test runs: as an environment variable says, or else so long.
func lasting(t *testing.T, variable string, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return d
}
