package signalbox

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"signalbox/signal"
	"signalbox/turnsvc"
	"signalbox/turnsvc/cred"
)

// The components know nothing of each other. What they need of one another is declared by the one
// that needs it, and adapted here.

// The hub tells the relay who may reach whom.
var _ signal.Members = (*turnsvc.Server)(nil)

// peersByName are the values of turn.peers and turn.static_peers.
var peersByName = map[string]turnsvc.Peers{
	"room": turnsvc.PeersRoom, "signaled": turnsvc.PeersSignaled, "public": turnsvc.PeersPublic,
	"any": turnsvc.PeersAny,
}

// issuer hands the hub its clients' ICE servers. It implements signal.ICEIssuer.
type issuer struct{ a *App }

func (i issuer) ICEServers(r signal.ICERequest) ([]signal.ICEServer, time.Time) {
	return i.a.iceServers(r.Host, cred.Hub, r.PeerID)
}

// iceServers lists what this box serves, under a name that the client has just reached it by, with
// a credential of that class for id.
func (a *App) iceServers(hostHeader string, class cred.Class, id string) ([]signal.ICEServer, time.Time) {
	inForce := a.live.Load()
	expires := time.Now().Add(inForce.ttl).Truncate(time.Second)
	user, password := inForce.keys.Mint(class, id, expires)
	return []signal.ICEServer{
		{URLs: a.stunURLs(hostHeader)},
		{URLs: a.turnURLs(hostHeader), Username: user, Credential: password},
	}, expires
}

func (a *App) stunURLs(hostHeader string) []string {
	return []string{"stun:" + a.turnAddr(a.iceHost(hostHeader))}
}

// turnURLs lists the transports in the order in which browsers should prefer them. turns: is only
// offered where its certificate can be verified, since a browser would refuse any other without a
// word, and where others than a proxy on this machine reach it.
func (a *App) turnURLs(hostHeader string) []string {
	host := a.iceHost(hostHeader)
	at := a.turnAddr(host)
	urls := []string{"turn:" + at + "?transport=udp", "turn:" + at + "?transport=tcp"}
	if l := a.edge.web; l != nil && strictFirewallsPass(l.Addr().(*net.TCPAddr)) {
		urls = append(urls, "turn:"+net.JoinHostPort(host, portOf(l.Addr()))+"?transport=tcp")
	}
	if l := a.edge.webTLS; l != nil && a.certs.inForce().covers(host) &&
		(a.cfg.Dev || isLoopback(host) || !l.Addr().(*net.TCPAddr).IP.IsLoopback()) {
		urls = append(urls, "turns:"+net.JoinHostPort(host, portOf(a.edge.webTLS.Addr()))+"?transport=tcp")
	}
	return urls
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// strictFirewallsPass reports whether a port is one of the two that everybody may use.
func strictFirewallsPass(addr *net.TCPAddr) bool {
	return !addr.IP.IsLoopback() && (addr.Port == 80 || addr.Port == 443)
}

// iceHost is the name or address that ICE servers are listed under: public_host, or else that of
// the page's own URL.
func (a *App) iceHost(hostHeader string) string {
	if a.cfg.PublicHost != "" {
		return a.cfg.PublicHost
	}
	host := hostHeader
	if h, _, err := net.SplitHostPort(hostHeader); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	switch {
	case strings.EqualFold(host, "localhost"):
		// Browsers look it up as they please, and may ask ::1 where nobody listens.
		return "127.0.0.1"
	case validHost(host):
		return host
	}
	return a.public().ip.String()
}

// validHost reports whether s can stand in a URI: what a client writes into its Host header comes
// back to it in ICE servers.
func validHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return !strings.Contains(s, "%")
	}
	if s == "" || len(s) > 253 {
		return false
	}
	// A name that ends in a number is a mistyped address, and browsers take it for one (URL
	// standard, "ends in a number").
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	if _, err := strconv.ParseUint(labels[len(labels)-1], 10, 64); err == nil {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_' {
			return false
		}
	}
	return true
}

// turnAddr is where a client that calls this box host finds TURN: there, at the port of the entry
// of turn.listen that covers it. Where none does, since TURN listens on other addresses than the
// page, it is the first entry's own address.
func (a *App) turnAddr(host string) string {
	ip, err := netip.ParseAddr(host)
	for _, l := range a.edge.turnTCP {
		if err != nil || reaches(l, ip.Unmap()) || a.mapped(l, ip) {
			return net.JoinHostPort(host, portOf(l.Addr()))
		}
	}
	return a.edge.turnTCP[0].Addr().String()
}

// mapped reports whether ip is the public address of a relay whose local one l is bound to: 1:1
// NAT.
func (a *App) mapped(l net.Listener, ip netip.Addr) bool {
	for _, r := range *a.addressing.Load() {
		if r.public.ip == ip && reaches(l, r.bind.ip) {
			return true
		}
	}
	return false
}

func portOf(addr net.Addr) string { return strconv.Itoa(addr.(*net.TCPAddr).Port) }
