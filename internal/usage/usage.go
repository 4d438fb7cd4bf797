// Package usage keeps what users have used of the relay, by day and by month (UTC), in the state
// directory, where it outlives allocations and the process.
//
// Each day and each month has a file of its own. So little is written each minute, however long it
// is kept, and a damaged file spoils no other.
package usage

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"signalbox/internal/state"
)

// Row is what a user has used in a day or month.
type Row struct {
	// User is empty for all of a class who are nobody in particular, such as guests of the hub.
	User string `json:"user"`
	// Class is static, hub, ice or shared; empty: those for whom there was no room, together.
	Class           string `json:"class"`
	Allocations     uint64 `json:"allocations"`     // made
	Seconds         uint64 `json:"seconds"`         // for which they have lasted, added up
	FromClientBytes uint64 `json:"fromClientBytes"` // application data
	ToClientBytes   uint64 `json:"toClientBytes"`
}

func (r *Row) add(other *Row) {
	r.Allocations += other.Allocations
	r.Seconds += other.Seconds
	r.FromClientBytes += other.FromClientBytes
	r.ToClientBytes += other.ToClientBytes
}

func (r *Row) bytes() uint64 { return r.FromClientBytes + r.ToClientBytes }

const (
	directory = "usage"
	interval  = time.Minute
)

// Ledger adds up what users use, and writes it once a minute. A nil Ledger counts nothing.
type Ledger struct {
	dir  *state.Dir
	take func() []Row
	log  *slog.Logger

	mu    sync.Mutex
	pages []*page // the current one of each period
}

// New reads what there is of the current day and month. take returns what has been used since it
// was last called. What can't be read is logged, and keeps nothing from starting.
func New(dir *state.Dir, take func() []Row, log *slog.Logger) *Ledger {
	l := &Ledger{dir: dir, take: take, log: log}
	for _, p := range periods {
		l.pages = append(l.pages, l.open(p, p.of(time.Now())))
	}
	return l
}

// Keep writes what has changed, once a minute, when a day ends, and at the end.
func (l *Ledger) Keep(ctx context.Context) {
	if l == nil {
		return
	}
	l.prune()
	timer := time.NewTimer(untilNext(time.Now()))
	defer timer.Stop()
	for over := false; !over; {
		select {
		case <-timer.C:
		case <-ctx.Done():
			over = true
		}
		l.collect()
		l.write()
		l.turn(time.Now())
		timer.Reset(untilNext(time.Now()))
	}
}

// untilNext is how long to wait: what is used belongs to the day that has not ended yet.
func untilNext(now time.Time) time.Duration {
	const day = 24 * time.Hour
	midnight := now.UTC().Truncate(day).Add(day)
	return min(interval, midnight.Sub(now))
}

// collect takes in what has been used.
func (l *Ledger) collect() {
	rows := l.take()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.pages {
		p.add(rows)
	}
}

// write writes the pages that have changed. Nobody who asks waits for the disk.
func (l *Ledger) write() {
	for i := range l.pages {
		l.mu.Lock()
		p := l.pages[i]
		changed := p.changed
		l.mu.Unlock()
		if !changed {
			continue
		}
		if p.unread { // only this goroutine looks at it
			rows, unread := l.read(p.period, p.at)
			if unread {
				continue
			}
			p.unread = false
			l.mu.Lock()
			p.add(rows)
			l.mu.Unlock()
		}
		l.mu.Lock()
		rows := p.list()
		p.changed = false
		l.mu.Unlock()
		if err := l.put(p.at, rows); err != nil {
			l.log.Warn("can't keep what users have used: it is tried again in a minute", "err", err)
			l.mu.Lock()
			p.changed = true
			l.mu.Unlock()
		}
	}
}

// turn goes on with the day and the month that the clock shows. A page that could not be written is
// lost with its day.
func (l *Ledger) turn(now time.Time) {
	for i, period := range periods {
		at := period.of(now)
		if l.pages[i].at == at { // only this goroutine changes it
			continue
		}
		next := l.open(period, at)
		l.mu.Lock()
		l.pages[i] = next
		l.mu.Unlock()
		l.prune()
	}
}

// Sum is what all users have used in the current day or month.
type Sum struct {
	At              string `json:"at"`    // 2006-01-02 or 2006-01, in UTC
	Users           int    `json:"users"` // who have a name
	Allocations     uint64 `json:"allocations"`
	Seconds         uint64 `json:"seconds"`
	FromClientBytes uint64 `json:"fromClientBytes"`
	ToClientBytes   uint64 `json:"toClientBytes"`
}

// Sums are those of the current day and month.
type Sums struct {
	Day   Sum `json:"day"`
	Month Sum `json:"month"`
}

// Sums adds up. It does not wait for the disk.
func (l *Ledger) Sums() *Sums {
	if l == nil {
		return nil
	}
	l.collect()
	l.mu.Lock()
	defer l.mu.Unlock()
	return &Sums{l.pages[0].sum(), l.pages[1].sum()}
}

// Static lists what the static users have used this month.
func (l *Ledger) Static() []Row {
	if l == nil {
		return nil
	}
	l.collect()
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(l.pages[1].list(), func(r Row) bool { return r.Class != static })
}
