package publicip

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"signalbox/internal/fault"
	"signalbox/internal/netaddr"
)

// decide chooses where to relay, in this order: an explicit key, an explicit listen address, the
// interface of the default route, another address that is not loopback's. old is the previous
// choice; decide does not give up an address that still exists for a worse reason.
func (f *Finder) decide(known answers, old Relays) (out decision, err error) {
	local, err := f.o.Local()
	if err != nil {
		return decision{}, err
	}
	for _, v4 := range []bool{true, false} {
		fam := family{o: &f.o, v4: v4, known: known, local: local, old: old, route: f.route}
		r, off, err := fam.relay()
		if err != nil {
			return decision{}, err
		}
		if r.Bind.IP.IsValid() {
			out.relays = append(out.relays, r)
		}
		if off != "" {
			out.off = append(out.off, off)
		}
	}
	if len(out.relays) == 0 && len(f.o.Bind) > 0 {
		return decision{}, fault.New("public_ip, turn.relay_ip", "these keys leave no address to relay on")
	}
	return out, nil
}

// decision is where to relay, and why not in a family of which this machine has an address.
type decision struct {
	relays Relays
	off    []string
}

// family is a decision for one address family.
type family struct {
	o     *Options
	v4    bool
	known answers
	local []netip.Addr // this machine's addresses
	old   Relays
	route func(v4 bool) netip.Addr
}

func (f *family) fits(ip netip.Addr) bool { return ip.Is4() == f.v4 }

// relay decides. It returns the zero Relay if the box does not relay in this family, and in off why
// not, if that is for what the configuration says and not for the lack of an address.
func (f *family) relay() (r Relay, off string, err error) {
	public, literal, auto := f.configured()
	bind, err := f.bind(public)
	if err != nil {
		return Relay{}, "", err
	}
	if !bind.IP.IsValid() {
		switch named, every := f.listenedOn(); {
		case literal && !f.v4 && !named.IsValid() && !every:
			return Relay{}, "", fault.New("public_ip", "this machine has no address to relay to and from %s: "+
				"turn.listen has none of IPv6", public.IP)
		case len(f.o.Bind) > 0 && f.reachedBy().IP.IsValid():
			off = fmt.Sprintf("no %s relays: turn.relay_ip names no %[1]s address", f)
		}
		return Relay{}, off, nil // an address may yet come
	}
	if public.IP.IsValid() {
		return Relay{Bind: bind, Public: public}, "", nil
	}
	r = Relay{Bind: bind, Public: f.behindNAT(bind)}
	// Where public_ip gives an address of the other family only, this one is used if it is public.
	if !auto && !netaddr.Global(r.Public.IP) {
		return Relay{}, fmt.Sprintf("no %s relays: public_ip gives no %[1]s address, and the internet does not route "+
			"this machine's %s", f, bind.IP), nil
	}
	return r, "", nil
}

// String names the family.
func (f *family) String() string {
	if f.v4 {
		return "IPv4"
	}
	return "IPv6"
}

// configured returns the public address that the configuration gives, directly or by a name. auto
// reports whether Look must find it out otherwise.
func (f *family) configured() (public Choice, literal, auto bool) {
	auto = f.o.Auto
	for _, name := range f.o.Names {
		addrs := f.known.names[name]
		auto = auto || len(addrs) == 0 // until it is looked up
		if i := slices.IndexFunc(addrs, f.fits); i >= 0 {
			public = Choice{addrs[i], "public_ip " + name + " leads there"}
		}
	}
	if i := slices.IndexFunc(f.o.Public, f.fits); i >= 0 {
		return Choice{f.o.Public[i], "public_ip says so"}, true, auto
	}
	return public, false, auto
}

// bind returns the address for relay sockets to bind to; the zero Choice if there is none.
func (f *family) bind(public Choice) (Choice, error) {
	if i := slices.IndexFunc(f.o.Bind, f.fits); i >= 0 {
		ip := f.o.Bind[i]
		if !slices.Contains(f.local, ip) {
			return Choice{}, fault.New("turn.relay_ip", "this machine has no address %s: it has %v", ip, f.local)
		}
		return Choice{ip, "turn.relay_ip says so"}, nil
	}
	switch {
	case public.IP.IsValid() && slices.Contains(f.local, public.IP):
		return public, nil
	case public.IP.IsValid(), len(f.o.Bind) == 0:
		return f.reachedBy(), nil
	}
	return Choice{}, nil
}

