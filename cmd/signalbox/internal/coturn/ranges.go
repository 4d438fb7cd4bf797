package coturn

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// span is a range of addresses of one family, both ends included.
type span struct{ first, last netip.Addr }

// parseSpan reads "address", "first-last" or a network.
func parseSpan(text string) (s span, err error) {
	if network, err := netip.ParsePrefix(text); err == nil {
		network = network.Masked()
		return span{network.Addr(), lastOf(network)}, nil
	}
	first, last, ok := strings.Cut(text, "-")
	if !ok {
		last = first
	}
	if s.first, err = netip.ParseAddr(strings.TrimSpace(first)); err == nil {
		s.last, err = netip.ParseAddr(strings.TrimSpace(last))
	}
	if err == nil && (s.first.Is4() != s.last.Is4() || s.last.Less(s.first)) {
		err = fmt.Errorf("%q is no range of addresses", text)
	}
	return s, err
}

// lastOf is the last address of a network.
func lastOf(network netip.Prefix) netip.Addr {
	b := network.Addr().AsSlice()
	for i := network.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	ip, _ := netip.AddrFromSlice(b) // it is as long as it was
	return ip
}

// without returns what is left of s outside of the others.
func (s span) without(others []span) (left []span) {
	slices.SortFunc(others, func(a, b span) int { return a.first.Compare(b.first) })
	for _, o := range others {
		if o.first.Is4() != s.first.Is4() || o.last.Less(s.first) || s.last.Less(o.first) {
			continue
		}
		if s.first.Less(o.first) {
			left = append(left, span{s.first, o.first.Prev()})
		}
		if !o.last.Less(s.last) {
			return left
		}
		s.first = o.last.Next()
	}
	return append(left, s)
}

// networks are the fewest networks that make up s.
func (s span) networks() (all []netip.Prefix) {
	for at := s.first; at.IsValid() && !s.last.Less(at); {
		bits := at.BitLen()
		network := netip.PrefixFrom(at, bits)
		for bits > 0 {
			wider := netip.PrefixFrom(at, bits-1)
			if wider.Masked().Addr() != at || s.last.Less(lastOf(wider)) {
				break
			}
			bits--
			network = wider
		}
		all = append(all, network)
		at = lastOf(network).Next()
	}
	return all
}

// texts are the networks as a configuration has them.
func (s span) texts() (all []string) {
	for _, network := range s.networks() {
		all = append(all, network.String())
	}
	return all
}
