package turnsvc

import (
	"sync/atomic"
	"time"

	"signalbox/turnsvc/internal/wire"
)

// bucket limits bytes a second by the generic cell rate algorithm. Its one atomic number is the
// time at which everything let through so far would have been sent at the rate. Goroutines share it
// without a lock.
type bucket struct {
	nsPerByte float64
	tolerance int64        // ns by which that time may lie ahead: what a burst may use up at once
	spent     atomic.Int64 // on the clock, ns
}

const (
	// paceBurst is what may pass at once, at any rate: a key frame is some 100 KiB.
	paceBurst = 128 << 10
	// paceTolerance is how much of a second may pass at once at high rates.
	paceTolerance = 100 * time.Millisecond
)

// newBucket returns a bucket for bytes a second, nil for 0: no limit.
func newBucket(bytesPerSecond int64) *bucket {
	if bytesPerSecond <= 0 {
		return nil
	}
	perByte := float64(time.Second) / float64(bytesPerSecond)
	return &bucket{nsPerByte: perByte, tolerance: max(int64(paceTolerance), int64(paceBurst*perByte))}
}

// take lets n bytes pass, or reports false.
func (b *bucket) take(n int, now int64) bool {
	if b == nil {
		return true
	}
	cost := int64(float64(n) * b.nsPerByte)
	for {
		old := b.spent.Load()
		next := max(old, now) + cost
		if next-now > b.tolerance {
			return false
		}
		if b.spent.CompareAndSwap(old, next) {
			return true
		}
	}
}

// idle reports whether the bucket is as a new one.
func (b *bucket) idle(now int64) bool { return b == nil || b.spent.Load() <= now }

// pace has the buckets that one direction of an allocation draws from: its own, its user's,
// everybody's.
type pace [3]*bucket

// packetOverhead is what a packet costs besides its data, in bytes: UDP and IPv4. So empty packets
// are not free.
const packetOverhead = 28

// take takes n bytes from every bucket, or reports false. If one bucket refuses, what others gave
// stays spent: under a limit that applies, a little less passes, never more.
func (p *pace) take(n int, now int64) bool {
	n += packetOverhead
	return p[0].take(n, now) && p[1].take(n, now) && p[2].take(n, now)
}

// admit returns those of a run that may pass. It uses the run's memory.
func (p *pace) admit(run wire.Run, now int64) wire.Run {
	if *p == (pace{}) {
		return run
	}
	passed := run[:0]
	for i := range run {
		if p.take(run[i].N, now) {
			passed = append(passed, run[i])
		}
	}
	return passed
}
