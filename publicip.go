package signalbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"signalbox/turnsvc"
)

// address is an address and the reason why it was chosen.
type address struct {
	ip  netip.Addr
	why string
}

// relayAddress is where the box relays in one address family: what relay sockets are bound to, and
// what clients are told.
type relayAddress struct{ bind, public address }

// addressing is where the box relays: one of each family that it relays in, IPv4 first. It is
// immutable.
type addressing []relayAddress

// public is the address for whoever wants only one.
func (a addressing) public() address { return a[0].public }

func (a addressing) publicIPs() []string {
	out := make([]string, len(a))
	for i, r := range a {
		out[i] = r.public.ip.String()
	}
	return out
}

func (a addressing) relays() []turnsvc.RelayAddress {
	out := make([]turnsvc.RelayAddress, len(a))
	for i, r := range a {
		out[i] = turnsvc.RelayAddress{Bind: r.bind.ip, Public: r.public.ip}
	}
	return out
}

// addressInterval is how often addresses and names are looked at again. With lookupTimeout, a
// changed one is in use within little more.
const (
	addressInterval = time.Minute
	lookupTimeout   = 3 * time.Second
)

// lookupFunc is net.Resolver.LookupNetIP for both families.
type lookupFunc func(ctx context.Context, host string) ([]netip.Addr, error)

func lookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// outside is who knows what this machine can't: name servers, and a STUN server.
type outside struct {
	lookup lookupFunc
	probe  probeFunc
}

// resolved are the addresses of the configuration's names, as far as they are known, and under
// probed what the STUN server says.
type resolved map[string][]netip.Addr

const probed = "stun.probe:" // no host's name

// resolve looks up the names that public addresses are taken from, and has the STUN server asked;
// where is what was decided before. What can't be found out keeps the addresses that it has in old;
// the error says so.
func (c *Config) resolve(ctx context.Context, out outside, where addressing, old resolved) (resolved, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	next := resolved{}
	var failed []error
	for _, name := range c.publicNames(where) {
		addrs, err := out.lookup(ctx, name)
		if err != nil || len(addrs) == 0 {
			failed = append(failed, fmt.Errorf("look up %s: %w", name, cmp.Or(err, errors.New("it has no address"))))
			addrs = old[name]
		}
		for _, ip := range addrs {
			next[name] = append(next[name], ip.Unmap())
		}
		slices.SortFunc(next[name], netip.Addr.Compare) // resolvers rotate them
	}
	for _, r := range where {
		if c.STUN.Probe == "" || !r.mayBeBehindNAT() {
			continue
		}
		ip, err := out.probe(ctx, r.bind.ip, c.STUN.Probe)
		if err != nil {
			failed = append(failed, err)
			next[probed] = append(next[probed], old[probed]...)
			continue
		}
		next[probed] = append(next[probed], ip)
	}
	return next, errors.Join(failed...)
}

// publicNames are those of public_ip, and public_host if it is needed.
func (c *Config) publicNames(where addressing) (names []string) {
	all := slices.Clone(c.PublicIP)
	if slices.ContainsFunc(where, relayAddress.mayBeBehindNAT) {
		all = append(all, c.PublicHost)
	}
	for _, s := range all {
		if _, err := netip.ParseAddr(s); err != nil && s != "" && s != "auto" && !slices.Contains(names, s) {
			names = append(names, s)
		}
	}
	return names
}

