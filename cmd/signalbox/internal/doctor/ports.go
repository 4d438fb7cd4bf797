package doctor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"signalbox/internal/config"
	"signalbox/internal/edge"
)

// holder is a program that listens on a port.
type holder struct{ program, process, port string }

func (h holder) String() string {
	return fmt.Sprintf("%s (process %s) has port %s", h.program, h.process, h.port)
}

// Taken says which ports of the configuration other programs have.
func Taken(c config.Config) (out []string) {
	try := func(key, network string, at netip.AddrPort) {
		if !at.IsValid() {
			return
		}
		var err error
		if network == "tcp" {
			var l net.Listener
			if l, err = net.Listen(network, at.String()); err == nil {
				l.Close()
			}
		} else {
			var conn net.PacketConn
			if conn, err = net.ListenPacket(network, at.String()); err == nil {
				conn.Close()
			}
		}
		if !errors.Is(err, edge.ErrInUse) {
			return // what else is wrong shows by itself, or is the business of the service's own user
		}
		text := fmt.Sprintf("%s: port %d/%s is taken", key, at.Port(), network)
		for _, who := range holders(map[uint16]bool{at.Port(): true}) {
			if strings.HasSuffix(who.port, "/"+network) {
				text += " by " + who.program + " (process " + who.process + ")"
			}
		}
		out = append(out, text)
	}
	try("web.listen", "tcp", c.Web.Listen.AddrPort)
	if c.TLS.Mode != "off" {
		try("web.tls_listen", "tcp", c.Web.TLSListen.AddrPort)
	}
	for _, l := range c.TURN.Listen {
		if l.OnTCP() {
			try("turn.listen", "tcp", l.AddrPort)
		}
		if l.OnUDP() {
			try("turn.listen", "udp", l.AddrPort)
		}
	}
	return out
}

// portsOf are the ports that the configuration listens on.
func portsOf(c config.Config) map[uint16]bool {
	ports := map[uint16]bool{}
	ports[c.Web.Listen.Port()], ports[c.Web.TLSListen.Port()] = true, true
	for _, l := range c.TURN.Listen {
		ports[l.Port()] = true
	}
	delete(ports, 0)
	return ports
}
