// Package dtls serves DTLS clients on a UDP socket that also gets plain datagrams; the first byte
// tells them apart (RFC 7983). pion/dtls speaks the protocol in its own goroutines, where we can't
// recover a panic. So this package bounds what strangers can make it do: pion gets only datagrams
// that look like what is due (record.go), in a limited number of handshakes (handshakes.go).
//
// pion's server makes a random cookie for each connection, and has no hook for one of ours. So the
// package must remember a ClientHello until its cookie comes back. It does so for a short time;
// when all places are taken, one makes room for the next.
package dtls

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
)

const (
	// queueLimit and queueBytes bound one client's datagrams that wait for pion to read them.
	queueLimit, queueBytes = 64, 64 << 10
	// MaxDatagram is what pion reads at a time, in bytes; it would take the first part of a longer
	// datagram for the whole.
	MaxDatagram = 8192
	// MaxRecord is the most that a record carries, in bytes (RFC 5246 §6.2.1).
	MaxRecord = 1 << 14
)

// Options configure a Server.
type Options struct {
	// Certificate returns the certificate for a server name, which may be empty.
	Certificate func(serverName string) (*tls.Certificate, error)
	// Serve serves an established connection, which it owns, until that is over.
	Serve func(conn net.Conn)
	// Safely runs f, and recovers and counts a panic in it. what names f in the log.
	Safely func(what string, f func())
	// Dropped is called for a datagram that belongs to no connection, is out of place, or finds no
	// room; Failed for a handshake that failed or took too long.
	Dropped, Failed func()
	Log             logging.LoggerFactory
	Now             func() time.Time
}

// Server is what the fronts of all sockets share: the options, and the handshakes under way.
type Server struct {
	o          Options
	options    []dtls.ServerOption
	handshakes *handshakes
}

// NewServer makes a server. It starts nothing.
func NewServer(o Options) *Server {
	return &Server{o: o, options: serverOptions(&o), handshakes: newHandshakes(o.Now)}
}

// Front serves the DTLS clients of one UDP socket.
type Front struct {
	s    *Server
	at   net.Addr
	send Send
	wg   sync.WaitGroup // one for each pipe

	mu     sync.Mutex
	peers  map[netip.AddrPort]peer
	closed bool
}

// peer holds the connections of one client address: an established connection, and a handshake,
// which a restarted client has besides it. The old connection ends when the new one has proven that
// it is the same client (RFC 6347 §4.2.8).
type peer struct{ established, handshaking *pipe }

// Send sends a datagram from a front's socket without waiting. established: the client has shaken
// hands; without that, anybody can have asked for what is sent to them.
type Send func(datagram []byte, to netip.AddrPort, established bool)

// NewFront returns a front of the socket at that address, whose owner passes what it reads to
// Receive.
func (s *Server) NewFront(at net.Addr, send Send) *Front {
	return &Front{s: s, at: at, send: send, peers: map[netip.AddrPort]peer{}}
}

// Receive sends a datagram to the connection that it belongs to. It waits for nothing.
func (f *Front) Receive(datagram []byte, src netip.AddrPort) {
	kind := classify(datagram)
	f.mu.Lock()
	known := f.peers[src]
	if known.handshaking == nil && kind == hello && !f.closed {
		known.handshaking = f.begin(src, known)
	}
	f.mu.Unlock()
	taken := false
	if p := known.handshaking; p != nil && (kind != data || known.established == nil) {
		taken = p.take(kind, datagram)
	}
	if p := known.established; p != nil && kind != hello {
		taken = p.take(kind, datagram) || taken
	}
	if !taken {
		f.s.o.Dropped()
	}
}

// begin starts a handshake with src, if there is room for one. f.mu is held.
func (f *Front) begin(src netip.AddrPort, known peer) *pipe {
	p := newPipe(f, src)
	if !f.s.handshakes.begin(p) {
		return nil
	}
	known.handshaking = p
	f.peers[src] = known
	f.wg.Go(func() {
		defer f.forget(p)
		f.s.o.Safely("panic in a DTLS handshake", func() { f.serve(p) })
	})
	return p
}

// serve shakes hands and serves the client until the connection is over.
func (f *Front) serve(p *pipe) {
	c, err := f.handshake(p)
	if err != nil {
		f.s.o.Failed()
		return
	}
	f.establish(p)
	f.s.o.Serve(conn{c})
}

func (f *Front) handshake(p *pipe) (*dtls.Conn, error) {
	defer f.s.handshakes.end(p)
	c, err := dtls.ServerWithOptions(p, p.addr, f.s.options...)
	if err != nil {
		p.Close()
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// establish makes p the connection of its client, in place of an older one.
func (f *Front) establish(p *pipe) {
	p.budget.Store(retransmitDatagrams)
	p.established.Store(true)
	f.mu.Lock()
	old := f.peers[p.peer].established
	f.peers[p.peer] = peer{established: p}
	f.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

func (f *Front) forget(p *pipe) {
	p.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.peers[p.peer]
	if known.established == p {
		known.established = nil
	}
	if known.handshaking == p {
		known.handshaking = nil
	}
	if f.peers[p.peer] = known; known == (peer{}) {
		delete(f.peers, p.peer)
	}
}

// Close ends every connection and waits for them.
func (f *Front) Close() {
	f.mu.Lock()
	f.closed = true
	for _, known := range f.peers {
		for _, p := range []*pipe{known.established, known.handshaking} {
			if p != nil {
				p.Close()
			}
		}
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// serverOptions returns the options of every connection.
func serverOptions(o *Options) []dtls.ServerOption {
	certificate := o.Certificate
	return []dtls.ServerOption{
		dtls.WithGetCertificate(func(hello *dtls.ClientHelloInfo) (*tls.Certificate, error) {
			return certificate(hello.ServerName)
		}),
		dtls.WithCipherSuites(
			dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			dtls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, dtls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
			dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, dtls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		),
		dtls.WithFlightInterval(handshakeTime / 4),
		dtls.WithLoggerFactory(o.Log),
	}
}
