package turnsvc

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"time"

	"signalbox/turnsvc/internal/wire"
)

// inlet is what one reading goroutine owns: the link that its frames come in on, and room to decode
// and answer one frame without heap allocations.
type inlet struct {
	link   link
	corner *corner    // nil: no NAT behavior discovery here
	dtls   *dtlsFront // nil: no DTLS here
	// stunOnly: TURN is not served here.
	stunOnly bool

	msg     wire.Message
	scratch [256]byte
}

// maxMessage is the longest STUN message that is looked at, in bytes, but for Send indications,
// which carry data: to verify a signature costs time for each byte, and an honest request is far
// shorter.
const maxMessage = 4 << 10

// receive takes one look at a frame and sends it where it belongs. It never panics: what it runs is
// recovered and counted, since its input comes from strangers. src is the client's transport
// address.
func (s *Server) receive(in *inlet, p wire.Packet, src netip.AddrPort) {
	defer s.recovered("panic on a frame")
	frame := p.Data()
	if len(frame) < 4 {
		s.counters.drop(dropMalformed)
		return
	}
	switch typ := uint16(frame[0])<<8 | uint16(frame[1]); {
	case in.dtls != nil && frame[0] >= firstDTLS && frame[0] <= lastDTLS:
		in.dtls.receive(frame, src)
	case typ >= wire.FirstChannel && typ <= wire.LastChannel:
		s.channelData(in.link.allocation(src), p, s.clock.now())
	case typ == wire.MethodSend|wire.ClassIndication:
		s.sendIndication(in.link.allocation(src), p, s.clock.now())
	case wire.IsClassicBinding(frame):
		s.classicBinding(in, src, frame)
	case len(frame) > maxMessage || !in.msg.Decode(frame):
		s.counters.drop(dropMalformed)
	case in.msg.Class == wire.ClassRequest && in.msg.Method == wire.MethodBinding:
		s.binding(in, src)
	case in.stunOnly:
		s.counters.drop(dropMalformed)
	case in.msg.Class == wire.ClassRequest:
		s.gate(in, src)
	case in.msg.Class == wire.ClassIndication && in.msg.Method == wire.MethodBinding:
		// A keepalive (RFC 8445 §11). Nothing to do.
	default:
		s.counters.drop(dropMalformed)
	}
}

// receivePeer is receive for a datagram that came to a's relay socket.
func (s *Server) receivePeer(a *allocation, p wire.Packet, from netip.AddrPort) {
	defer s.recovered("panic on a peer's datagram")
	a.fromPeer(p, from, a.clock.now())
}

// recovered, deferred, keeps what went wrong over one frame, stream or request from ending
// everybody's calls.
func (s *Server) recovered(what string) {
	if v := recover(); v != nil {
		s.counters.drop(dropPanic)
		s.log.Error(what, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
}

// packetLink is a UDP socket that is bound to one local address: pion, and we, know a client by its
// source and that address.
type packetLink struct {
	conn    *net.UDPConn
	addr    netip.AddrPort
	clients *table
	s       *Server
}

func (l *packetLink) send(frame []byte, to netip.AddrPort) {
	if _, err := l.conn.WriteToUDPAddrPort(frame, to); err != nil {
		l.s.counters.drop(dropWriteFailed)
	}
}

func (l *packetLink) stream() bool                                    { return false }
func (l *packetLink) transport() string                               { return "udp" }
func (l *packetLink) local() netip.AddrPort                           { return l.addr }
func (l *packetLink) allocation(src netip.AddrPort) *allocation       { return l.clients.get(src) }
func (l *packetLink) setAllocation(src netip.AddrPort, a *allocation) { l.clients.set(src, a) }

// ServePacket serves TURN and STUN on a UDP socket until that is closed. The socket is bound to one
// address, not to a wildcard: the answer must leave from where the request came in. The caller owns
// conn.
func (s *Server) ServePacket(conn *net.UDPConn) error { return s.servePacket(conn, false) }

func (s *Server) servePacket(conn *net.UDPConn, stunOnly bool) error {
	addr, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok || addr.IP.IsUnspecified() {
		return fmt.Errorf("serve turn on udp %v: want a socket bound to one address", conn.LocalAddr())
	}
	l := &packetLink{conn: conn, addr: wire.Unmap(addr.AddrPort()), clients: newTable(), s: s}
	in := &inlet{link: l, corner: s.corner(l.addr), stunOnly: stunOnly}
	if s.dtls != nil && !stunOnly {
		in.dtls = newDTLSFront(s, conn)
		defer in.dtls.close()
	}
	b := new(wire.Buffer)
	for {
		n, src, err := conn.ReadFromUDPAddrPort(b.Room())
		switch {
		case err == nil:
			s.receive(in, b.Packet(n), wire.Unmap(src))
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			// One bad datagram, or an ICMP error of an earlier answer, is no reason to stop serving
			// everyone.
			time.Sleep(time.Millisecond)
		}
	}
}
