package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
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
	idle, err := o.watch()
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
	ready, err := o.watch()
	if err != nil {
		return nil, err
	}
	m := &measurement{rig: g, run: &run{id: rand.Uint32(), size: o.Size, base: time.Now()}}
	m.report.setUp(&o, g.took, idle, ready)
	if err := m.measure(ctx); err != nil {
		return nil, err
	}
	o.Progress(Progress{Phase: "closing"})
	return &m.report, nil
}

// watch reads what the server's process has taken so far.
func (o *Options) watch() (usage, error) {
	if o.PID == 0 {
		return usage{}, nil
	}
	u, err := usageOf(o.PID)
	if err != nil {
		return u, fmt.Errorf("--pid %d: %w", o.PID, err)
	}
	return u, nil
}

// measurement is the part of a run in which data goes.
type measurement struct {
	*rig
	*run
	senders []*sender
	report  Report
	tallies [2][2]tally // of each direction, now and at the last sample
	last    struct {
		at      int64
		usage   usage
		arrived [2]int64
	}
}

func (m *measurement) measure(ctx context.Context) error {
	m.start = int64(m.o.WarmUp)
	m.end = m.start + int64(m.o.Duration)
	var receiving, sending sync.WaitGroup
	m.receive(m.run, &receiving)
	for way, d := range m.o.directions() {
		m.senders = append(m.senders, newSender(m.run, way, m.flows(d), m.o))
	}
	m.senders = append(m.senders, newSender(m.run, control, m.control, &Options{Rate: controlRate, Burst: 1}))
	for _, s := range m.senders {
		sending.Go(s.send)
	}
	defer func() {
		m.stopped.Store(true)
		m.interrupt()
		sending.Wait()
		receiving.Wait()
	}()
	if err := m.warmUp(ctx); err != nil {
		return err
	}
	before, self, err := m.usages()
	if err != nil {
		return err
	}
	if err := m.watchOver(ctx, &before); err != nil {
		return err
	}
	m.drain(ctx)
	if err := m.heard(); err != nil {
		return err
	}
	after, selfAfter, err := m.usages()
	if err != nil {
		return err
	}
	m.report.measured(m.run, m.o, after.minus(before), selfAfter.minus(self))
	return nil
}

// usages are those of the server's process and of our own.
func (m *measurement) usages() (server, self usage, err error) {
	if server, err = m.o.watch(); err == nil {
		self, _ = usageOf(os.Getpid()) // unknown on other systems
	}
	return server, self, err
}

// until waits for a time on the run's clock, or until a sender fails.
func (m *measurement) until(ctx context.Context, at int64) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(at - m.now())):
	}
	for _, s := range m.senders {
		if err := s.failed.Load(); err != nil {
			return fmt.Errorf("the server ends the connection or the system refuses to send: %w", *err)
		}
	}
	return nil
}

const progressEvery = 200 * time.Millisecond

// warmUp waits until the window begins.
func (m *measurement) warmUp(ctx context.Context) error {
	for at := m.now(); at < m.start; {
		at = min(at+int64(progressEvery), m.start)
		if err := m.until(ctx, at); err != nil {
			return err
		}
		m.o.Progress(Progress{Phase: "warm-up", Part: float64(at) / float64(m.start)})
	}
	return nil
}

// heard reports a direction in which nothing has come so far, as an error.
func (m *measurement) heard() error {
	for way, d := range m.o.directions() {
		if m.meters[way].arrived.Load() == 0 {
			return m.silent(d)
		}
	}
	return nil
}

// tooLong is after how long nothing will come any more.
const tooLong = 2 * time.Second

// watchOver takes a sample now and then while the window lasts.
func (m *measurement) watchOver(ctx context.Context, before *usage) error {
	every := max(m.o.Duration/60, progressEvery)
	m.last.at, m.last.usage = m.now(), *before
	for way := range m.last.arrived {
		m.last.arrived[way] = m.meters[way].arrived.Load()
	}
	for at := m.start; at < m.end; {
		at = min(at+int64(every), m.end)
		if err := m.until(ctx, at); err != nil {
			return err
		}
		if m.now() > int64(tooLong) {
			if err := m.heard(); err != nil {
				return err
			}
		}
		sample, err := m.sample()
		if err != nil {
			return err
		}
		m.report.Samples = append(m.report.Samples, sample)
		m.o.Progress(sample.progress(float64(at-m.start) / float64(m.end-m.start)))
	}
	return nil
}

// sample says what happened since the one before.
func (m *measurement) sample() (Sample, error) {
	now := m.now()
	u, err := m.o.watch()
	if err != nil {
		return Sample{}, err
	}
	seconds := time.Duration(now - m.last.at).Seconds()
	used := u.minus(m.last.usage)
	s := Sample{At: time.Duration(now - m.start).Seconds(), Cores: (used.user + used.system).Seconds() / seconds}
	for way := range m.o.directions() {
		meter, t := &m.meters[way], &m.tallies[way]
		arrived := meter.arrived.Load()
		meter.latency.read(&t[0])
		fresh := t[0]
		fresh.since(&t[1])
		t[1] = t[0]
		q := fresh.quantiles(0.5, 0.99)
		s.Ways = append(s.Ways, SampleWay{PerSecond: float64(arrived-m.last.arrived[way]) / seconds,
			P50: micros(q[0]), P99: micros(q[1])})
		m.last.arrived[way] = arrived
	}
	m.last.at, m.last.usage = now, u
	return s, nil
}

// drain waits for what is under way.
func (m *measurement) drain(ctx context.Context) {
	const quiet, patience = 100 * time.Millisecond, time.Second
	over := m.now() + int64(patience)
	for n := int64(-1); n != m.arrived() && m.now() < over; {
		n = m.arrived()
		if m.until(ctx, m.now()+int64(quiet)) != nil {
			return
		}
	}
}

func (u usage) minus(before usage) usage {
	return usage{user: u.user - before.user, system: u.system - before.system, resident: u.resident - before.resident}
}
