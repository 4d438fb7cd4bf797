package dtls

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/transport/v4/packetio"
)

// pipe is one client's share of the UDP socket, as the net.PacketConn that pion reads and
// writes.
type pipe struct {
	front *Front
	peer  netip.AddrPort
	addr  *net.UDPAddr // of peer
	in    *packetio.Buffer

	budget      atomic.Int32 // datagrams that may yet come of a handshake
	established atomic.Bool
	leave       func() // gives back its place among those of its source; guarded by handshakes.mu
}

func newPipe(f *Front, src netip.AddrPort) *pipe {
	p := &pipe{front: f, peer: src, addr: net.UDPAddrFromAddrPort(src), in: packetio.NewBuffer()}
	p.in.SetLimitCount(queueLimit)
	p.in.SetLimitSize(queueBytes)
	p.budget.Store(handshakeDatagrams)
	return p
}

// take queues a datagram for pion, unless the connection has no use for it.
func (p *pipe) take(kind kind, datagram []byte) bool {
	limit := MaxDatagram
	switch established := p.established.Load(); {
	case kind == other:
		return false
	case kind == plain && established:
		// Alerts and data that nobody has signed: pion would believe them.
		return false
	case (kind != data || !established) && p.budget.Add(-1) < 0:
		return false
	case !established:
		limit = handshakeDatagram
	}
	if len(datagram) > limit {
		return false
	}
	_, err := p.in.Write(datagram)
	return err == nil
}

// ReadFrom implements net.PacketConn.
func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := p.in.Read(b)
	if errors.Is(err, io.EOF) {
		err = net.ErrClosed
	}
	return n, p.addr, err
}

// WriteTo implements net.PacketConn. It does not wait; what can't be sent is lost, as it may be on
// the way.
func (p *pipe) WriteTo(b []byte, _ net.Addr) (int, error) {
	if isServerHello(b) {
		p.front.s.handshakes.proven(p)
	}
	p.front.send(b, p.peer, p.established.Load())
	return len(b), nil
}

// Close ends the connection; pion's reads fail from then on, and the socket stays open for the
// others.
func (p *pipe) Close() error { return p.in.Close() }

func (p *pipe) LocalAddr() net.Addr               { return p.front.at }
func (p *pipe) SetReadDeadline(t time.Time) error { return p.in.SetReadDeadline(t) }
func (p *pipe) SetWriteDeadline(time.Time) error  { return nil }
func (p *pipe) SetDeadline(t time.Time) error     { return p.in.SetReadDeadline(t) }

// conn is a connection whose timeouts are package os's, as everywhere else.
type conn struct{ *dtls.Conn }

func (c conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}
