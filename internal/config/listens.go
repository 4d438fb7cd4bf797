package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"signalbox/internal/netaddr"
)

// Listen is an address to listen on. The zero Listen is off. The IPv6 unspecified address means
// every address of this machine, port 0 a port of the system's choice.
type Listen struct{ netip.AddrPort }

// On reports whether there is one.
func (l Listen) On() bool { return l.IsValid() }

// String is the address as it may be written.
func (l Listen) String() string {
	switch {
	case !l.On():
		return ""
	case l.Addr() == netip.IPv6Unspecified():
		return fmt.Sprint(":", l.Port())
	}
	return l.AddrPort.String()
}

// servesIPv4 reports whether IPv4 clients come to it.
func (l Listen) servesIPv4() bool { return l.Addr().Is4() || l.Addr() == netip.IPv6Unspecified() }

// UnmarshalTOML implements toml.Unmarshaler.
func (l *Listen) UnmarshalTOML(v any) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	if s == "" {
		*l = Listen{}
		return nil
	}
	at, err := netaddr.ParseListen(s)
	if err == nil {
		*l = Listen{at}
	}
	return err
}

// TURNListen is an address at which TURN listens over one transport: "udp", "tcp", "tls" or "dtls";
// empty: over UDP and TCP. TLS and DTLS are recognized on the ports of TCP and UDP, too.
type TURNListen struct {
	Listen
	Transport string
}

// String is the entry as it may be written.
func (l TURNListen) String() string {
	if l.Transport == "" {
		return l.Listen.String()
	}
	return l.Transport + "/" + l.Listen.String()
}

// OnUDP and OnTCP report whether it listens there.
func (l TURNListen) OnUDP() bool { return l.Transport != "tcp" && l.Transport != "tls" }

// OnTCP is described at OnUDP.
func (l TURNListen) OnTCP() bool { return l.Transport != "udp" && l.Transport != "dtls" }

// discovers reports whether NAT behavior discovery can be served there.
func (l TURNListen) discovers() bool { return l.servesIPv4() && l.OnUDP() }

func parseTURNListen(s string) (l TURNListen, err error) {
	if transport, at, ok := strings.Cut(s, "/"); ok {
		l.Transport, s = transport, at
		if err := oneOf(transport, turnTransports()...); err != nil {
			return l, err
		}
	}
	l.AddrPort, err = netaddr.ParseListen(s)
	return l, err
}

func turnTransports() []string { return []string{"udp", "tcp", "tls", "dtls"} }

// Listens is a list of them.
type Listens []TURNListen

// UnmarshalTOML implements toml.Unmarshaler.
func (l *Listens) UnmarshalTOML(v any) error {
	next, err := each(v, parseTURNListen)
	if err != nil {
		return err
	}
	return take(l, Listens(next))
}

func (l Listens) check() error {
	if len(l) == 0 || slices.ContainsFunc(l, func(at TURNListen) bool { return !at.On() }) {
		return errors.New(`want at least one entry, such as ":3478"`)
	}
	for _, at := range l {
		if err := oneOf(at.Transport, append(turnTransports(), "")...); err != nil {
			return err
		}
	}
	return nil
}

// over reports whether an entry names that transport.
func (l Listens) over(transport string) bool {
	return slices.ContainsFunc(l, func(at TURNListen) bool { return at.Transport == transport })
}

// listener is a port that the configuration has opened, on TCP unless it is one of TURN.
type listener struct {
	key string
	at  TURNListen
}

// String is the value as it may be written.
func (l listener) String() string {
	if l.key != "turn.listen" {
		return l.at.Listen.String()
	}
	return l.at.String()
}

// collides reports whether two listeners can't be bound both.
func (l listener) collides(other listener) bool {
	return l.at.Listen.collides(other.at.Listen) &&
		(l.at.OnUDP() && other.at.OnUDP() || l.at.OnTCP() && other.at.OnTCP())
}

// listeners lists what is listened on.
func (c *Config) listeners() (out []listener) {
	tcp := func(key string, at Listen, on bool) {
		if at.On() && on {
			out = append(out, listener{key, TURNListen{at, "tcp"}})
		}
	}
	tcp("web.listen", c.Web.Listen, true)
	tcp("web.tls_listen", c.Web.TLSListen, c.TLS.Mode != "off")
	tcp("metrics.listen", c.Metrics.Listen, true)
	tcp("compat.collider_listen", c.Compat.ColliderListen, true)
	for _, l := range c.TURN.Listen {
		out = append(out, listener{"turn.listen", l})
	}
	return out
}

// collides reports whether two listeners can't be bound both.
func (l Listen) collides(other Listen) bool {
	a, b := l.Addr(), other.Addr()
	switch {
	case l.Port() == 0 || l.Port() != other.Port():
		return false
	case a == b, a == netip.IPv6Unspecified(), b == netip.IPv6Unspecified():
		return true
	}
	return a.Is4() == b.Is4() && (a.IsUnspecified() || b.IsUnspecified())
}
