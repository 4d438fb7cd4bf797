package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"signalbox/internal/trouble"
	"signalbox/internal/turnclient"
)

// knock sends from a socket of our own straight to a relay port, as a caller without a relay does.
// The relay must not send first: a firewall in front of it would take our packets for answers.
func knock(ctx context.Context, o Options, trials []*trial) Check {
	i := slices.IndexFunc(trials, func(t *trial) bool {
		return t.data && t.Transport == "udp" && t.relay.Addr().Is4() == t.mapped.Addr().Is4()
	})
	if i < 0 {
		return skipped("doctor can't tell from here: no relay of our address family works over UDP")
	}
	t := trials[i]
	a, err := t.dial(ctx, ctx, o.TLS)
	if err != nil {
		return skipped("doctor can't tell from here: %v", reason(err))
	}
	defer a.Close()
	a.Login(t.user, t.password)
	relay, err := a.Allocate(ctx, t.relay.Addr(), turnclient.Lifetime)
	if err != nil {
		return skipped("doctor can't tell from here: the box gave out no relay address: %v", reason(err))
	}
	// The permission is for our address; the port does not matter.
	refused := a.Permit(ctx, t.mapped)
	took := time.Duration(0)
	if refused == nil {
		if took, err = throughPort(ctx, a, relay); err == nil {
			return ok("data came straight in at %s, there and back in %s", relay, ms(took))
		}
	}
	return silence(relay, t.Addr.Addr(), t.mapped.Addr(), refused)
}

// silence explains why nothing came in at a relay port. dialed is the address at which the box
// answers, mapped the client's as the relay sees it; refused, if not nil, is the refusal of a
// permission for it.
func silence(relay netip.AddrPort, dialed, mapped netip.Addr, refused error) Check {
	switch {
	case scopeOf(relay.Addr()) < scopeInternet:
		return skipped("doctor can't tell from here: the relay's address %s exists only within its own network",
			relay.Addr())
	case scopeOf(mapped) < scopeInternet:
		return skipped("doctor can't tell from here: the relay sees us at %s and lets only public addresses in, "+
			"which is normal", mapped)
	case relay.Addr() == mapped:
		return skipped("doctor can't tell from here: this machine and the box share the address %s; try from another "+
			"network", mapped)
	case refused != nil:
		return skipped("doctor can't tell from here: the relay does not let %s in (%v), which is normal", mapped,
			refused)
	}
	if relay.Addr() != dialed && relay.Addr().Is4() == dialed.Is4() {
		return failed(trouble.PublicIPWrong, "", "the relay gives out the address %s, where nothing came in; the box "+
			"itself answers at %s", relay.Addr(), dialed)
	}
	return failed(trouble.RelayPortsClosed, "", "relay ports are blocked: nothing sent to %s came in", relay)
}

// throughPort sends to the relayed transport address until something arrives, and answers it.
func throughPort(ctx context.Context, a *turnclient.Client, relay netip.AddrPort) (time.Duration, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(relay))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	data := []byte(rand.Text())
	const tries = 5
	for range tries {
		start := time.Now()
		if _, err := conn.Write(data); err != nil && !isRefused(err) {
			return 0, err
		}
		got, peer, err := a.Receive(ctx, start.Add(400*time.Millisecond))
		if turnclient.IsTimeout(err) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return 0, err
		}
		if !bytes.Equal(got, data) {
			continue
		}
		if err := a.SendTo(peer, data, start.Add(turnclient.PassWait)); err != nil {
			return 0, err
		}
		conn.SetReadDeadline(start.Add(turnclient.PassWait))
		if n, err := conn.Read(make([]byte, 64)); err != nil || n != len(data) {
			return 0, fmt.Errorf("nothing came back: %w", err)
		}
		return time.Since(start), nil
	}
	return 0, errors.New("nothing came in")
}
