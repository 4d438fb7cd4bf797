//go:build linux

package lab_test

import (
	"context"
	"testing"
	"time"

	"signalbox/internal/testkit"
)

// usage is what the box's process takes.
type usage struct {
	t     *testing.T
	pid   int
	began time.Time
	most  int // bytes that were resident at one time
}

func (u *usage) watch(ctx context.Context) {
	for n := 1; ctx.Err() == nil; n++ {
		resident := u.resident()
		u.most = max(u.most, resident)
		if n%60 == 0 {
			u.t.Logf("after %v: %d MiB, %v of CPU", time.Since(u.began).Round(time.Second), resident>>20, u.cpu())
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// resident is its memory in RAM, in bytes.
func (u *usage) resident() int {
	bytes, err := testkit.Resident(u.pid)
	if err != nil {
		u.t.Error(err)
	}
	return bytes
}

func (u *usage) cpu() time.Duration {
	used, err := testkit.CPU(u.pid)
	if err != nil {
		u.t.Error(err)
	}
	return used
}
