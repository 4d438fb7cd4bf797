//go:build !linux

package bench

import (
	"errors"
	"time"
)

// usage is what a process has taken so far.
type usage struct {
	user, system time.Duration
	resident     int64 // bytes in RAM now
}

func usageOf(int) (usage, error) {
	return usage{}, errors.New("--pid works on Linux only")
}

func nameOf(int) string { return "" }

// tick is the unit of such times.
const tick = 10 * time.Millisecond
