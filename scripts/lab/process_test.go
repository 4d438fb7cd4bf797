//go:build linux

package lab_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// usage is what the box's process takes.
type usage struct {
	t     *testing.T
	pid   int
	began time.Time
	took  []int // bytes that were resident, second by second
}

func newUsage(t *testing.T, server *lab.Server) *usage {
	return &usage{t: t, pid: server.PID(t), began: time.Now()}
}

func (u *usage) watch(ctx context.Context) {
	for n := 1; ctx.Err() == nil; n++ {
		resident := u.resident()
		u.took = append(u.took, resident)
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

// files is how many it has open.
func (u *usage) files() int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", u.pid))
	if err != nil {
		u.t.Error(err)
	}
	return len(list)
}

// cores is how many of them it has kept busy.
func (u *usage) cores() float64 { return u.cpu().Seconds() / time.Since(u.began).Seconds() }
