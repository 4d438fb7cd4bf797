package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"signalbox/internal/netaddr"
	"signalbox/signal/client"
)

// server is one URL of an RTCIceServer.
type server struct{ url, user, password string }

// target is one address of a server.
type target struct {
	server
	relays    bool   // turn: or turns:
	transport string // udp, tcp or tls
	host      string
	addr      netip.AddrPort
	second    server // the same URL with another session's credential
}

func (t target) String() string {
	scheme := "stun"
	if t.relays {
		scheme = "turn"
	}
	return scheme + "/" + t.transport + " " + t.addr.String()
}

// port returns the port as a firewall rule names it.
func (t target) port() string {
	network := "tcp"
	if t.transport == "udp" {
		network = "udp"
	}
	return strconv.Itoa(int(t.addr.Port())) + "/" + network
}

// parseURL reads a URL of RFC 7064 or RFC 7065. The target's addr has only the port.
func parseURL(s server) (t target, err error) {
	scheme, rest, found := strings.Cut(s.url, ":")
	rest, query, _ := strings.Cut(rest, "?")
	t = target{server: s, relays: scheme == "turn" || scheme == "turns", transport: "udp"}
	port := "3478"
	switch {
	case !found || !slices.Contains([]string{"stun", "stuns", "turn", "turns"}, scheme):
		return t, fmt.Errorf("%q is not a stun: or turn: URL", s.url)
	case strings.HasSuffix(scheme, "s"):
		t.transport, port = "tls", "5349"
		if query == "transport=udp" {
			return t, fmt.Errorf("TURN over DTLS, which no browser uses: %w", errors.ErrUnsupported)
		}
	case query == "transport=tcp":
		t.transport = "tcp"
	}
	t.host = rest
	if host, given, err := net.SplitHostPort(rest); err == nil {
		t.host, port = host, given
	}
	t.host = strings.Trim(t.host, "[]")
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || t.host == "" {
		return t, fmt.Errorf("%q names no host and port", s.url)
	}
	t.addr = netip.AddrPortFrom(netip.Addr{}, uint16(n))
	return t, nil
}

// at returns the target at the first address of each family that its host has.
func (t target) at(ctx context.Context) ([]target, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.host)
	if err != nil {
		return nil, err
	}
	var out []target
	for _, v4 := range []bool{true, false} {
		if i := slices.IndexFunc(addrs, func(ip netip.Addr) bool { return ip.Unmap().Is4() == v4 }); i >= 0 {
			one := t
			one.addr = netip.AddrPortFrom(addrs[i].Unmap(), t.addr.Port())
			out = append(out, one)
		}
	}
	return out, nil
}

// resolve turns servers into targets. An address of narrower scope than the box's own is a problem:
// callers who reach the box can't reach that address.
func resolve(ctx context.Context, first, second []server, known scope) (targets []target, c Check) {
	const most = 16
	var problems, skips []string
	relays := false
	for _, s := range first {
		t, err := parseURL(s)
		if errors.Is(err, errors.ErrUnsupported) {
			skips = append(skips, s.url)
			continue
		}
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		t.second = s
		if i := slices.IndexFunc(second, func(other server) bool { return other.url == s.url }); i >= 0 {
			t.second = second[i]
		}
		found, err := t.at(ctx)
		if err != nil || len(found) == 0 {
			problems = append(problems, fmt.Sprintf("%s: the name does not resolve", s.url))
			continue
		}
		for _, one := range found {
			if s := scopeOf(one.addr.Addr()); s < known {
				problems = append(problems, fmt.Sprintf("%s leads to %s, %s", t.url, one.addr.Addr(), s))
			}
		}
		relays = relays || t.relays
		targets = append(targets, found...)
	}
	targets = targets[:min(len(targets), most)]
	switch {
	case len(problems) > 0:
		return targets, failed("public_host names the box in ICE servers: set it to a name or an address that "+
			"callers can reach", "%s", strings.Join(problems, "; "))
	case !relays:
		return targets, failed("turn TURN on with turn.listen", "the box hands out no TURN server: %s", kinds(first))
	case len(skips) > 0:
		return targets, ok("%s; not tried: %s", kinds(first), strings.Join(skips, ", "))
	}
	return targets, ok("%s", kinds(first))
}

// scope says from how far away an address can be reached.
type scope int

const (
	scopeHost scope = iota
	scopeNetwork
	scopeInternet
)

func (s scope) String() string {
	return [...]string{"which only the box itself knows", "an address of a private network",
		"an address of the internet"}[s]
}

func scopeOf(ip netip.Addr) scope {
	switch {
	case ip.IsLoopback():
		return scopeHost
	case netaddr.Global(ip):
		return scopeInternet
	}
	return scopeNetwork
}

// servers returns a session's servers, one for each URL.
func servers(list []client.ICEServer) (out []server) {
	const most = 32 // a box hands out about five
	for _, s := range list {
		for _, u := range s.URLs {
			if len(out) < most {
				out = append(out, server{url: u, user: s.Username, password: s.Credential})
			}
		}
	}
	return out
}

// kinds lists what servers offer.
func kinds(list []server) string {
	var words []string
	for _, s := range list {
		words = append(words, s.url)
	}
	return fmt.Sprintf("%d: %s", len(words), strings.Join(words, ", "))
}
