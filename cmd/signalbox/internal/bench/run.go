package bench

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Progress says how far a run is.
type Progress struct {
	Phase     string        // "set-up", "warm-up", "measuring" or "closing"
	Part      float64       // of the phase that is over, 0 to 1
	PerSecond float64       // packets that arrive
	P50, P99  time.Duration // of their latency
	Cores     float64       // that the watched process takes
}

// Run loads the server as the options say, and measures. The error says what to do about it. When
// ctx ends, the run does.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	idle, err := watch(o.PID)
	if err != nil {
		return nil, err
	}
	g := &rig{o: &o}
	defer g.close()
	var saying sync.Mutex
	began := time.Now()
	if err := g.open(ctx, func(done, of int) {
		saying.Lock()
		defer saying.Unlock()
		o.Progress(Progress{Phase: "set-up", Part: float64(done) / float64(of),
			PerSecond: float64(done) / time.Since(began).Seconds()})
	}); err != nil {
		return nil, err
	}
	ready, err := watch(o.PID)
	if err != nil {
		return nil, err
	}
	m := newMeasurement(g, o.pass(), rand.Uint32())
	m.report.setUp(&o, g.took, idle, ready)
	if err := m.measure(ctx); err != nil {
		return nil, err
	}
	o.Progress(Progress{Phase: "closing"})
	return &m.report, nil
}

// pass is what a measurement has to know of the options.
func (o *Options) pass() pass {
	return pass{ways: o.directions(), rate: o.Rate, size: o.Size, warmUp: o.WarmUp, duration: o.Duration, pid: o.PID,
		progress: o.Progress}
}