// relayAddresses decides what relay sockets are bound to and what clients are told, in the order:
// an explicit key, an explicit listen address, the interface of the default route, loopback. old is
// what was decided before; an address that is still there is not given up for a worse reason.
func relayAddresses(c *Config, names resolved, old addressing) (addressing, error) {
	local, err := localAddrs()
	if err != nil {
		return nil, fmt.Errorf("read this machine's addresses: %w", err)
	}
	var out addressing
	for _, v4 := range []bool{true, false} {
		r, err := relayAddressOf(v4, c, names, local, old)
		if err != nil {
			return nil, err
		}
		if r.bind.ip.IsValid() {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("public_ip, turn.relay_ip: they leave no address to relay on")
	}
	return out, nil
}

// relayAddressOf decides for one family. It returns the zero relayAddress if the box is not to
// relay in it.
func relayAddressOf(v4 bool, c *Config, names resolved, local []netip.Addr, old addressing) (r relayAddress,
	err error) {
	fits := func(ip netip.Addr) bool { return ip.Is4() == v4 }
	auto := len(c.PublicIP) == 0
	literal := false
	for _, s := range c.PublicIP {
		ip, err := netip.ParseAddr(s)
		switch {
		case s == "auto":
			auto = true
		case err == nil && fits(ip):
			r.public, literal = address{ip, "public_ip says so"}, true
		case err != nil:
			known := names[s]
			auto = auto || len(known) == 0 // until it is looked up
			if i := slices.IndexFunc(known, fits); i >= 0 {
				r.public = address{known[i], "public_ip " + s + " leads there"}
			}
		}
	}
	relayIPs := slices.DeleteFunc(slices.Clone(c.TURN.RelayIP), func(s string) bool { return s == "" })
	for _, s := range relayIPs {
		if ip := netip.MustParseAddr(s); fits(ip) {
			r.bind = address{ip, "turn.relay_ip says so"}
		}
	}
	switch {
	case r.bind.ip.IsValid():
		if !slices.Contains(local, r.bind.ip) {
			return r, fmt.Errorf("turn.relay_ip: this machine has no address %s: it has %v", r.bind.ip, local)
		}
	case r.public.ip.IsValid() && slices.Contains(local, r.public.ip):
		r.bind = r.public
	case r.public.ip.IsValid(), auto && len(relayIPs) == 0:
		r.bind = localAddress(v4, c, local, old)
	}
	switch {
	case !r.bind.ip.IsValid():
		// A name may well have an address of a family that this machine lacks.
		if literal {
			return r, fmt.Errorf("public_ip: this machine has no address to relay to and from %s", r.public.ip)
		}
		return relayAddress{}, nil
	case !r.public.ip.IsValid() && !auto:
		return relayAddress{}, nil
	case !r.public.ip.IsValid():
		r.public = r.bind
		r.lookBehindNAT(c, names)
	}
	return r, nil
}

// lookBehindNAT takes the public address from public_host, or else from stun.probe, where this
// machine's own can't be it.
func (r *relayAddress) lookBehindNAT(c *Config, names resolved) {
	if ip, err := netip.ParseAddr(c.PublicHost); err == nil && ip.Is4() == r.bind.ip.Is4() {
		r.public = address{ip, "public_host says so"}
		return
	}
	if !r.mayBeBehindNAT() {
		return
	}
	for _, ip := range names[c.PublicHost] {
		if ip.Is4() == r.bind.ip.Is4() && isPublic(ip) {
			r.public = address{ip, fmt.Sprintf("public_host leads there, and this machine's %s is not public",
				r.bind.ip)}
			return
		}
	}
	for _, ip := range names[probed] {
		if ip.Is4() == r.bind.ip.Is4() && isPublic(ip) {
			r.public = address{ip, fmt.Sprintf("%s (stun.probe) sees this machine's %s there", c.STUN.Probe, r.bind.ip)}
			return
		}
	}
}

// mayBeBehindNAT reports whether the box is reached, if at all, by another address than its own.
func (r relayAddress) mayBeBehindNAT() bool { return !isPublic(r.bind.ip) && !r.bind.ip.IsLoopback() }

// isPublic reports whether an address can be one of the internet.
func isPublic(ip netip.Addr) bool { return ip.IsGlobalUnicast() && scopeNote(ip) == "" }

// localAddress picks the address of this machine that others most probably reach it by. For IPv6
// there may be none.
func localAddress(v4 bool, c *Config, local []netip.Addr, old addressing) address {
	wildcard := false
	for _, s := range c.TURN.Listen {
		a, err := listenAddr(s)
		if err != nil {
			continue
		}
		ip := a.Addr()
		if ip.Is4() == v4 && !ip.IsUnspecified() {
			return address{ip, "turn.listen names it"}
		}
		wildcard = wildcard || ip.IsUnspecified() && (ip.Is6() || v4)
	}
	if !v4 && !wildcard {
		return address{} // IPv6 is not listened on, so it is not relayed on by itself
	}
	// Connecting a UDP socket sends nothing: the system only looks up the route, and so the address
	// it would use.
	network, somewhere := "udp4", net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9}
	if !v4 {
		network, somewhere = "udp6", net.UDPAddr{IP: net.ParseIP("2001:db8::1"), Port: 9}
	}
	if conn, err := net.DialUDP(network, nil, &somewhere); err == nil {
		defer conn.Close()
		ip := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		if v4 && !ip.IsUnspecified() || !v4 && isPublic(ip) {
			return address{ip, "the interface of the default route has it"}
		}
	}
	for _, r := range old {
		if r.bind.ip.Is4() == v4 && slices.Contains(local, r.bind.ip) {
			return r.bind // the default route may come back
		}
	}
	if !v4 {
		return address{}
	}
	for _, ip := range local {
		if ip.Is4() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			return address{ip, "no default route; this machine has it"}
		}
	}
	return address{netip.AddrFrom4([4]byte{127, 0, 0, 1}), "this machine has no other address"}
}

