package turnsvc

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
	"github.com/pion/transport/v4/packetio"

	"signalbox/turnsvc/internal/wire"
)

// TURN over DTLS (RFC 7350) shares the UDP port with plain TURN; the first byte tells them apart
// (RFC 7983). pion/dtls speaks the protocol. What it may be made to do by strangers is bounded
// here: it gets datagrams that look like what is due (dtls_record.go), and runs as many handshakes
// as it is allowed to (dtls_handshakes.go).
//
// Its server makes a random cookie for each connection, so that a ClientHello has to be remembered
// until its cookie comes back: until then for little, and one makes room for the next.

const (
	// dtlsQueue bounds what waits for pion to read it, of one client.
	dtlsQueue, dtlsQueueBytes = 64, 64 << 10
	// dtlsDatagram is what pion reads at a time; of a longer datagram it would take the first part
	// for the whole.
	dtlsDatagram = 8192
	// dtlsRecord is the most that a record carries (RFC 5246 §6.2.1).
	dtlsRecord = 1 << 14
)

// dtlsFront serves the DTLS clients of one UDP socket.
type dtlsFront struct {
	s    *Server
	conn *net.UDPConn
	wg   sync.WaitGroup // one for each pipe

	mu     sync.Mutex
	peers  map[netip.AddrPort]dtlsPeer
	closed bool
}

// dtlsPeer is what one client address has: an established connection, and a handshake of its own
// or, where the client has restarted, besides it. The old one ends when the new one has proven that
// it is the same client (RFC 6347 §4.2.8).
type dtlsPeer struct{ established, handshaking *dtlsPipe }

func newDTLSFront(s *Server, conn *net.UDPConn) *dtlsFront {
	return &dtlsFront{s: s, conn: conn, peers: map[netip.AddrPort]dtlsPeer{}}
}

// receive sends a datagram to the connection that it belongs to. It is called by the socket's
// reader, and waits for nothing.
func (f *dtlsFront) receive(datagram []byte, src netip.AddrPort) {
	kind := classifyDTLS(datagram)
	f.mu.Lock()
	peer := f.peers[src]
	if peer.handshaking == nil && kind == dtlsHello && !f.closed {
		peer.handshaking = f.open(src, peer)
	}
	f.mu.Unlock()
	taken := false
	if p := peer.handshaking; p != nil && (kind != dtlsData || peer.established == nil) {
		taken = p.take(kind, datagram)
	}
	if p := peer.established; p != nil && kind != dtlsHello {
		taken = p.take(kind, datagram) || taken
	}
	if !taken {
		f.s.counters.drop(dropDTLS)
	}
}

// open starts a handshake with src, if there is room for one. f.mu is held.
func (f *dtlsFront) open(src netip.AddrPort, peer dtlsPeer) *dtlsPipe {
	p := &dtlsPipe{front: f, peer: src, addr: net.UDPAddrFromAddrPort(src), in: packetio.NewBuffer()}
	p.in.SetLimitCount(dtlsQueue)
	p.in.SetLimitSize(dtlsQueueBytes)
	p.budget.Store(handshakeDatagrams)
	if !f.s.dtls.begin(p) {
		return nil
	}
	peer.handshaking = p
	f.peers[src] = peer
	f.wg.Go(func() { f.serve(p) })
	return p
}

// serve shakes hands and serves the client until the connection is over.
func (f *dtlsFront) serve(p *dtlsPipe) {
	defer f.forget(p)
	defer f.s.recovered("panic in a DTLS handshake")
	conn, err := f.handshake(p)
	if err != nil {
		f.s.counters.drop(dropHandshake)
		return
	}
	f.establish(p)
	f.s.ServeConn(dtlsConn{conn}, "dtls")
}

