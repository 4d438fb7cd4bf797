package site

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"signalbox/internal/netaddr"
	"signalbox/internal/publicip"
)

// Sockets are the listeners that serve pages; nil: off.
type Sockets interface {
	Web() net.Listener
	WebTLS() net.Listener
}

// URLs knows under which URLs the start page is reached, and from where.
type URLs struct {
	Sockets    Sockets
	Relays     func() publicip.Relays
	PublicHost string // empty: the box has no name
	// Proxy is the origin under which a reverse proxy serves the pages to others; empty: none does.
	Proxy string
}

// OnThisMachine returns the start page's URL for a browser on this machine; empty: there is none.
func (u *URLs) OnThisMachine() string {
	l := u.Sockets.Web()
	if l == nil || !netaddr.Reaches(l, netip.AddrFrom4([4]byte{127, 0, 0, 1})) {
		return ""
	}
	return netaddr.Origin("http", "localhost", netaddr.Port(l.Addr())) + "/"
}

// ThroughProxy returns the start page's URL at a reverse proxy; empty if no proxy serves it.
func (u *URLs) ThroughProxy() string {
	if u.Proxy == "" {
		return ""
	}
	return u.Proxy + "/"
}

// Shared are the start page's URLs for other devices, plain http first. On loopback there are none.
func (u *URLs) Shared() []string {
	if u.Relays().Public().IsLoopback() {
		return nil
	}
	urls := []string{u.at("http", u.Sockets.Web()), u.HTTPS()}
	return slices.DeleteFunc(urls, func(url string) bool { return url == "" })
}

// Origin is the origin for other devices, at which browsers give camera and microphone to pages;
// empty if there is none. It has no slash at its end.
func (u *URLs) Origin() string {
	if u.Proxy != "" {
		return u.Proxy
	}
	if u.Relays().Public().IsLoopback() {
		return ""
	}
	return strings.TrimSuffix(u.HTTPS(), "/")
}

// HTTPS is the start page's URL on the TLS port; empty if others can't reach that.
func (u *URLs) HTTPS() string { return u.at("https", u.Sockets.WebTLS()) }

func (u *URLs) at(scheme string, l net.Listener) string {
	relays := u.Relays()
	if l == nil || !netaddr.Reaches(l, relays.Public()) &&
		(len(relays) == 0 || !netaddr.Reaches(l, relays[0].Bind.IP)) {
		return ""
	}
	host := relays.Public().String()
	if u.PublicHost != "" {
		host = u.PublicHost
	}
	return netaddr.Origin(scheme, host, netaddr.Port(l.Addr())) + "/"
}
