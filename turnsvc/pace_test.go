package turnsvc

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestBucketHoldsItsRate(t *testing.T) {
	for _, rate := range []int64{10_000, 1_000_000, 125_000_000, 12_500_000_000} {
		b := newBucket(rate)
		const offers = 200_000
		size := 1200
		interval := float64(size) / float64(2*rate) * float64(time.Second) // twice the rate is offered
		var passed int64
		for i := range offers {
			if b.take(size, int64(float64(i)*interval)) {
				passed += int64(size)
			}
		}
		want := float64(offers*size) / 2
		burst := max(paceBurst, float64(rate)*paceTolerance.Seconds())
		if got := float64(passed); got < 0.9*want || got > 1.1*want+burst {
			t.Errorf("rate %d: %.0f of %.0f bytes passed", rate, got, want)
		}
	}
	if b := newBucket(0); !b.take(1<<30, 0) {
		t.Error("no limit limits")
	}
}

func TestBucketIsSharedWithoutALock(t *testing.T) {
	b := newBucket(1_000_000)
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for now := int64(0); now < int64(time.Second); now += int64(time.Millisecond) {
				if b.take(1000, now) {
					passed.Add(1000)
				}
			}
		})
	}
	wg.Wait()
	if got := passed.Load(); got < 900_000 || got > 1_100_000+2*paceBurst {
		t.Errorf("%d bytes passed in a second", got)
	}
}
