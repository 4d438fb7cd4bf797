package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
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
	silent bool           // nothing came back
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

// unreachable says why nothing came back.
func (t *trial) unreachable(err error) Check {
	open := "open the port: ufw allow " + t.port() + ", and in the cloud provider's firewall, too"
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	switch {
	case hasNoWay(err):
		family := "IPv4"
		if t.Addr.Addr().Is6() {
			family = "IPv6"
		}
		return skipped("this machine has no %s", family)
	case isRefused(err):
		t.closed = true
		return failed(trouble.TURNSilent, "", "nothing listens on port %s", t.port())
	case errors.As(err, &unknown), errors.As(err, &invalid), errors.As(err, &name):
		return failed(trouble.CertificateUntrusted, "get a certificate for this very name (tls.mode \"acme\"): "+
			"browsers fail on this one silently",
			"the certificate is not good for turns: %v", err)
	case turnclient.IsTimeout(err), errors.Is(err, context.DeadlineExceeded):
		t.silent = true
		return failed(closedPort(t.Transport), open, "nothing came back over %s", strings.ToUpper(t.Transport))
	case turnclient.CodeOf(err) != 0:
		return refusedBy("it answers, but refuses", err)
	case errors.Is(err, turnclient.ErrNotSTUN):
		return failed(trouble.NotSTUN, "another program has port "+t.port()+": check turn.listen, turn.urls and "+
			"public_host", "%v", err)
	}
	return failed(closedPort(t.Transport), open, "it can't be reached: %v", reason(err))
}

func (t *trial) last() *Check { return &t.checks[len(t.checks)-1] }

// compare adds to the last check what the other trials of the same host found.
func (t *trial) compare(all []*trial) {
	if t.Transport != "udp" || !slices.ContainsFunc(all, func(other *trial) bool {
		return other.works && other.Transport != "udp" && other.Addr.Addr() == t.Addr.Addr()
	}) {
		return
	}
	last := t.last()
	last.Detail += ", though TCP works: UDP is blocked"
	last.Code, last.Fix = trouble.UDPBlocked, "open the port for UDP: ufw allow "+t.port()+
		", and in the cloud provider's firewall, too; or this network lets no UDP out: try from another"
}

// outside turns a failure into a warning if doctor asks from the box's own machine, at an address
// that this machine does not have and where nothing at all answers. Many NATs do not let a machine
// reach itself by the address that they give it.
func (t *trial) outside(all []*trial) bool {
	if isOwn(t.Addr.Addr()) || slices.ContainsFunc(all,
		func(other *trial) bool { return other.works && other.Addr.Addr() == t.Addr.Addr() }) {
		return false
	}
	c := t.last()
	c.Verdict, c.Code, c.Detail = Warning, trouble.Hairpin, fmt.Sprintf("this machine does not reach %s, an address "+
		"that it does not have itself; behind a NAT that can be normal", t.Addr.Addr())
	c.Fix = fixOf(trouble.Hairpin)
	return true
}

// isOwn reports whether this machine has the address; true if it can't tell.
func isOwn(ip netip.Addr) bool {
	own, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(own, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap() == ip
	})
}

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

// provoke asks for what the box must refuse. A box that relays on loopback opens loopback to
// everybody.
func (t *trial) provoke(life, within context.Context, a *turnclient.Client, conf *tls.Config) Check {
	var wrong, odd, refused []string
	wrongPassword := func() error {
		c, err := t.dial(life, within, conf)
		if err != nil {
			return err
		}
		defer c.Close()
		c.Login(t.user, t.password+"x")
		_, err = c.Allocate(within, t.relay.Addr(), turnclient.Lifetime)
		return err
	}
	switch err := wrongPassword(); {
	case err == nil:
		wrong = append(wrong, "it accepts a wrong password")
	case turnclient.CodeOf(err) != 401:
		odd = append(odd, fmt.Sprintf("it answers a wrong password with: %v", reason(err)))
	}
	loopback, metadata, private := "127.0.0.1", "169.254.169.254", "10.255.255.254"
	if t.relay.Addr().Is6() {
		loopback, metadata, private = "::1", "fd00:ec2::254", "fd12:3456:789a::1"
	}
	note := ""
	for _, ip := range []string{loopback, metadata, private} {
		peer := netip.AddrPortFrom(netip.MustParseAddr(ip), 80)
		switch err := a.Permit(within, peer); {
		case err == nil && ip == loopback && t.relay.Addr().IsLoopback():
			note = "; " + ip + " is open, as on any box that relays on loopback"
		case err == nil && ip == private:
			odd = append(odd, "a private address ("+ip+") is open to every caller")
		case err == nil:
			wrong = append(wrong, "it lets callers through to "+ip)
		case turnclient.CodeOf(err) == 403:
			refused = append(refused, ip)
		default:
			odd = append(odd, fmt.Sprintf("it answers a permission for %s with: %v", ip, reason(err)))
		}
	}
	fix := "only signalbox with --dev opens loopback: start it without, or find the server that has the port"
	if len(wrong) > 0 && strings.Contains(wrong[0], "password") {
		fix = "another server answers there and relays for everybody: find the server that has the port"
	}
	switch {
	case len(wrong) > 0:
		return failed(trouble.RelayOpen, fix, "%s", strings.Join(append(wrong, odd...), "; "))
	case len(odd) > 0:
		return warning(trouble.PrivateOpen, "", "%s", strings.Join(odd, "; "))
	}
	return ok("401 for a wrong password, 403 for peers %s%s", strings.Join(refused, ", "), note)
}

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
