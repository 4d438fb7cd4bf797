package selftest

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/internal/status"
	"signalbox/internal/testkit"
	"signalbox/internal/trouble"
)

func TestMain(m *testing.M) { testkit.Main(m, 10*time.Second, "signalbox/internal/selftest") }

// Probes run at once and then at their intervals, sooner when they have found something; all is
// told as it changes, and the log says each change once.
func TestProbesRunAtTheirIntervals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		var runs [2]atomic.Int32
		var wrong atomic.Bool
		ran := func() [2]int { return [2]int{int(runs[0].Load()), int(runs[1].Load())} }
		pass := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		var told [][]trouble.Code
		tester := New(Options{
			Log:  slog.New(slog.NewTextHandler(&log, nil)),
			Tell: func(f []status.Fault) { told = append(told, codes(f)) },
			Probes: []Probe{
				{Every: 12 * time.Hour, Run: func(context.Context) []status.Fault {
					runs[0].Add(1)
					if wrong.Load() {
						return []status.Fault{{Code: trouble.RelaySilent, Detail: "nothing"}}
					}
					return nil
				}},
				{Every: time.Minute,
					Run: func(context.Context) []status.Fault { runs[1].Add(1); return nil }},
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { tester.Run(ctx); close(done) }()
		synctest.Wait()
		if s := tester.Status(); ran() != [2]int{1, 1} || !s.On || s.At == 0 || len(s.Faults) != 0 {
			t.Fatalf("at the start: %v, %+v", ran(), s)
		}
		pass(12*time.Hour - time.Second)
		if ran() != [2]int{1, 12 * 60} {
			t.Errorf("in twelve hours: %v", ran())
		}
		wrong.Store(true)
		pass(time.Minute)
		first := tester.Status()
		if ran()[0] != 3 || len(first.Faults) != 1 || first.Faults[0].Since == 0 {
			t.Errorf("a fault is found by asking twice: %v, %+v", ran(), first)
		}
		pass(20 * time.Minute)
		if s := tester.Status(); ran()[0] != 4 || s.Faults[0].Since != first.Faults[0].Since {
			t.Errorf("a fault is looked at again soon: %v, %+v", ran(), s)
		}
		wrong.Store(false)
		pass(20 * time.Minute)
		if s := tester.Status(); len(s.Faults) != 0 {
			t.Errorf("%+v", s)
		}
		stop()
		<-done
		told = slices.CompactFunc(told, func(a, b []trouble.Code) bool { return slices.Equal(a, b) })
		if len(told) != 3 || !slices.Equal(told[1], []trouble.Code{trouble.RelaySilent}) {
			t.Errorf("told: %v", told)
		}
		for _, line := range []string{"the self-test has passed", "the self-test has found a fault", "a fault is " +
			"mended"} {
			if n := strings.Count(log.String(), line); n != 1 {
				t.Errorf("%q is logged %d times:\n%s", line, n, &log)
			}
		}
	})
}

// What a probe finds once only was a moment's.
func TestAMomentIsNoFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		tester := New(Options{Log: slog.New(slog.DiscardHandler), Tell: func(f []status.Fault) {
			if len(f) > 0 {
				t.Errorf("told: %+v", f)
			}
		}, Probes: []Probe{{Every: time.Hour, Run: func(context.Context) []status.Fault {
			if runs++; runs == 1 {
				return []status.Fault{{Code: trouble.RelaySilent}}
			}
			return nil
		}}}})
		tester.look(t.Context())
		if runs != 2 {
			t.Errorf("it ran %d times", runs)
		}
	})
}

// A probe that hangs is cut, and the end of the box keeps nobody waiting for one.
func TestAProbeThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tester := New(Options{Log: slog.New(slog.DiscardHandler), Tell: func([]status.Fault) {},
			Probes: []Probe{{Every: time.Hour, Run: func(ctx context.Context) []status.Fault {
				<-ctx.Done()
				return nil
			}}}})
		tester.look(t.Context())
		if took := time.Since(began); took != patience {
			t.Errorf("it took %v", took)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		New(tester.o).Run(ctx)
	})
}

func TestOff(t *testing.T) {
	t.Parallel()
	var none *Tester
	none.Run(t.Context())
	if s := none.Status(); s.On {
		t.Errorf("%+v", s)
	}
}
