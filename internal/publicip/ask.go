package publicip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"signalbox/internal/fault"

	"github.com/pion/stun/v3"
)

// answers holds what the name servers said about names, and what the STUN server said about this
// machine's addresses.
type answers struct {
	names  map[string][]netip.Addr
	probed []netip.Addr
}

// ask looks up the names that give public addresses, and asks the STUN server, as far as relays
// needs them.
func (f *Finder) ask(ctx context.Context, relays Relays) (answers, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	next := answers{names: map[string][]netip.Addr{}}
	var failed []error
	for _, name := range f.wanted(relays) {
		addrs, err := f.o.Lookup(ctx, name)
		if err != nil || len(addrs) == 0 {
			err = cmp.Or(err, errors.New("it has no address"))
			failed = append(failed, fmt.Errorf("look up %s: %w", name, err))
			addrs = f.known.names[name]
		}
		for _, ip := range addrs {
			next.names[name] = append(next.names[name], ip.Unmap())
		}
		slices.SortFunc(next.names[name], netip.Addr.Compare) // resolvers rotate them
	}
	for _, r := range relays {
		if f.o.Probe == "" || !mayBeBehindNAT(r.Bind.IP) {
			continue
		}
		ip, err := f.o.Ask(ctx, r.Bind.IP, f.o.Probe)
		if err != nil {
			failed = append(failed, err)
			next.probed = append(next.probed, f.known.probed...)
			continue
		}
		next.probed = append(next.probed, ip)
	}
	return next, errors.Join(failed...)
}

// wanted are the names of public_ip, and public_host if it is needed.
func (f *Finder) wanted(relays Relays) []string {
	names := slices.Clone(f.o.Names)
	_, notName := netip.ParseAddr(f.o.Host)
	behind := slices.ContainsFunc(relays, func(r Relay) bool { return mayBeBehindNAT(r.Bind.IP) })
	if behind && f.o.Host != "" && notName != nil {
		names = append(names, f.o.Host)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func lookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// probeTries is the number of requests, probePause the time between them: on a network that loses
// one packet in ten, one probe in ten thousand fails.
const (
	probeTries = 4
	probePause = 500 * time.Millisecond
)

// askSTUN asks a STUN server at which address it sees this machine's address from.
func askSTUN(ctx context.Context, from netip.Addr, server string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTries*probePause)
	defer cancel()
	network := "udp4"
	if from.Is6() {
		network = "udp6"
	}
	dialer := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	conn, err := dialer.DialContext(ctx, network, server) // connected, so that nobody else's answer comes in
	if err != nil {
		return netip.Addr{}, fault.New("stun.probe", "%w", err)
	}
	defer conn.Close()
	request, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.Fingerprint)
	if err != nil {
		return netip.Addr{}, fault.New("stun.probe", "%w", err)
	}
	for range probeTries {
		if _, err := conn.Write(request.Raw); err != nil {
			return netip.Addr{}, fault.New("stun.probe", "ask %s: %w", server, err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(probePause)); err != nil {
			return netip.Addr{}, fault.New("stun.probe", "%w", err)
		}
		if ip, ok := readAnswer(ctx, conn, request.TransactionID); ok {
			return ip, nil
		}
	}
	return netip.Addr{}, fault.New("stun.probe", "%s does not answer %s: is it a STUN server, and is UDP "+
		"let out?", server, from)
}

// readAnswer waits for the answer to a request until the connection's read deadline.
func readAnswer(ctx context.Context, conn net.Conn, id [stun.TransactionIDSize]byte) (netip.Addr, bool) {
	buf := make([]byte, 1500)
	for ctx.Err() == nil {
		n, err := conn.Read(buf)
		if err != nil {
			return netip.Addr{}, false
		}
		answer := &stun.Message{Raw: buf[:n]}
		var mapped stun.XORMappedAddress
		if answer.Decode() != nil || answer.TransactionID != id || answer.Type != stun.BindingSuccess ||
			mapped.GetFrom(answer) != nil {
			continue
		}
		if ip, ok := netip.AddrFromSlice(mapped.IP); ok {
			return ip.Unmap(), true
		}
	}
	return netip.Addr{}, false
}
