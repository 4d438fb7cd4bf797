package turnsvc

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/source"
	"signalbox/turnsvc/cred"
)

// refusals logs who was refused, and why: one line each, within limits of each source and of all,
// so that a flood costs others neither their lines nor the disk. What is beyond is summed up in one
// line when a period ends. Challenges, which begin every session, are no refusals.
type refusals struct {
	log     *slog.Logger
	clock   clock
	watches *watches                                    // are told of all, without these limits
	show    atomic.Pointer[func(netip.AddrPort) string] // Live.ShowAddress

	mu      sync.Mutex
	until   int64                // clock; when the period ends
	lines   map[netip.Prefix]int // of this period, by source; there are linesOfAll at most
	written int
	omitted uint64
}

const (
	refusalPeriod = 10 * time.Second
	linesOfSource = 5
	linesOfAll    = 100
	// longestShown is how much of a user name is logged, in bytes: clients choose it.
	longestShown = 64
)

// refusal is what a line says. peer is the zero AddrPort if there is none; without a why it says
// the phrase of the code.
type refusal struct {
	link         link // that the request came by
	code         int
	why, user    string
	client, peer netip.AddrPort
}

// showBy sets how addresses are shown; nil: as they are.
func (l *refusals) showBy(show func(netip.AddrPort) string) {
	if show == nil {
		show = netip.AddrPort.String
	}
	l.show.Store(&show)
}

// note tells who watches of a refusal, and logs it if there is room for it.
func (l *refusals) note(r refusal) {
	if r.why == "" {
		r.why = reasons[r.code]
	}
	l.watches.refused(&r)
	if !l.log.Enabled(context.Background(), slog.LevelInfo) || !l.fits(source.Of(r.client.Addr())) {
		return
	}
	if _, id, minted := cred.Parse(r.user); minted {
		r.user = id // whom it was issued to: the log names no credential
	}
	if len(r.user) > longestShown {
		r.user = strings.ToValidUTF8(r.user[:longestShown], "") + "..."
	}
	show := *l.show.Load()
	attrs := []any{"code", r.code, "client", show(r.client), "why", r.why, "user", r.user}
	if r.peer.IsValid() {
		attrs = append(attrs, "peer", show(r.peer))
	}
	l.log.Info("turn request refused", attrs...) // scripts/fail2ban reads it
}

// fits counts a refusal, and reports whether its line is within the limits.
func (l *refusals) fits(from netip.Prefix) bool {
	l.settle()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.written >= linesOfAll || l.lines[from] >= linesOfSource {
		l.omitted++
		return false
	}
	l.written++
	l.lines[from]++
	return true
}

// settle begins another period if it is time to, and sums up what had no line in the last one.
func (l *refusals) settle() {
	l.mu.Lock()
	now := l.clock.now()
	if now < l.until {
		l.mu.Unlock()
		return
	}
	omitted := l.omitted
	l.until, l.lines, l.written, l.omitted = now+int64(refusalPeriod), map[netip.Prefix]int{}, 0, 0
	l.mu.Unlock()
	if omitted > 0 {
		l.log.Info("turn requests refused: there were more than have a line each", "more", omitted)
	}
}
