// Package selftest asks a running box, from within, whether it does what it is there for. A probe
// is one question, with an interval of its own. What a probe finds counts once it has found it
// twice. Nothing waits for a probe but the next one.
package selftest

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"signalbox/internal/status"
	"signalbox/internal/trouble"
)

// Probe is one question.
type Probe struct {
	Every time.Duration // at most Look less often than that
	// Run returns what is wrong, within the context's life; nil: nothing is. Since is not its
	// business.
	Run func(ctx context.Context) []status.Fault
}

// Options say what to ask, and whom to tell.
type Options struct {
	Probes []Probe
	// Tell is called after each look at the probes that are due, with all that is wrong. It must
	// not wait.
	Tell func([]status.Fault)
	Log  *slog.Logger
}

const (
	// Look is how often a Tester looks which probes are due.
	Look = time.Minute
	// again is how soon a probe that has found something is asked again, to see it mended.
	again = 15 * time.Minute
	// doubt is the pause before a probe that finds something new is asked once more.
	doubt = 5 * time.Second
	// patience bounds one run of a probe.
	patience = 30 * time.Second
)

// Tester runs probes.
type Tester struct {
	o     Options
	probe []state // of each; owned by Run

	mu   sync.Mutex
	told status.SelfTest
}

// state is what a Tester knows of a probe.
type state struct {
	last  time.Time // zero: never asked
	found []status.Fault
}

// New makes a Tester, which does nothing yet.
func New(o Options) *Tester {
	return &Tester{o: o, probe: make([]state, len(o.Probes)), told: status.SelfTest{On: true}}
}

// Status is what the last run of each probe has found. A nil Tester is off.
func (t *Tester) Status() status.SelfTest {
	if t == nil {
		return status.SelfTest{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.told
	s.Faults = slices.Clone(s.Faults)
	return s
}

// Run asks every probe at once, and then each at its interval, until ctx is done.
func (t *Tester) Run(ctx context.Context) {
	if t == nil {
		return
	}
	tick := time.NewTicker(Look)
	defer tick.Stop()
	for {
		t.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (t *Tester) look(ctx context.Context) {
	asked := false
	for i := range t.o.Probes {
		p, s := &t.o.Probes[i], &t.probe[i]
		every := p.Every
		if len(s.found) > 0 {
			every = min(every, again)
		}
		if now := time.Now(); s.last.IsZero() || now.Sub(s.last) >= every-Look/2 {
			asked = true
			s.last, s.found = now, t.ask(ctx, p, s.found)
		}
		if ctx.Err() != nil {
			return // what was cut short knows nothing
		}
	}
	if asked {
		t.note(time.Now())
	}
}

// ask runs a probe, and once more if it finds what it has not found before.
func (t *Tester) ask(ctx context.Context, p *Probe, before []status.Fault) []status.Fault {
	run := func() []status.Fault {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return p.Run(ctx)
	}
	found := run()
	if len(found) == 0 || slices.Equal(codes(found), codes(before)) {
		return found
	}
	select {
	case <-ctx.Done():
		return before
	case <-time.After(doubt):
		return run()
	}
}

// note publishes what is wrong now, and tells it. The log says what has changed.
func (t *Tester) note(now time.Time) {
	var all []status.Fault
	for _, s := range t.probe {
		all = append(all, s.found...)
	}
	before := t.publish(all, now)
	for _, f := range all {
		if !has(before.Faults, f.Code) {
			t.o.Log.Warn("the self-test has found a fault", "code", f.Code, "detail", f.Detail,
				"fix", trouble.Fix(f.Code))
		}
	}
	for _, f := range before.Faults {
		if !has(all, f.Code) {
			t.o.Log.Info("the self-test: a fault is mended", "code", f.Code)
		}
	}
	if before.At == 0 && len(all) == 0 {
		t.o.Log.Info("the self-test has passed")
	}
	t.o.Tell(all)
}

// publish says since when each of all is known, and returns what was so before.
func (t *Tester) publish(all []status.Fault, now time.Time) (before status.SelfTest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before = t.told
	for i := range all {
		all[i].Since = now.UnixMilli()
		for _, f := range before.Faults {
			if f.Code == all[i].Code {
				all[i].Since = f.Since
			}
		}
	}
	t.told = status.SelfTest{On: true, At: now.UnixMilli(), Faults: slices.Clone(all)}
	return before
}

func codes(faults []status.Fault) (out []trouble.Code) {
	for _, f := range faults {
		out = append(out, f.Code)
	}
	return out
}

func has(faults []status.Fault, code trouble.Code) bool {
	return slices.ContainsFunc(faults, func(f status.Fault) bool { return f.Code == code })
}