// readdress decides again where to relay. New allocations follow; running ones keep their
// addresses.
func (a *App) readdress(ctx context.Context) error {
	old := *a.addressing.Load()
	names, lookupErr := a.cfg.resolve(ctx, a.outside, old, a.names)
	a.names = names
	next, err := relayAddresses(&a.cfg, names, old)
	if err != nil {
		return errors.Join(lookupErr, err)
	}
	if !slices.Equal(next.relays(), old.relays()) {
		if err := a.turn.SetRelays(next.relays()); err != nil {
			return errors.Join(lookupErr, err)
		}
		a.log.Info("relay addresses changed", "from", strings.Join(old.publicIPs(), " "), "to",
			strings.Join(next.publicIPs(), " "))
		a.warnOfAddresses(next)
	}
	a.addressing.Store(&next)
	return lookupErr
}

// warnOfAddresses says which addresses callers from elsewhere can't reach, and what to do.
func (a *App) warnOfAddresses(where addressing) {
	for _, r := range where {
		if note := scopeNote(r.public.ip); note != "" && !a.cfg.Dev {
			a.log.Warn("the relay's address is not one of the internet", "addr", r.public.ip, "reason", r.public.why,
				"note", note)
		}
	}
}

// followAddresses calls readdress every interval until ctx is done. What goes wrong is said once,
// not every minute.
func (a *App) followAddresses(ctx context.Context, interval time.Duration) {
	said := ""
	every(ctx, interval, func(time.Time) {
		switch err := a.readdress(ctx); {
		case err == nil:
			said = ""
		case ctx.Err() == nil && err.Error() != said:
			said = err.Error()
			a.log.Warn("the relay addresses stay as they are", "err", err)
		}
	})
}

// localAddrs lists this machine's unicast addresses without link-local ones, which a client could
// not name without a zone.
func localAddrs() ([]netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		if ip, ok := netip.AddrFromSlice(n.IP); ok && !ip.IsMulticast() &&
			(!ip.IsLinkLocalUnicast() || ip.Unmap().Is4()) {
			out = append(out, ip.Unmap())
		}
	}
	return out, nil
}

var (
	// out of which Docker takes its networks: 172.17.0.0/16 and the next ones
	dockerBridge = netip.MustParsePrefix("172.16.0.0/12")
	sharedSpace  = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
)

// scopeNote says in words when an address is one that the internet does not route.
func scopeNote(ip netip.Addr) string {
	switch {
	case ip.IsLoopback():
		return "a loopback address: only this machine itself can use the relay"
	case dockerBridge.Contains(ip) && inContainer():
		return "an address of Docker's bridge, which nobody outside of this machine knows: run the container with " +
			"host networking (docker run --network host), " +
			"or publish the relay ports, too, and set public_ip to this machine's address"
	case ip.IsPrivate():
		return "a private address: fine on this network; for callers from elsewhere set public_ip to the address " +
			"they reach this box by"
	case sharedSpace.Contains(ip):
		return "a carrier's shared address (CGNAT): callers from elsewhere can't reach it; set public_ip if there " +
			"is a public one"
	}
	return ""
}
