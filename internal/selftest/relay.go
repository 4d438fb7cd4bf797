package selftest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"time"

	"signalbox/internal/status"
	"signalbox/internal/trouble"
	"signalbox/internal/turnclient"
)

// Relay asks the box's own TURN services.
type Relay struct {
	// Services are where they listen, each with its transport (udp, tcp, tls).
	Services func() []turnclient.Address
	// Credential returns one for one client.
	Credential func() (user, password string)
	// Off tells that the box has no address to relay on.
	Off func() bool
}

const (
	answerWait = 5 * time.Second // for an answer of this very machine
	packets    = 3               // one of so many must come through
	packetSize = 32              // bytes
)

// Run asks each service for its clients' address, and has the first one relay data.
func (r Relay) Run(ctx context.Context) (found []status.Fault) {
	relayed := false
	for _, at := range r.Services() {
		err := r.binding(ctx, at)
		if err == nil && !relayed && !r.Off() {
			relayed = true
			if fault, failed := r.loop(ctx, at); failed {
				found = append(found, fault)
			}
		}
		if err != nil {
			found = append(found, status.Fault{Code: trouble.TURNSilent,
				Detail: fmt.Sprintf("%s does not answer: %v", at, err)})
		}
	}
	if r.Off() {
		found = append(found, status.Fault{Code: trouble.NoAddress, Detail: "there is no address to relay on"})
	}
	return found
}

// conf is for the box's own certificate, which another probe judges.
func conf() *tls.Config { return &tls.Config{InsecureSkipVerify: true} } //nolint:gosec // see above

func (r Relay) binding(ctx context.Context, at turnclient.Address) error {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	c, err := turnclient.Dial(ctx, ctx, at, conf())
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Binding(ctx)
	return err
}

// loop sends data from one relayed transport address to another one.
func (r Relay) loop(ctx context.Context, at turnclient.Address) (f status.Fault, failed bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*answerWait)
	defer cancel()
	var ends [2]*turnclient.Client
	var relays [2]netip.AddrPort
	for i := range ends {
		c, err := turnclient.Dial(ctx, ctx, at, conf())
		if err != nil {
			return refused("connect", err), true
		}
		defer c.Close()
		c.Login(r.Credential())
		if relays[i], err = c.Allocate(ctx, at.Addr.Addr(), turnclient.Lifetime); err != nil {
			return refused("it gives out no relay address", err), true
		}
		ends[i] = c
	}
	for i, c := range ends {
		if err := c.Permit(ctx, relays[1-i]); err != nil {
			return refused("it lets no relay reach another", err), true
		}
	}
	for range packets {
		if turnclient.Pass(ctx, ends[0], ends[1], relays[1], packetSize) {
			return f, false
		}
	}
	return status.Fault{Code: trouble.RelaySilent,
		Detail: fmt.Sprintf("none of %d packets from %s came to %s", packets, relays[0], relays[1])}, true
}

// refused says why something came to nothing. What the code's words say is not in its detail.
func refused(what string, err error) status.Fault {
	f := status.Fault{Code: trouble.ServerFailed, Detail: fmt.Sprintf("%s: %v", what, err)}
	if code := turnclient.CodeOf(err); code != 0 {
		f.Code, f.Detail = trouble.OfAnswer(code).Code, fmt.Sprintf("%s: error %d", what, code)
	}
	return f
}
