package bench

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets that are 1/64 of their value wide, from 1 ns to 18 minutes.
// Many goroutines may add to it at once. It allocates nothing.
type histogram struct {
	counts [buckets]atomic.Uint32
	max    atomic.Int64
}

const (
	steps   = 64 // buckets for each power of two
	powers  = 34
	buckets = steps + powers*steps
)

func bucketOf(d int64) int {
	if d < steps {
		return int(max(d, 0))
	}
	power := bits.Len64(uint64(d)) - 7 // steps has seven bits
	return min((power+1)*steps+int(d>>power)-steps, buckets-1)
}

// upper is the longest duration of a bucket.
func upper(bucket int) int64 {
	if bucket < steps {
		return int64(bucket)
	}
	power := bucket/steps - 1
	return (int64(bucket%steps+steps)+1)<<power - 1
}

func (h *histogram) add(d int64) {
	h.counts[bucketOf(d)].Add(1)
	for {
		most := h.max.Load()
		if d <= most || h.max.CompareAndSwap(most, d) {
			return
		}
	}
}

// tally is what a histogram counted at one time.
type tally [buckets]uint32

// read copies the counts into t.
func (h *histogram) read(t *tally) {
	for i := range h.counts {
		t[i] = h.counts[i].Load()
	}
}

// since takes from t what had been counted before.
func (t *tally) since(before *tally) {
	for i := range t {
		t[i] -= before[i]
	}
}

// quantiles returns the durations that the given parts of all counted ones do not exceed, each up
// to 1/64 too long; 0: nothing was counted. The parts ascend.
func (t *tally) quantiles(parts ...float64) []time.Duration {
	out := make([]time.Duration, len(parts))
	var all uint64
	for _, n := range t {
		all += uint64(n)
	}
	var sum uint64
	next := 0
	for bucket, n := range t {
		sum += uint64(n)
		for next < len(parts) && n > 0 && float64(sum) >= parts[next]*float64(all) {
			out[next] = time.Duration(upper(bucket))
			next++
		}
	}
	return out
}
