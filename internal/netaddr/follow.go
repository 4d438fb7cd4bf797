package netaddr

import (
	"context"
	"sync"
	"time"
)

const (
	// settleTime is how long changes go on: an address comes a moment before its routes do.
	settleTime = 50 * time.Millisecond
	// restTime is how long is rested after a look: routes may change on and on.
	restTime = 500 * time.Millisecond
	// recheckTime is when to look again after a change: by then an address that a Roster has missed
	// is back or gone.
	recheckTime = goneTime + 500*time.Millisecond
)

// Follow calls look when addresses or routes of this machine may have changed, until ctx is done:
// as soon as the kernel tells of it, where it does (Linux), once more when addresses that went then
// count as gone, and at every interval anyway.
func Follow(ctx context.Context, interval time.Duration, look func()) {
	told := make(chan struct{}, 1)
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() { listen(ctx, interval, told) })
	follow(ctx, interval, told, look)
}

// follow is Follow, with a channel that tells of changes.
func follow(ctx context.Context, interval time.Duration, told <-chan struct{}, look func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var recheck <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-recheck:
		case <-told:
			pause(ctx, settleTime)
			recheck = time.After(recheckTime)
		}
		look()
		pause(ctx, restTime)
	}
}

// pause waits, but not once ctx is done.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Poke has whoever receives from the channel, which has room for one, look once more. It doesn't
// wait.
func Poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is about to
	}
}
