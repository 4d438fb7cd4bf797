// Package iceserver decides which ICE servers a client gets: the URLs at which this box really
// serves it, and its own credential.
package iceserver

import (
	"crypto/rand"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"signalbox/internal/edge"
	"signalbox/internal/netaddr"
	"signalbox/internal/publicip"
	"signalbox/internal/source"
	"signalbox/internal/state"
	"signalbox/signal"
	"signalbox/turnsvc/cred"
)

// Sockets are the listeners whose addresses the issuer tells clients; nil: off.
type Sockets interface {
	Web() net.Listener
	WebTLS() net.Listener
	TURN() []edge.Service
}

// Options say what the box serves, and under which name.
type Options struct {
	// PublicHost is the host in the URLs; empty: the name or address by which the client has just
	// come.
	PublicHost string
	Sockets    Sockets
	Relays     func() publicip.Relays
	// Covers reports whether clients can verify the box's certificate for a host.
	Covers func(host string) bool
	// Loopback: others than a proxy on this machine come to a listener on loopback, too.
	Loopback bool
	// Naming is the key of the ids of credentials without a session; see UserID. Empty: a key of
	// this process's own.
	Naming []byte
	// Banned reports whether a ban is about a user or an address; nil: none is.
	Banned func(user string, from netip.Addr) bool
	// CheckKey compares a key that a program has brought with the right one, and limits guesses.
	CheckKey func(key state.Secret, brought string, from netip.Addr) error
}

// Live is the part of the configuration that Issuer.Apply changes.
type Live struct {
	// Keys sign credentials, each of which allows new allocations for TTL.
	Keys *cred.Keys
	TTL  time.Duration
	// URLs replace those of Sockets. HostPart in them stands for the host. Empty: they don't.
	URLs     []string
	HostPart string
	// REST opens /api/turn, which asks for RESTKey; empty: for none.
	REST    bool
	RESTKey state.Secret
}

// Credentials a second and at once that are issued to one source.
const (
	issuesPerSecond = 5
	issueBurst      = 60
)

// Issuer hands out ICE servers. It implements signal.ICEIssuer.
type Issuer struct {
	o      Options
	issued *source.Limiter
	live   atomic.Pointer[Live]
	own    own
}

// New returns an issuer. Apply changes what it was given in live.
func New(o Options, live Live) *Issuer {
	if len(o.Naming) == 0 {
		o.Naming = make([]byte, 32)
		rand.Read(o.Naming) //nolint:errcheck // it never fails
	}
	i := &Issuer{o: o, issued: source.NewLimiter(issuesPerSecond, issueBurst)}
	i.Apply(live)
	return i
}

// Apply puts another configuration into force for what is handed out from now on.
func (i *Issuer) Apply(live Live) { i.live.Store(&live) }

// ICEServers implements signal.ICEIssuer.
func (i *Issuer) ICEServers(r signal.ICERequest) ([]signal.ICEServer, time.Time) {
	return i.servers(r.Host, cred.Hub, r.PeerID, r.Until)
}

// servers lists the ICE servers of this box, under the name by which the client has just reached
// it, with a credential of that class for id, which lives no longer than until; zero: as long as
// any. After that there is none.
func (i *Issuer) servers(hostHeader string, class cred.Class, id string, until time.Time) (list []signal.ICEServer,
	expires time.Time) {
	with, now := i.live.Load(), time.Now()
	stun, turn := i.urls(with, i.Host(hostHeader))
	expires = now.Add(with.TTL).Truncate(time.Second)
	if end := until.Truncate(time.Second); !until.IsZero() && end.Before(expires) {
		expires = end
	}
	if !expires.After(now) && !until.IsZero() {
		return stunServers(stun), time.Time{}
	}
	user, password := with.Keys.Mint(class, id, expires)
	list = stunServers(stun)
	if len(turn) > 0 {
		list = append(list, signal.ICEServer{URLs: turn, Username: user, Credential: password})
	}
	return list, expires
}

// stunServers is the list without a TURN server. It is never nil: clients want a list.
func stunServers(urls []string) []signal.ICEServer {
	if len(urls) == 0 {
		return []signal.ICEServer{}
	}
	return []signal.ICEServer{{URLs: urls}}
}

