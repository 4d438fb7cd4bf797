package socket

import (
	"context"
	"sync/atomic"
	"time"
)

// Pulse shows whether a goroutine that serves many goes on. One goroutine calls Begin and End.
type Pulse struct {
	beats atomic.Uint64 // odd while it serves somebody
}

// Begin says that there is something to do.
func (p *Pulse) Begin() { p.beats.Add(1) }

// End says that it has been done.
func (p *Pulse) End() { p.beats.Add(1) }

// pulseInterval is how often a goroutine that serves somebody is looked at.
const pulseInterval = 10 * time.Millisecond

// Wait returns nil once the goroutine waits for something to do, or has done what it does now. It
// returns the context's error if that is done first.
func (p *Pulse) Wait(ctx context.Context) error {
	began := p.beats.Load()
	if began%2 == 0 {
		return nil
	}
	tick := time.NewTicker(pulseInterval)
	defer tick.Stop()
	for p.beats.Load() == began {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
