//go:build !race

package turnsvc

import (
	"testing"

	"signalbox/turnsvc/internal/wire"
)

func TestSTUNAllocatesNothing(t *testing.T) {
	d := newDiscovery(t)
	conn := listenLoopback(t)
	src := wire.AddrPort(conn.LocalAddr())
	plain := newServer(t)
	buf := new(wire.Buffer)
	for name, tc := range map[string]struct {
		s     *Server
		in    *inlet
		frame []byte
	}{
		"Binding":         {plain, &inlet{}, bindingRequest()},
		"Binding refused": {plain, &inlet{}, bindingRequest(attr(wire.AttrChangeRequest, 0, 0, 0, 6))},
		"classic":         {plain, &inlet{}, classicRequest()},
		"classic refused": {plain, &inlet{}, classicRequest(0, 3, 0, 4, 0, 0, 0, 6)},
		"discovery":       {d.s, &inlet{corner: d.s.front.stun.corners.find(d.at[0][0])}, bindingRequest()},
		"discovery, another socket": {d.s, &inlet{corner: d.s.front.stun.corners.find(d.at[0][0])},
			bindingRequest(attr(wire.AttrChangeRequest, 0, 0, 0, 6))},
		"classic and another socket": {d.s, &inlet{corner: d.s.front.stun.corners.find(d.at[0][0])},
			classicRequest(0, 3, 0, 4, 0, 0, 0, 6)},
	} {
		l := newUDPLink(tc.s.core, listenLoopback(t))
		defer l.shut()
		tc.in.link = l
		if n := testing.AllocsPerRun(200, func() {
			tc.s.front.receive(tc.in, buf.Packet(copy(buf[wire.Headroom:], tc.frame)), src)
		}); n != 0 {
			t.Errorf("%s: %v allocations a packet", name, n)
		}
	}
}