// behindNAT finds the public address of a machine whose own is private.
func (f *family) behindNAT(bind Choice) Choice {
	if ip, err := netip.ParseAddr(f.o.Host); err == nil && f.fits(ip) {
		return Choice{ip, "public_host says so"}
	}
	if !mayBeBehindNAT(bind.IP) {
		return bind
	}
	good := func(ip netip.Addr) bool { return f.fits(ip) && netaddr.Global(ip) }
	if addrs := f.known.names[f.o.Host]; slices.ContainsFunc(addrs, good) {
		ip := addrs[slices.IndexFunc(addrs, good)]
		return Choice{ip, fmt.Sprintf("public_host leads there, and this machine's %s is not public", bind.IP)}
	}
	if i := slices.IndexFunc(f.known.probed, good); i >= 0 {
		ip := f.known.probed[i]
		return Choice{ip, fmt.Sprintf("%s (stun.probe) sees this machine's %s there", f.o.Probe, bind.IP)}
	}
	return bind
}

// mayBeBehindNAT reports whether others may reach a box with this address only by another one.
func mayBeBehindNAT(own netip.Addr) bool { return !netaddr.Global(own) && !own.IsLoopback() }

// reachedBy picks the address at which others most probably reach this machine. There may be none.
// Loopback is one only where TURN listens on it and, for development, where nothing else is.
func (f *family) reachedBy() Choice {
	named, every := f.listenedOn()
	if named.IsValid() {
		return Choice{named, "turn.listen names it"}
	}
	if !f.v4 && !every {
		return Choice{} // IPv6 is not listened on, so it is not relayed on by itself
	}
	if ip := f.route(f.v4); ip.IsValid() {
		return Choice{ip, "the interface of the default route has it"}
	}
	for _, r := range f.old {
		if f.fits(r.Bind.IP) && slices.Contains(f.local, r.Bind.IP) {
			return r.Bind // the default route may come back
		}
	}
	if !f.v4 && slices.ContainsFunc(f.local, func(ip netip.Addr) bool { return ip.Is4() && reachable(ip) }) {
		return Choice{} // IPv4 will do
	}
	for _, ip := range f.local {
		if f.fits(ip) && reachable(ip) {
			return Choice{ip, "no public default route; this machine has it"}
		}
	}
	if f.v4 && f.o.Dev {
		return Choice{netip.AddrFrom4([4]byte{127, 0, 0, 1}), "this machine has no other address"}
	}
	return Choice{}
}

// reachable reports whether others may reach a machine at an address.
func reachable(ip netip.Addr) bool { return !ip.IsLoopback() && !ip.IsLinkLocalUnicast() }

// Reached returns the IPv4 address at which others most probably reach this machine, whatever the
// configuration relays on; the zero Addr if there is none.
func (f *Finder) Reached() netip.Addr {
	local, _ := f.o.Local() // New has read them, too
	v4 := family{o: &f.o, v4: true, local: local, route: f.route}
	return v4.reachedBy().IP
}

// listenedOn returns the address of this family that TURN listens on, if one is named, and whether
// it listens on every address.
func (f *family) listenedOn() (named netip.Addr, every bool) {
	for _, ip := range f.o.Listen {
		switch {
		case ip.IsUnspecified():
			every = every || ip.Is6() || f.v4
		case f.fits(ip):
			return ip, every
		}
	}
	return named, every
}

// defaultRoute returns the address from which this machine would talk to the internet; the zero
// Addr if there is none, or if it is an IPv6 address that the internet does not route. Connecting a
// UDP socket sends nothing: the system only looks up the route and its source address.
func defaultRoute(v4 bool) netip.Addr {
	network, somewhere := "udp4", net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9}
	if !v4 {
		network, somewhere = "udp6", net.UDPAddr{IP: net.ParseIP("2001:db8::1"), Port: 9}
	}
	conn, err := net.DialUDP(network, nil, &somewhere)
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	ip := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	if ip.IsUnspecified() || ip.Is6() && !netaddr.Global(ip) {
		return netip.Addr{}
	}
	return ip
}
