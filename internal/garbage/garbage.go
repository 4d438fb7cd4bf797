// Package garbage has the collector run when that suits a server with many small sessions: seldom
// while they are busy, and soon when they have become idle.
package garbage

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// percent of what is alive is how much garbage may lie about, half as much as usually: of what
	// hostile clients make the hub hold and allocate, that much comes on top.
	percent = 50
	// least is how many bytes of garbage may lie about in any case. A collection looks at all
	// goroutines' stacks, so with a small heap it costs the more the oftener it comes: each message
	// of a server with a thousand busy sessions a fifth more.
	least = 32 << 20

	// The server is quiet when it has allocated no more than so many bytes in that time. Then what
	// lies about goes, and its memory back to the system, if it is worth it: an eighth of what is
	// alive, and so many bytes.
	quiet   = 4 << 20
	pause   = 10 * time.Second
	worthIt = 2 << 20
)

// Bound bounds the garbage, until undo. Who sets GOGC decides for himself.
func Bound() (undo func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	return begin(pause)
}

func begin(pause time.Duration) (undo func()) {
	b := &bound{percent: percent, over: make(chan struct{})}
	before := debug.SetGCPercent(percent)
	b.look()
	var sweeping sync.WaitGroup
	sweeping.Go(func() { b.sweep(pause) })
	return func() {
		close(b.over)
		sweeping.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		debug.SetGCPercent(before)
	}
}

type bound struct {
	over chan struct{} // closed by undo

	mu      sync.Mutex
	percent int    // as it is set
	clean   uint64 // bytes allocated until the last collection
}

// look sets the percentage anew, and again after each collection.
func (b *bound) look() {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.over:
		return
	default:
	}
	// What a percentage is of; see debug.SetGCPercent.
	alive := read(live) + read("/gc/scan/stack:bytes") + read("/gc/scan/globals:bytes")
	// The runtime lets no heap be smaller than 4 MiB, times the percentage.
	want := percent
	if alive > 0 { // else nobody says it any more
		want = max(want, int(min(least*100/alive, (alive+least)*100/(4<<20))))
	}
	// It stops the world, so a little more or less does not matter.
	if want < b.percent*7/8 || want > b.percent*9/8 {
		b.percent = want
		debug.SetGCPercent(want)
	}
	b.clean = read(allocated)
	// The next collection finds this one unreachable.
	runtime.SetFinalizer(&marker{b}, func(m *marker) { m.of.look() })
}

type marker struct{ of *bound }

// sweep collects what lies about while the server is quiet.
func (b *bound) sweep(pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for last := read(allocated); ; {
		select {
		case <-tick.C:
		case <-b.over:
			return
		}
		now := read(allocated)
		if now-last <= quiet && b.dirt(now) > max(worthIt, read(live)/8) {
			runtime.GC() // what lies in a sync.Pool goes with the second one
			debug.FreeOSMemory()
		}
		last = now
	}
}

// dirt is how many bytes were allocated since the last collection.
func (b *bound) dirt(now uint64) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return now - min(now, b.clean)
}

const (
	allocated = "/gc/heap/allocs:bytes"
	live      = "/gc/heap/live:bytes" // as of the last collection
)

// read is one of the runtime's metrics; 0: it has none of that name any more.
func read(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}
