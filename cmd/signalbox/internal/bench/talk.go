package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// TalkOptions say how sessions load a signaling server. Check says whether they can be had.
type TalkOptions struct {
	Server  *url.URL // ws or wss, with a path
	Dialect Dialect
	Token   string // for admission; empty: none
	TLS     *tls.Config

	Pairs  int // of sessions, each in a room of its own, in which both talk
	Idle   int // more sessions, which only stay
	Size   int // of what a message says, in bytes
	Rate   int // messages a second, over all sessions; 0: each is answered by another one at once
	Window int // messages that each end of a pair has under way then

	WarmUp, Duration time.Duration
	PID              int // the server's process on this machine; 0: none is watched

	Progress func(Progress) // called now and then by one goroutine; may be nil
}

// Bounds of what is said.
const (
	MaxPairs    = 10000
	MaxIdle     = 20000
	MinSaid     = 100
	MaxSaid     = 60000
	MaxWindow   = 256
	talkersOpen = 16 // sessions that are opened at a time
)

// Check reports what is wrong with the options, by the names of the flags.
func (o *TalkOptions) Check() error {
	return errors.Join(
		within("pairs", o.Pairs, 1, MaxPairs),
		within("idle", o.Idle, 0, MaxIdle),
		within("size", o.Size, MinSaid, MaxSaid),
		within("rate", o.Rate, 0, MaxRate),
		within("window", o.Window, 1, MaxWindow),
		span("duration", o.Duration, MaxDuration),
		span("warm-up", o.WarmUp, MaxWarmUp),
	)
}

// Talk is the work of a signaling server.
type Talk struct {
	Server  string  `json:"server"`
	Dialect Dialect `json:"dialect"`
	Pairs   int     `json:"pairs"`
	Idle    int     `json:"idle"`
	Size    int     `json:"size"`   // bytes
	Rate    int     `json:"rate"`   // messages a second; 0: full speed
	Window  int     `json:"window"` // then
	Seconds float64 `json:"seconds"`
}

// String says it in words.
func (t Talk) String() string {
	rate := fmt.Sprintf("each end with %d messages under way", t.Window)
	if t.Rate > 0 {
		rate = fmt.Sprintf("%d messages a second", t.Rate)
	}
	idle := ""
	if t.Idle > 0 {
		idle = fmt.Sprintf(" beside %d idle sessions", t.Idle)
	}
	return fmt.Sprintf("%s (%s): %d pairs in rooms of two%s, %d bytes a message, %s, %.4g s", t.Server, t.Dialect,
		t.Pairs, idle, t.Size, rate, t.Seconds)
}

func (Talk) words() words { return words{Sent: "message", Opened: "sessions"} }

// RunTalk loads a signaling server as the options say, and measures. The error says what to do
// about it. When ctx ends, the run does.
func RunTalk(ctx context.Context, o TalkOptions) (*Report, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	before, err := watch(o.PID)
	if err != nil {
		return nil, err
	}
	c := &company{o: &o, id: rand.Uint32()}
	defer c.close()
	took, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	open, err := watch(o.PID)
	if err != nil {
		return nil, err
	}
	p := pass{ways: []Direction{"messages"}, rate: o.Rate, size: stampSize, warmUp: o.WarmUp, duration: o.Duration,
		pid: o.PID, progress: o.Progress}
	m := newMeasurement(c, p, c.id)
	m.report.Load = Talk{Server: o.Server.Redacted(), Dialect: o.Dialect, Pairs: o.Pairs, Idle: o.Idle, Size: o.Size,
		Rate: o.Rate, Window: o.Window, Seconds: o.Duration.Seconds()}
	m.report.opened(len(c.talkers), took, o.PID, before, open)
	if err := m.measure(ctx); err != nil {
		return nil, err
	}
	w := &m.report.Ways[0]
	w.Mbits = w.PerSecond * float64(o.Size) * 8 / 1e6 // a stamp is measured, and the message around it is meant
	if w.Received == 0 {
		return nil, advised{errors.New("no message arrives any more"), dropped}
	}
	if lost := c.said.Load() - m.meters[0].arrived.Load(); lost > 0 {
		m.report.warn("%d messages are lost, with those before the measurement: %s", lost, dropped)
	}
	o.Progress(Progress{Phase: "closing"})
	return &m.report, nil
}

