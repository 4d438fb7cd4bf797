package doctor

import (
	"context"
	"crypto/tls"
	"net/netip"
	"slices"
	"time"

	"signalbox/internal/trouble"
	"signalbox/internal/turnclient"
)

// allocate makes two allocations, one for each session's credential.
func (t *trial) allocate(life, within context.Context, a *turnclient.Client, conf *tls.Config) (b *turnclient.Client,
	second netip.AddrPort, c Check) {
	start := time.Now()
	a.Login(t.user, t.password)
	var err error
	if t.relay, err = a.Allocate(within, t.mapped.Addr(), turnclient.Lifetime); err != nil {
		return nil, second, refusedBy("it gives out no relay address", err)
	}
	took := time.Since(start)
	if b, err = t.dial(life, within, conf); err == nil {
		b.Login(t.second.user, t.second.password)
		second, err = b.Allocate(within, t.relay.Addr(), turnclient.Lifetime)
	}
	if err != nil {
		return b, second, refusedBy("the second session gets no relay address", err)
	}
	if here, there := scopeOf(t.relay.Addr()), scopeOf(t.Addr.Addr()); here < there {
		return b, second, warning(trouble.PublicIPWrong, "",
			"it relays at %s, %s, but callers reach the box at %s", t.relay, here, t.Addr.Addr())
	}
	return b, second, ok("relays at %s, allocated in %s", t.relay, ms(took))
}

const (
	rounds     = 20
	packetSize = 1000 // as of video
)

// exchange sends random data from relay to relay, there and back.
func (t *trial) exchange(ctx context.Context, a, b *turnclient.Client, second netip.AddrPort) Check {
	for _, p := range []struct {
		c    *turnclient.Client
		peer netip.AddrPort
	}{{a, second}, {b, t.relay}} {
		if err := p.c.Permit(ctx, p.peer); err != nil {
			return refusedBy("the relay does not let two members of a room reach each other", err)
		}
	}
	var rtts []time.Duration
	there, sent := 0, 0
	for sent < rounds && ctx.Err() == nil && (there > 0 || sent < 3) {
		sent++
		start := time.Now()
		if !turnclient.Pass(ctx, a, b, second, packetSize) {
			continue
		}
		there++
		if turnclient.Pass(ctx, b, a, t.relay, packetSize) {
			rtts = append(rtts, time.Since(start))
		}
	}
	switch {
	case there == 0:
		return failed(trouble.RelaySilent, "", "the box gives out relay addresses, but none of %d packets came through",
			sent)
	case len(rtts) == 0:
		return failed(trouble.RelaySilent, "", "packets come through one way only, %d of %d", there, sent)
	case len(rtts) < sent:
		return warning(trouble.RelayLossy, "", "%d of %d packets were lost; there and back in %s", sent-len(rtts), sent,
			ms(median(rtts)))
	}
	return ok("%d packets there and back, in %s", sent, ms(median(rtts)))
}

func median(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}
