package bench

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBucketsAreNarrow(t *testing.T) {
	t.Parallel()
	last := -1
	for d := int64(0); d < int64(20*time.Minute); d += 1 + d/1000 {
		b := bucketOf(d)
		if b < last || b > last+1 && last >= 0 {
			t.Fatalf("%d is in bucket %d, after %d", d, b, last)
		}
		last = b
		if b == buckets-1 {
			return
		}
		if up := upper(b); up < d || float64(up-d) > float64(d)/64 {
			t.Fatalf("%d is in the bucket up to %d", d, up)
		}
	}
	t.Errorf("the last bucket was %d of %d", last, buckets)
}

func TestQuantiles(t *testing.T) {
	t.Parallel()
	var h histogram
	var list []int64
	for range 20000 {
		d := int64(rand.ExpFloat64() * 1e6)
		list = append(list, d)
		h.add(d)
	}
	slices.Sort(list)
	parts := []float64{0.5, 0.9, 0.99, 0.999, 1}
	var got tally
	h.read(&got)
	for i, q := range got.quantiles(parts...) {
		want := list[int(parts[i]*float64(len(list)))-1]
		if int64(q) < want || float64(q) > float64(want)*(1+1.0/32) {
			t.Errorf("%v: %d, want %d", parts[i], q, want)
		}
	}
	if h.max.Load() != list[len(list)-1] {
		t.Errorf("max is %d, want %d", h.max.Load(), list[len(list)-1])
	}
	before := got
	h.add(int64(time.Minute))
	h.read(&got)
	got.since(&before)
	if q := got.quantiles(0.5)[0]; q < time.Minute || q > time.Minute*65/64 {
		t.Errorf("the only new one is %v", q)
	}
	if q := new(tally).quantiles(0.5, 1); q[0] != 0 || q[1] != 0 {
		t.Errorf("nothing is %v", q)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	h := new(histogram)
	d := int64(0)
	if n := testing.AllocsPerRun(1000, func() { d += 1234; h.add(d) }); n != 0 {
		t.Errorf("%v heap allocations", n)
	}
}
