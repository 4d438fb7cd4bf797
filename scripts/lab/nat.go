//go:build linux

package lab

import (
	"fmt"
	"strings"
)

// A NAT is the way in which a lab's router treats its client. The terms for
// mapping and filtering are those of RFC 4787 §4.1 and §5.
type NAT string

const (
	// PortRestricted maps endpoint-independently and filters by address and
	// port: the usual home router. Hole punching works unless the other side is
	// symmetric.
	PortRestricted NAT = "port"
	// AddressRestricted maps endpoint-independently and filters by address.
	AddressRestricted NAT = "addr"
	// FullCone maps and filters endpoint-independently.
	FullCone NAT = "fullcone"
	// Hairpin is a full cone that also lets its client reach itself by the
	// public address (RFC 4787 §6).
	Hairpin NAT = "hairpin"
	// Symmetric maps by address and port: every destination sees another port.
	// Two of these can't be punched; their clients meet at a relay only.
	Symmetric NAT = "symmetric"
	// UDPBlocked lets TCP out and drops UDP, as guest networks do.
	UDPBlocked NAT = "udpblock"
	// TCP443Only lets out nothing but TCP to ports 80 and 443, as strict
	// company networks do.
	TCP443Only NAT = "tcp443"
)

// NATs returns every mode.
func NATs() []NAT {
	return []NAT{PortRestricted, AddressRestricted, FullCone, Hairpin, Symmetric, UDPBlocked, TCP443Only}
}

// ruleset returns the nftables rules of a NAT between the interfaces lan and
// wan, for one client. It replaces whatever was loaded.
func (mode NAT) ruleset(client, public string) (string, error) {
	var mangle, pre, forward string
	masquerade := "oifname wan masquerade"
	switch mode {
	case PortRestricted:
	case AddressRestricted:
		mangle = `set seen { type ipv4_addr; flags dynamic,timeout; timeout 60s; }
  chain mangle { type filter hook forward priority -150; oifname wan meta l4proto udp update @seen { ip daddr }; }`
		pre = "iifname wan ip saddr @seen udp dport 1024-65535 dnat to " + client
	case FullCone:
		pre = "iifname wan udp dport 1024-65535 dnat to " + client
	case Hairpin:
		pre = fmt.Sprintf("iifname { wan, lan } ip daddr %s udp dport 1024-65535 dnat to %s", public, client)
	case Symmetric:
		// The second rule is for TCP: the first one alone would send it out unmapped.
		masquerade = "oifname wan meta l4proto udp masquerade random,fully-random; " + masquerade
	case UDPBlocked:
		forward = "iifname lan meta l4proto udp drop;"
	case TCP443Only:
		forward = "iifname lan meta l4proto udp drop; iifname lan tcp dport != { 80, 443 } drop; iifname lan meta " +
			"l4proto icmp drop;"
	default:
		return "", fmt.Errorf("no NAT mode %q (there are %v)", mode, NATs())
	}
	// The drop in chain inp keeps an unsolicited packet from the outside from
	// claiming a mapping on the router itself; the client's next flow would then
	// get another port, and a cone NAT would look symmetric.
	return strings.NewReplacer("MANGLE", mangle, "PRE", pre, "FORWARD", forward, "MASQUERADE", masquerade).Replace(`
flush ruleset
table ip nat {
  MANGLE
  chain pre  { type nat hook prerouting priority dstnat; PRE; }
  chain post { type nat hook postrouting priority srcnat; MASQUERADE; oifname lan iifname lan masquerade; }
}
table ip filter {
  chain inp  { type filter hook input priority 0; policy accept; iifname wan ct state new drop; }
  chain forw {
    type filter hook forward priority 0; policy drop;
    FORWARD ct state established,related accept; iifname lan accept; ct status dnat accept;
  }
}
`), nil
}

// oneToOne returns the nftables rules of a router that maps one inner host to
// one outer address, port by port and for whoever asks.
func oneToOne(inside, public string) string {
	return strings.NewReplacer("INSIDE", inside, "PUBLIC", public).Replace(`
flush ruleset
table ip nat {
  chain pre  { type nat hook prerouting priority dstnat; iifname wan ip daddr PUBLIC dnat to INSIDE; }
  chain post { type nat hook postrouting priority srcnat; oifname wan ip saddr INSIDE snat to PUBLIC; }
}
table ip filter {
  chain inp  { type filter hook input priority 0; policy accept; ip protocol { tcp, udp } drop; }
}
`)
}
