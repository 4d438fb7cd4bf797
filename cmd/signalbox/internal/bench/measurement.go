package bench

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// pass says how a measurement goes.
type pass struct {
	ways             []Direction
	rate             int // of what is sent, a second in each direction; 0: as much as goes out
	size             int // of a payload, in bytes
	warmUp, duration time.Duration
	pid              int
	progress         func(Progress)
}

// loaded is what is open to a server, for a measurement.
type loaded interface {
	// receive starts what receives. It ends once interrupt was called.
	receive(r *run, receiving *sync.WaitGroup)
	// sends are what sends, in all directions and past the server.
	sends(r *run) []sending
	interrupt()
	// silent explains that nothing arrives in a direction.
	silent(d Direction) error
}

// sending sends until the window is over.
type sending interface {
	send()
	failure() error
}

// newMeasurement measures with payloads of a run of that id.
func newMeasurement(of loaded, p pass, id uint32) *measurement {
	return &measurement{loaded: of, pass: p, run: &run{id: id, size: p.size, base: time.Now()}}
}

// measurement is the part of a run in which data goes.
type measurement struct {
	loaded
	pass
	*run
	sending []sending
	report  Report
	tallies [2][2]tally // of each direction, now and at the last sample
	last    struct {
		at      int64
		usage   usage
		arrived [2]int64
	}
}

func (m *measurement) measure(ctx context.Context) error {
	m.start = int64(m.warmUp)
	m.end = m.start + int64(m.duration)
	var receiving, working sync.WaitGroup
	m.receive(m.run, &receiving)
	m.sending = m.sends(m.run)
	for _, s := range m.sending {
		working.Go(s.send)
	}
	defer func() {
		m.stopped.Store(true)
		m.interrupt()
		working.Wait()
		receiving.Wait()
	}()
	if err := m.warm(ctx); err != nil {
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
	m.report.measured(m.run, &m.pass, after.minus(before), selfAfter.minus(self))
	return nil
}

// usages are those of the server's process and of our own.
func (m *measurement) usages() (server, self usage, err error) {
	if server, err = watch(m.pid); err == nil {
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
	for _, s := range m.sending {
		if err := s.failure(); err != nil {
			return err
		}
	}
	return nil
}

const progressEvery = 200 * time.Millisecond

// warm waits until the window begins.
func (m *measurement) warm(ctx context.Context) error {
	for at := m.now(); at < m.start; {
		at = min(at+int64(progressEvery), m.start)
		if err := m.until(ctx, at); err != nil {
			return err
		}
		m.progress(Progress{Phase: "warm-up", Part: float64(at) / float64(m.start)})
	}
	return nil
}

// heard reports a direction in which nothing has come so far, as an error.
func (m *measurement) heard() error {
	for way, d := range m.ways {
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
	every := max(m.duration/60, progressEvery)
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
		m.progress(sample.progress(float64(at-m.start) / float64(m.end-m.start)))
	}
	return nil
}

// sample says what happened since the one before.
func (m *measurement) sample() (Sample, error) {
	now := m.now()
	u, err := watch(m.pid)
	if err != nil {
		return Sample{}, err
	}
	seconds := time.Duration(now - m.last.at).Seconds()
	used := u.minus(m.last.usage)
	s := Sample{At: time.Duration(now - m.start).Seconds(), Cores: (used.user + used.system).Seconds() / seconds}
	for way := range m.ways {
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

// drain waits for what is under way, as long as something comes.
func (m *measurement) drain(ctx context.Context) {
	const step, quiet, patience = 20 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second
	last, n := m.now(), m.arrived()
	over := last + int64(patience)
	for now := last; now < over && now-last < int64(quiet); now = m.now() {
		if m.until(ctx, now+int64(step)) != nil || !m.missing() {
			return
		}
		if arrived := m.arrived(); arrived != n {
			last, n = m.now(), arrived
		}
	}
}

func (u usage) minus(before usage) usage {
	return usage{user: u.user - before.user, system: u.system - before.system, resident: u.resident - before.resident}
}

// watch reads what the server's process has taken so far.
func watch(pid int) (usage, error) {
	if pid == 0 {
		return usage{}, nil
	}
	u, err := usageOf(pid)
	if err != nil {
		return u, fmt.Errorf("--pid %d: %w", pid, err)
	}
	return u, nil
}
