package garbage

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func goal() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// settle has the collector run until the garbage's bound has followed what is alive.
func settle(t *testing.T, ok func(goal uint64) bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		runtime.GC()
		if ok(goal()) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the collector waits for %d bytes", goal())
		}
	}
}

func TestBound(t *testing.T) { // not parallel: it is about the whole process
	os.Unsetenv("GOGC") //nolint:errcheck // the test's own
	before := debug.SetGCPercent(100)
	debug.SetGCPercent(before)
	undo := Bound()
	small := func(goal uint64) bool { return goal > least*7/8 && goal < 2*least } // it is followed roughly
	settle(t, small)
	alive := make([]byte, 8*least)
	settle(t, func(goal uint64) bool { return goal > 11*least && goal < 13*least })
	runtime.KeepAlive(alive)
	settle(t, small)
	undo()
	if now := debug.SetGCPercent(before); now != before {
		t.Errorf("it is %d percent behind it, and was %d", now, before)
	}
}

// What lies about goes while nothing happens.
func TestQuiet(t *testing.T) { // not parallel either
	os.Unsetenv("GOGC") //nolint:errcheck // the test's own
	undo := begin(10 * time.Millisecond)
	defer undo()
	const forced = "/gc/cycles/forced:gc-cycles"
	before := read(forced)
	var gone atomic.Bool
	lent := new([1 << 10]byte)
	runtime.AddCleanup(lent, func(gone *atomic.Bool) { gone.Store(true) }, &gone)
	var pool sync.Pool // as what busy sessions have borrowed
	pool.Put(lent)
	kept := make([][]byte, 0, 64)
	for range cap(kept) { // less than would be collected otherwise
		kept = append(kept, make([]byte, 2*worthIt/cap(kept)))
	}
	for end := time.Now().Add(10 * time.Second); read(forced) == before || !gone.Load(); {
		if time.Now().After(end) {
			t.Fatalf("collected %d times; what was in a pool is gone: %v", read(forced)-before, gone.Load())
		}
		time.Sleep(time.Millisecond)
	}
	runtime.KeepAlive(kept)
	runtime.KeepAlive(&pool)
}
