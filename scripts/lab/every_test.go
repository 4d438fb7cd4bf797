//go:build linux

package lab_test

import "time"

// every does something at that pace, until it says that it is over or done is closed.
func every(pace time.Duration, done <-chan struct{}, do func() (over bool)) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			if do() {
				return
			}
		}
	}
}
