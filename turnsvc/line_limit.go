package turnsvc

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"signalbox/internal/source"
)

// lineLimit limits how many lines of a kind are logged in a period, of each source and of all, so
// that a flood costs others neither their lines nor the disk.
type lineLimit struct {
	log             *slog.Logger
	clock           clock
	more            string // what is said of those that had no line
	ofSource, ofAll int

	mu      sync.Mutex
	until   int64                // clock; when the period ends
	from    map[netip.Prefix]int // lines of this period, by source; there are ofAll at most
	written int
	omitted uint64
}

const linesPeriod = 10 * time.Second

// fit counts a line about a client, and reports whether it is logged and within the limits.
func (l *lineLimit) fit(client netip.Addr) bool {
	if !l.log.Enabled(context.Background(), slog.LevelInfo) {
		return false
	}
	l.settle(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	from := source.Of(client)
	if l.written >= l.ofAll || l.from[from] >= l.ofSource {
		l.omitted++
		return false
	}
	if l.from == nil {
		l.from = map[netip.Prefix]int{}
	}
	l.written++
	l.from[from]++
	return true
}

// omit counts what has no line, whatever the limits.
func (l *lineLimit) omit() {
	l.settle(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.omitted++
}

// settle sums up what had no line, if a period is over, or now.
func (l *lineLimit) settle(now bool) {
	if omitted := l.begin(now); omitted > 0 {
		l.log.Info(l.more, "more", omitted)
	}
}

// begin begins another period if it is time to, or now, and returns how many lines the last one
// lacks.
func (l *lineLimit) begin(now bool) (omitted uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.clock.now()
	if at < l.until && !now {
		return 0
	}
	omitted = l.omitted
	l.until, l.from, l.written, l.omitted = at+int64(linesPeriod), nil, 0, 0
	return omitted
}
