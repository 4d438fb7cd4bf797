package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"signalbox/internal/netaddr"
	"signalbox/internal/trouble"
	"signalbox/internal/turnclient"
	"signalbox/signal/client"
)

// server is one URL of an RTCIceServer.
type server struct{ url, user, password string }

// target is one address of a server.
type target struct {
	server
	turnclient.Address
	second server // the same URL with another session's credential
}

// port returns the port as a firewall rule names it.
func (t target) port() string {
	network := "tcp"
	if t.Transport == "udp" {
		network = "udp"
	}
	return strconv.Itoa(int(t.Addr.Port())) + "/" + network
}

// resolve turns servers into targets. An address of narrower scope than the box's own is a problem:
// callers who reach the box can't reach that address.
func resolve(ctx context.Context, first, second []server, known scope) (targets []target, c Check) {
	const most = 16
	var problems, skips []string
	relays := false
	for _, s := range first {
		address, err := turnclient.ParseURL(s.url)
		if errors.Is(err, errors.ErrUnsupported) {
			skips = append(skips, s.url)
			continue
		}
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		t := target{server: s, Address: address, second: s}
		if i := slices.IndexFunc(second, func(other server) bool { return other.url == s.url }); i >= 0 {
			t.second = second[i]
		}
		found, err := address.All(ctx)
		if err != nil || len(found) == 0 {
			problems = append(problems, fmt.Sprintf("%s: the name does not resolve", s.url))
			continue
		}
		for _, one := range found {
			t.Address = one
			targets = append(targets, t)
			if s := scopeOf(one.Addr.Addr()); s < known {
				problems = append(problems, fmt.Sprintf("%s leads to %s, %s", t.url, one.Addr.Addr(), s))
			}
		}
		relays = relays || t.Relays
	}
	targets = targets[:min(len(targets), most)]
	switch {
	case len(problems) > 0:
		return targets, failed(trouble.ServersAstray, "", "%s", strings.Join(problems, "; "))
	case !relays:
		return targets, failed(trouble.NoTURN, "name one in turn.urls, or leave it empty", "the box hands out no "+
			"TURN server: %s",
			kinds(first))
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