// company is all sessions of a run.
type company struct {
	o       *TalkOptions
	id      uint32
	talkers []*talker // those of pairs beside each other, then the idle ones
	past    mirror
	said    atomic.Int64          // messages, before the window, too
	failed  atomic.Pointer[error] // the first that has happened to a session
}

// open opens all sessions, and has those of pairs join their rooms.
func (c *company) open(ctx context.Context) (took time.Duration, err error) {
	c.talkers = make([]*talker, 2*c.o.Pairs+c.o.Idle)
	began := time.Now()
	var saying sync.Mutex
	var done int
	err = each(ctx, len(c.talkers), talkersOpen, func(ctx context.Context, i int) error {
		within, cancel := context.WithTimeout(ctx, stepWait)
		defer cancel()
		t, err := c.o.dial(within)
		if err == nil && i < 2*c.o.Pairs {
			err = t.join(within, fmt.Sprintf("bench-%08x-%d", c.id, i/2), c.o.Size)
		}
		c.talkers[i] = t
		if err != nil {
			return fmt.Errorf("session %d of %d: %w", i+1, len(c.talkers), c.o.explain(err))
		}
		saying.Lock()
		defer saying.Unlock()
		done++
		c.o.Progress(Progress{Phase: "set-up", Part: float64(done) / float64(len(c.talkers)),
			PerSecond: float64(done) / time.Since(began).Seconds()})
		return nil
	})
	took = time.Since(began)
	if err == nil {
		err = c.past.open()
	}
	return took, err
}

// receive reads what every session is sent.
func (c *company) receive(r *run, receiving *sync.WaitGroup) {
	for i, t := range c.talkers {
		receiving.Go(func() {
			answers := c.o.Rate == 0 && i < 2*c.o.Pairs
			err := t.listen(func(mark []byte) {
				r.count(mark, r.now())
				if answers && r.now() < r.end {
					c.say(r, t)
				}
			})
			if !r.stopped.Load() {
				err = fmt.Errorf("session %d of %d: %w", i+1, len(c.talkers), c.o.explain(err))
				c.failed.CompareAndSwap(nil, &err)
			}
		})
	}
	c.past.receive(r, receiving)
}

// say has a session say something to the other one in its room.
func (c *company) say(r *run, t *talker) {
	now := r.now()
	c.said.Add(1)
	if now >= r.start {
		r.meters[0].sent.Add(1)
	}
	t.say(stamp{run: r.id, sent: now})
}

func (c *company) sends(r *run) []sending {
	return []sending{&speaker{c, r}, newSender(r, control, c.past.flows(), &Options{Rate: controlRate, Burst: 1})}
}

func (c *company) interrupt() {
	for _, t := range c.talkers {
		t.interrupt()
	}
	c.past.close()
}

func (c *company) silent(Direction) error {
	return advised{errors.New("no message arrives"), "the server passes none on to the other session in the room: " +
		"does it speak " + string(c.o.Dialect) + " as `--help` says?"}
}

// close says goodbye for all sessions.
func (c *company) close() {
	for _, t := range c.talkers {
		if t != nil {
			t.close()
		}
	}
	c.past.close()
}

// speaker has the sessions of pairs speak.
type speaker struct {
	c *company
	r *run
}

// send has them speak in turn, at the rate that was asked for; without one it only begins: each
// message is answered by another one.
func (s *speaker) send() {
	ends := s.c.talkers[:2*s.c.o.Pairs]
	if s.c.o.Rate == 0 {
		for range s.c.o.Window {
			for _, t := range ends {
				s.c.say(s.r, t)
			}
		}
		return
	}
	var pause pause
	pause.begin()
	p := newPacer(float64(s.c.o.Rate), s.r.now())
	for i := 0; !s.r.stopped.Load() && s.r.now() < s.r.end; {
		if now := s.r.now(); !p.take(now) {
			pause.wait(min(time.Duration(p.next()-now), maxPause))
			continue
		}
		s.c.say(s.r, ends[i])
		i = (i + 1) % len(ends)
	}
}

func (s *speaker) failure() error {
	if err := s.c.failed.Load(); err != nil {
		return *err
	}
	return nil
}