func (f *dtlsFront) handshake(p *dtlsPipe) (*dtls.Conn, error) {
	defer f.s.dtls.end(p)
	conn, err := dtls.ServerWithOptions(p, p.addr, f.s.dtls.options...)
	if err != nil {
		p.Close()
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// establish makes p the connection of its client, in place of an older one.
func (f *dtlsFront) establish(p *dtlsPipe) {
	p.budget.Store(retransmitDatagrams)
	p.established.Store(true)
	f.mu.Lock()
	old := f.peers[p.peer].established
	f.peers[p.peer] = dtlsPeer{established: p}
	f.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

func (f *dtlsFront) forget(p *dtlsPipe) {
	p.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	peer := f.peers[p.peer]
	if peer.established == p {
		peer.established = nil
	}
	if peer.handshaking == p {
		peer.handshaking = nil
	}
	if f.peers[p.peer] = peer; peer == (dtlsPeer{}) {
		delete(f.peers, p.peer)
	}
}

// close ends every connection and waits for them.
func (f *dtlsFront) close() {
	f.mu.Lock()
	f.closed = true
	for _, peer := range f.peers {
		for _, p := range []*dtlsPipe{peer.established, peer.handshaking} {
			if p != nil {
				p.Close()
			}
		}
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// dtlsPipe is one client's share of the UDP socket, as the net.PacketConn that pion reads and
// writes.
type dtlsPipe struct {
	front *dtlsFront
	peer  netip.AddrPort
	addr  *net.UDPAddr // of peer
	in    *packetio.Buffer

	budget      atomic.Int32 // datagrams that may yet come of a handshake
	established atomic.Bool
}

// take queues a datagram for pion, unless the connection has no use for it.
func (p *dtlsPipe) take(kind dtlsKind, datagram []byte) bool {
	limit := dtlsDatagram
	switch established := p.established.Load(); {
	case kind == dtlsOther:
		return false
	case kind == dtlsPlain && established:
		// Alerts and data that nobody has signed: pion would believe them.
		return false
	case (kind != dtlsData || !established) && p.budget.Add(-1) < 0:
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
func (p *dtlsPipe) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := p.in.Read(b)
	if errors.Is(err, io.EOF) {
		err = net.ErrClosed
	}
	return n, p.addr, err
}

// WriteTo implements net.PacketConn. It does not wait for the client.
func (p *dtlsPipe) WriteTo(b []byte, _ net.Addr) (int, error) {
	if isServerHello(b) {
		p.front.s.dtls.proven(p)
	}
	return p.front.conn.WriteToUDPAddrPort(b, p.peer)
}

// Close ends the connection; pion's reads fail from then on, and the socket stays open for the
// others.
func (p *dtlsPipe) Close() error { return p.in.Close() }

func (p *dtlsPipe) LocalAddr() net.Addr               { return p.front.conn.LocalAddr() }
func (p *dtlsPipe) SetReadDeadline(t time.Time) error { return p.in.SetReadDeadline(t) }
func (p *dtlsPipe) SetWriteDeadline(time.Time) error  { return nil }
func (p *dtlsPipe) SetDeadline(t time.Time) error     { return p.in.SetReadDeadline(t) }

// dtlsConn is a connection whose timeouts are those of package os, as everywhere else.
type dtlsConn struct{ *dtls.Conn }

func (c dtlsConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// readRecords reads a DTLS connection, where each record is a frame (RFC 7350 §3), until it ends or
// stalls.
func (l *streamLink) readRecords() {
	in := &inlet{link: l}
	buf := make([]byte, wire.Headroom+dtlsDatagram+wire.Tailroom)
	timeout := l.s.streams.firstFrame
	for {
		if l.conn.SetReadDeadline(time.Now().Add(timeout)) != nil {
			return
		}
		n, err := l.conn.Read(buf[wire.Headroom : wire.Headroom+dtlsDatagram])
		switch a := l.a.Load(); {
		case err == nil:
			l.s.receive(in, wire.Packet{Buf: buf, Off: wire.Headroom, N: n}, l.peer)
		case a == nil || !a.live(l.s.clock.now()) || !errors.Is(err, os.ErrDeadlineExceeded):
			return
		}
		timeout = l.s.streams.idle
	}
}

// dtlsOptions are those of every connection.
func dtlsOptions(certificate func(serverName string) (*tls.Certificate, error), log logging.LoggerFactory) []dtls.ServerOption {
	return []dtls.ServerOption{
		dtls.WithGetCertificate(func(hello *dtls.ClientHelloInfo) (*tls.Certificate,
			error) {
			return certificate(hello.ServerName)
		}),
		dtls.WithCipherSuites(
			dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			dtls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, dtls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
			dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, dtls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		),
		dtls.WithFlightInterval(handshakeTime / 4),
		dtls.WithLoggerFactory(log),
	}
}
