package turnsvc

import (
	"fmt"
	"net"
	"net/netip"

	"signalbox/turnsvc/internal/dtls"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// front looks once at each frame from a client, over UDP or a stream, and passes it on.
type front struct {
	*core
	gate *gate
	stun *responder
	dtls *dtls.Server // nil: no DTLS

	pulses pulses
}

// maxMessage is the longest STUN message that the front accepts, in bytes, except for Send
// indications, which carry data. Verifying a signature costs time for each byte, and an honest
// request is far shorter.
const maxMessage = 4 << 10

// receive never panics: strangers send its input, so it recovers what it runs. src is the client's
// transport address.
func (f *front) receive(in *inlet, p wire.Packet, src netip.AddrPort) {
	defer f.recovered("panic on a frame")
	frame := p.Data()
	if len(frame) < 4 {
		f.counters.drop(dropMalformed)
		return
	}
	switch typ := uint16(frame[0])<<8 | uint16(frame[1]); {
	case in.dtls != nil && dtls.Claims(frame[0]):
		in.dtls.Receive(frame, src)
	case wire.IsChannel(typ):
		f.carry(channelData, in, p, src)
	case typ == wire.MethodSend|wire.ClassIndication:
		f.carry(sendIndication, in, p, src)
	case wire.IsClassicBinding(frame):
		if f.stun.due(in, src) {
			f.stun.classicBinding(in, src, frame)
		}
	case len(frame) > maxMessage || !in.msg.Decode(frame):
		f.counters.drop(dropMalformed)
	case in.msg.Class == wire.ClassRequest && in.msg.Method == wire.MethodBinding:
		if f.stun.due(in, src) {
			f.stun.binding(in, src)
		}
	case in.stunOnly:
		f.counters.drop(dropMalformed)
	case in.msg.Class == wire.ClassRequest:
		f.gate.receive(in, src)
	case in.msg.Class == wire.ClassIndication && in.msg.Method == wire.MethodBinding:
		// A keepalive (RFC 8445 §11). Nothing to do.
	default:
		f.counters.drop(dropMalformed)
	}
}

// carry has the lane carry the data of one frame, as a run of one.
func (f *front) carry(how func(*counters, *allocation, wire.Run, int64), in *inlet, p wire.Packet, src netip.AddrPort) {
	in.single[0] = wire.Datagram{Packet: p, From: src}
	how(f.counters, in.link.allocation(src), in.single[:], f.clock.now())
	in.single[0] = wire.Datagram{} // it keeps no buffer
}

// receiveAll takes what a UDP socket has got. Most of what a call sends comes in runs.
func (f *front) receiveAll(in *inlet, list []wire.Datagram) {
	for len(list) > 0 {
		run := wire.ChannelRun(wire.NextRun(list))
		list = list[len(run):]
		if len(run) > 1 {
			f.receiveRun(in, run)
			continue
		}
		f.receive(in, run[0].Packet, run[0].From)
	}
}

// receiveRun is receive for ChannelData of one channel.
func (f *front) receiveRun(in *inlet, run wire.Run) {
	defer f.recovered("panic on a run of frames")
	channelData(f.counters, in.link.allocation(run[0].From), run, f.clock.now())
}

// serveUDP is Server.ServePacket and Server.ServeSTUN.
func (f *front) serveUDP(conn *net.UDPConn, stunOnly bool) error {
	addr, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok || addr.IP.IsUnspecified() {
		return fmt.Errorf("serve turn on udp %v: want a socket bound to one address", conn.LocalAddr())
	}
	in := &inlet{corner: f.stun.corners.find(wire.Unmap(addr.AddrPort())), stunOnly: stunOnly}
	var l *udpLink
	if c := in.corner; c != nil && c.conn == conn {
		l = c.link
	} else {
		l = newUDPLink(f.core, conn) // also for another socket of a corner's address
	}
	defer l.shut()
	in.link = l
	if f.dtls != nil && !stunOnly {
		in.dtls = f.dtls.NewFront(conn.LocalAddr(), func(b []byte, to netip.AddrPort, established bool) {
			if established {
				l.send(b, to)
			} else {
				l.answer(b, to)
			}
		})
		defer in.dtls.Close()
	}
	pulse, remove := f.pulses.add()
	defer remove()
	socket.Read(conn, f.faults, func(list []wire.Datagram) {
		pulse.Begin()
		f.receiveAll(in, list)
		pulse.End()
	})
	return nil
}

// udpLink is a UDP socket bound to one local address: the source and that address identify a
// client. Answers to strangers have a send buffer of their own: strangers may ask from addresses
// that nobody has.
type udpLink struct {
	calls, strangers *socket.Outlet
	addr             netip.AddrPort
	clients          *clients
	counters         *counters
}

func newUDPLink(c *core, conn *net.UDPConn) *udpLink {
	return &udpLink{
		addr: wire.AddrPort(conn.LocalAddr()), clients: newClients(), counters: c.counters,
		calls: socket.NewOutlet(conn, c.neighbors), strangers: socket.NewOutlet(conn, c.neighbors),
	}
}

// shut gives back what it sends through.
func (l *udpLink) shut() {
	l.calls.Close()
	l.strangers.Close()
}

func (l *udpLink) send(frame []byte, to netip.AddrPort) {
	l.counters.unsent(1, l.calls.Send(frame, to))
}

func (l *udpLink) data(frame []byte, to netip.AddrPort) bool {
	err := l.calls.Send(frame, to)
	l.counters.unsent(1, err)
	return err == nil
}

func (l *udpLink) run(run wire.Run, number uint16, to netip.AddrPort, limit *socket.RunLimit) (
	packets, bytes int, ok bool,
) {
	packets, bytes, err := l.calls.SendRun(run, number, to, limit)
	l.counters.unsent(len(run)-packets, err)
	return packets, bytes, true
}

func (l *udpLink) answer(frame []byte, to netip.AddrPort) {
	l.counters.unsent(1, l.strangers.Send(frame, to))
}

func (l *udpLink) padded() bool                                    { return false }
func (l *udpLink) transport() string                               { return "udp" }
func (l *udpLink) local() netip.AddrPort                           { return l.addr }
func (l *udpLink) closed() bool                                    { return false }
func (l *udpLink) close()                                          {}
func (l *udpLink) answered()                                       {}
func (l *udpLink) allocation(src netip.AddrPort) *allocation       { return l.clients.get(src) }
func (l *udpLink) setAllocation(src netip.AddrPort, a *allocation) { l.clients.set(src, a) }