// urls lists where clients that reach this box as host find STUN and TURN.
func (i *Issuer) urls(with *Live, host string) (stun, turn []string) {
	if len(with.URLs) == 0 {
		if at := i.turnAddrs("udp", host); len(at) > 0 {
			stun = []string{"stun:" + at[0]}
		}
		return stun, i.turnURLs(host)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	for _, url := range with.URLs {
		to := &turn
		if strings.HasPrefix(url, "stun") {
			to = &stun
		}
		*to = append(*to, strings.ReplaceAll(url, with.HostPart, host))
	}
	return stun, turn
}

// URLs lists where clients elsewhere are told to find STUN and TURN.
func (i *Issuer) URLs() []string {
	stun, turn := i.urls(i.live.Load(), i.farHost("localhost"))
	return append(stun, turn...)
}

// turnURLs lists the transports in the order in which browsers should prefer them. It includes
// turns: only if clients can verify its certificate, since browsers refuse any other silently, and
// if others than a proxy on this machine reach it. Without an address to relay on there are none.
func (i *Issuer) turnURLs(host string) (urls []string) {
	if len(i.o.Relays()) == 0 {
		return nil
	}
	for _, transport := range []string{"udp", "tcp"} {
		for _, at := range i.turnAddrs(transport, host) {
			urls = append(urls, "turn:"+at+"?transport="+transport)
		}
	}
	if l := i.o.Sockets.Web(); l != nil && strictFirewallsPass(l.Addr().(*net.TCPAddr)) {
		urls = append(urls, "turn:"+net.JoinHostPort(host, netaddr.Port(l.Addr()))+"?transport=tcp")
	}
	if !i.o.Covers(host) {
		return urls
	}
	if l := i.o.Sockets.WebTLS(); l != nil && i.othersReach(host, l) {
		urls = append(urls, "turns:"+net.JoinHostPort(host, netaddr.Port(l.Addr()))+"?transport=tcp")
	}
	for _, at := range i.turnAddrs("tls", host) {
		urls = append(urls, "turns:"+at+"?transport=tcp")
	}
	return urls
}

// othersReach reports whether clients of that host reach a listener themselves, or only a proxy on
// this machine does.
func (i *Issuer) othersReach(host string, l net.Listener) bool {
	return i.o.Loopback || netaddr.IsLoopback(host) || !l.Addr().(*net.TCPAddr).IP.IsLoopback()
}

// strictFirewallsPass reports whether a port is one of the two that everybody may use.
func strictFirewallsPass(addr *net.TCPAddr) bool {
	return !addr.IP.IsLoopback() && (addr.Port == 80 || addr.Port == 443)
}

// Host returns the name or address for the ICE servers' URLs: public_host, or else the host of the
// page's own URL. It validates the Host header, since the client gets back what it wrote.
func (i *Issuer) Host(hostHeader string) string {
	if i.o.PublicHost != "" {
		return i.o.PublicHost
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
	case netaddr.ValidHost(host):
		return host
	}
	return i.o.Relays().Public().String()
}

// farHost returns the host at which clients find this box, if a server has asked under the name in
// its Host header: a loopback address works only for that server.
func (i *Issuer) farHost(hostHeader string) string {
	host := i.Host(hostHeader)
	if netaddr.IsLoopback(host) {
		return i.o.Relays().Public().String()
	}
	return host
}

// turnAddrs returns where a client that reaches this box as host finds TURN over a transport: at
// that host, on the ports of the services that cover it. If all are on other addresses than the
// page, it is the first one's own.
func (i *Issuer) turnAddrs(transport, host string) (out []string) {
	ip, err := netip.ParseAddr(host)
	elsewhere := ""
	for _, s := range i.o.Sockets.TURN() {
		switch at := net.JoinHostPort(host, strconv.Itoa(int(s.Addr.Port()))); {
		case s.Transport != transport, slices.Contains(out, at):
		case err != nil || netaddr.Covers(s.Addr, ip.Unmap()) || i.mapped(s.Addr, ip):
			out = append(out, at)
		case elsewhere == "":
			elsewhere = s.Addr.String()
		}
	}
	if len(out) == 0 && elsewhere != "" {
		return []string{elsewhere}
	}
	return out
}

// mapped reports whether ip is the public address of a relay whose local one is that of a service:
// 1:1 NAT.
func (i *Issuer) mapped(service netip.AddrPort, ip netip.Addr) bool {
	for _, r := range i.o.Relays() {
		if r.Public.IP == ip && netaddr.Covers(service, r.Bind.IP) {
			return true
		}
	}
	return false
}
