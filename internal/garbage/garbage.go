// Package garbage has the collector run as often as suits a server with many small sessions.
package garbage

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

const (
	// percent of what is alive is how much garbage may lie about, half as much as usually: of what
	// hostile clients make the hub hold and allocate, that much comes on top.
	percent = 50
	// least is how many bytes of garbage may lie about in any case. A collection looks at all
	// goroutines' stacks, so with a small heap it costs the more the oftener it comes: each message
	// of a server with a thousand busy sessions a fifth more.
	least = 32 << 20
)

// Bound bounds the garbage, until undo. Who sets GOGC decides for himself.
func Bound() (undo func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	b := &bound{percent: percent, before: debug.SetGCPercent(percent)}
	b.look()
	return func() {
		b.over.Store(true)
		debug.SetGCPercent(b.before)
	}
}

type bound struct {
	percent int // as it is set; owned by look
	before  int
	over    atomic.Bool
}

// look sets the percentage anew, and again after each collection.
func (b *bound) look() {
	if b.over.Load() {
		return
	}
	// What a percentage is of; see debug.SetGCPercent.
	alive := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
	}
	metrics.Read(alive)
	var all uint64
	for _, s := range alive {
		if s.Value.Kind() == metrics.KindUint64 {
			all += s.Value.Uint64()
		}
	}
	// The runtime lets no heap be smaller than 4 MiB, times the percentage.
	want := max(percent, int(min(least*100/max(all, 1), (all+least)*100/(4<<20))))
	// It stops the world, so a little more or less does not matter.
	if want < b.percent*7/8 || want > b.percent*9/8 {
		b.percent = want
		debug.SetGCPercent(want)
	}
	// The next collection finds this one unreachable.
	runtime.SetFinalizer(&marker{b}, func(m *marker) { m.of.look() })
}

type marker struct{ of *bound }
