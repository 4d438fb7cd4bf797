package doctor

import (
	"context"
	"crypto/tls"
	"net/netip"
	"strings"
	"sync"
	"time"

	"signalbox/internal/trouble"
	"signalbox/internal/turnclient"
)

// trial is the outcome of checking a target.
type trial struct {
	target
	checks []Check
	silent bool           // no host has said anything
	closed bool           // the host refused: nothing listens there
	works  bool           // it answers
	mapped netip.AddrPort // our address as it sees it
	relay  netip.AddrPort // the first relayed transport address
	data   bool           // data came through
}

// relay checks every server that the box hands out, at every address, and its relay.
func (d *Doctor) relay(ctx context.Context, o Options, p *pair, met bool, known scope) {
	first, second := servers(p.a.ICEServers()), servers(p.b.ICEServers())
	if !met {
		second = first // sessions that share no room reach only their own relays
	}
	var targets []target
	d.check(ctx, "ICE servers", o.Timeout, func(ctx context.Context) Check {
		var c Check
		targets, c = resolve(ctx, first, second, known)
		return d.led(c, trouble.ServersAstray)
	})
	trials := make([]*trial, len(targets))
	ended := make([]chan struct{}, len(targets))
	var relaying sync.RWMutex
	var wg sync.WaitGroup
	defer wg.Wait()
	for i, t := range targets {
		trials[i], ended[i] = &trial{target: t}, make(chan struct{})
		wg.Go(func() {
			defer close(ended[i])
			trials[i].run(ctx, o, &relaying)
		})
	}
	for i, t := range trials {
		<-ended[i]
		if (t.silent || t.closed && d.local) && t.last().Verdict == Failed {
			wg.Wait() // the other trials' outcomes tell why
			if d.local && t.outside(trials) {
				d.outside = true
				*t.last() = d.led(*t.last(), trouble.Hairpin)
			} else if t.silent {
				t.compare(trials)
			}
		}
		for _, c := range t.checks {
			if !interrupted(ctx) {
				d.add(c)
			}
		}
		d.relays = d.relays || t.data
	}
	if len(targets) == 0 {
		return
	}
	d.check(ctx, "relay ports", o.Timeout, func(ctx context.Context) Check {
		c := knock(ctx, o, trials)
		d.blocked = c.Verdict == Failed
		return c
	})
}

// led names the box's own name as the fault, if a check has met another one because of it.
func (d *Doctor) led(c Check, other trouble.Code) Check {
	if c.Code == other && d.astray != "" {
		c.Code, c.Fix = d.astray, fixOf(d.astray)
	}
	return c
}

// run checks one target: does it answer, does it relay, does data come through, does it refuse what
// it must. Targets are tried side by side. If their allocations together exceed the box's limit for
// one caller, a target is tried once more while it alone holds relaying.
func (t *trial) run(ctx context.Context, o Options, relaying *sync.RWMutex) {
	reached := t.tryOut(ctx, o, relaying.RLocker())
	if last := t.last(); reached && last.Verdict == Failed && last.Code == trouble.AllocationLimit {
		t.checks = nil
		t.tryOut(ctx, o, relaying)
	}
}

// tryOut reports whether the target answers.
func (t *trial) tryOut(ctx context.Context, o Options, relaying sync.Locker) bool {
	step := func(name string, run func(context.Context) Check) Verdict {
		c := timed(ctx, strings.TrimSpace(t.String()+" "+name), o.Timeout, run)
		t.checks = append(t.checks, c)
		return c.Verdict
	}
	var a, b *turnclient.Client
	answers := step("", func(within context.Context) (c Check) {
		a, c = t.reach(ctx, within, o.TLS)
		return c
	}) == OK
	if answers && t.Relays {
		relaying.Lock()
		defer relaying.Unlock()
	}
	defer func() { // before relaying is unlocked
		for _, c := range []*turnclient.Client{a, b} {
			if c != nil {
				c.Close()
			}
		}
	}()
	if !answers || !t.Relays {
		return answers
	}
	var second netip.AddrPort
	if v := step("relay", func(within context.Context) (c Check) {
		b, second, c = t.allocate(ctx, within, a, o.TLS)
		return c
	}); v == Failed {
		return true
	}
	if step("data", func(within context.Context) Check { return t.exchange(within, a, b, second) }) != Failed {
		t.data = true
	}
	step("refusals", func(within context.Context) Check { return t.provoke(ctx, within, a, o.TLS) })
	return true
}

// reach connects and asks for our address. life bounds the connection, within bounds the wait.
func (t *trial) reach(life, within context.Context, conf *tls.Config) (*turnclient.Client, Check) {
	start := time.Now()
	c, err := t.dial(life, within, conf)
	if err == nil {
		t.mapped, err = c.Binding(within)
	}
	if err != nil {
		if c != nil {
			c.Close()
		}
		return nil, t.unreachable(err)
	}
	t.works = true
	return c, ok("answers in %s and sees us at %s", ms(time.Since(start)), t.mapped)
}

// dial connects. life bounds the connection, within bounds the wait for it.
func (t *trial) dial(life, within context.Context, conf *tls.Config) (*turnclient.Client, error) {
	return turnclient.Dial(life, within, t.Address, conf)
}

func (t *trial) last() *Check { return &t.checks[len(t.checks)-1] }
