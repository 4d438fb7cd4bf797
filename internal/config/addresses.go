package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"signalbox/internal/netaddr"
)

// Prefixes is a list of addresses and networks.
type Prefixes []netip.Prefix

// UnmarshalTOML implements toml.Unmarshaler.
func (p *Prefixes) UnmarshalTOML(v any) error {
	next, err := each(v, netaddr.ParsePrefix)
	if err == nil {
		*p = next
	}
	return err
}

// AllowedPeers is a list of addresses and networks, each whole or with ports.
type AllowedPeers struct {
	Networks []netip.Prefix
	Ports    []netaddr.Ports
}

// UnmarshalTOML implements toml.Unmarshaler.
func (p *AllowedPeers) UnmarshalTOML(v any) error {
	in, err := list(v)
	if err != nil {
		return err
	}
	var next AllowedPeers
	for _, s := range in {
		ports, ok, err := netaddr.ParsePorts(s)
		if err != nil {
			return err
		}
		if ok {
			next.Ports = append(next.Ports, ports)
			continue
		}
		network, err := netaddr.ParsePrefix(s)
		if err != nil {
			return err
		}
		next.Networks = append(next.Networks, network)
	}
	*p = next
	return nil
}

// Addrs holds at most one address of each family.
type Addrs []netip.Addr

// UnmarshalTOML implements toml.Unmarshaler. An empty string means no address.
func (a *Addrs) UnmarshalTOML(v any) error {
	in, err := list(v)
	if err != nil {
		return err
	}
	next, err := oneOfEachFamily(slices.DeleteFunc(in, func(s string) bool { return s == "" }))
	if err == nil {
		*a = next
	}
	return err
}

func oneOfEachFamily(list []string) (out []netip.Addr, err error) {
	for _, s := range list {
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.IsUnspecified() || ip.Zone() != "" || ip.Is4In6() {
			return nil, fmt.Errorf("%q is not an IPv4 or IPv6 address", s)
		}
		for _, other := range out {
			if other.Is4() == ip.Is4() {
				return nil, fmt.Errorf("%s and %s: want one address of each family", other, ip)
			}
		}
		out = append(out, ip)
	}
	return out, nil
}

// PublicIP is the value of public_ip.
type PublicIP struct {
	Addrs []netip.Addr // at most one of each family
	Names []string     // that lead to such addresses
	Auto  bool         // a family without either is decided by the appliance
}

// UnmarshalTOML implements toml.Unmarshaler.
func (p *PublicIP) UnmarshalTOML(v any) error {
	in, err := list(v)
	if err != nil {
		return err
	}
	next := PublicIP{Auto: len(in) == 0}
	var literal []string
	for _, s := range in {
		_, notAddr := netip.ParseAddr(s)
		switch {
		case s == "auto":
			next.Auto = true
		case notAddr == nil:
			literal = append(literal, s)
		case netaddr.ValidHost(s):
			next.Names = append(next.Names, s)
		default:
			return fmt.Errorf(`%q is neither "auto" nor an address nor a host name: write "198.51.100.7", or a `+
				`name that leads to it`, s)
		}
	}
	if next.Addrs, err = oneOfEachFamily(literal); err != nil {
		return err
	}
	*p = next
	return nil
}

// Host is a host name or an address; empty: none.
type Host string

// UnmarshalTOML implements toml.Unmarshaler.
func (h *Host) UnmarshalTOML(v any) error {
	return choose(h, v)
}

func (h Host) check() error {
	if h != "" && !netaddr.ValidHost(string(h)) {
		return fmt.Errorf(`%q is not a host name or an address: write "call.example.org", without scheme and port `+
			`(a name with other than ASCII letters in its xn-- form)`, string(h))
	}
	return nil
}

// Server is a server, "host:port"; empty: none.
type Server string

// UnmarshalTOML implements toml.Unmarshaler.
func (s *Server) UnmarshalTOML(v any) error { return choose(s, v) }

func (s Server) check() error {
	if s == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(string(s))
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || n == 0 || !netaddr.ValidHost(host) {
		return fmt.Errorf(`%q is not a server: write "stun.example.org:3478"`, string(s))
	}
	return nil
}

// Alternate is the value of stun.alternate; the zero Alternate is off.
type Alternate struct{ netip.AddrPort }

// UnmarshalTOML implements toml.Unmarshaler.
func (a *Alternate) UnmarshalTOML(v any) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	if s == "" {
		*a = Alternate{}
		return nil
	}
	at, err := netip.ParseAddrPort(s)
	if err != nil || !at.Addr().Is4() || at.Addr().IsUnspecified() {
		return fmt.Errorf(`%q is not a second IPv4 address of this machine with a second port: write `+
			`"203.0.113.11:3479"`, s)
	}
	*a = Alternate{at}
	return nil
}

// Ports is a range of ports, both ends included.
type Ports struct{ First, Last uint16 }

func (p Ports) String() string { return fmt.Sprintf("%d-%d", p.First, p.Last) }

// Count is how many there are.
func (p Ports) Count() int { return int(p.Last) - int(p.First) + 1 }

// UnmarshalTOML implements toml.Unmarshaler.
func (p *Ports) UnmarshalTOML(v any) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	a, b, ok := strings.Cut(s, "-")
	first, err1 := strconv.ParseUint(strings.TrimSpace(a), 10, 16)
	last, err2 := strconv.ParseUint(strings.TrimSpace(b), 10, 16)
	next := Ports{uint16(first), uint16(last)}
	if !ok || err1 != nil || err2 != nil || next.check() != nil {
		return fmt.Errorf(`%q is not a range of ports: write "49152-65535"`, s)
	}
	*p = next
	return nil
}

func (p Ports) check() error {
	if p.First == 0 || p.Last < p.First {
		return fmt.Errorf(`%q is not a range of ports: write "49152-65535"`, p)
	}
	return nil
}
