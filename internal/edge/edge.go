// Package edge owns every listening socket, and tells protocols apart on the ports that several
// share.
package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"signalbox/internal/netaddr"
	"signalbox/internal/nonblock"
	"signalbox/internal/source"
)

// Options say what to listen on. A zero AddrPort is off; port 0 leaves the port to the system; the
// IPv6 unspecified address is every address of this machine.
type Options struct {
	Web     netip.AddrPort // http, WebSocket, TURN over TCP
	WebTLS  netip.AddrPort // https, WebSocket, TURN over TLS; off without TLS
	Metrics netip.AddrPort
	// Collider speaks HTTP for the dialect AppRTC alone.
	Collider netip.AddrPort
	TURN     []Service
	// Discovery adds the sockets of NAT behavior discovery; nil: off.
	Discovery *Discovery

	TLS *tls.Config // nil: none
	// Proxies are reverse proxies. ProxyHeader: their connections begin with a PROXY header.
	Proxies     source.Proxies
	ProxyHeader bool
	// Connections counts the connections of the two web ports, except those of proxies and of this
	// machine.
	Connections *source.Crowd
	// Local lists this machine's addresses, each of which has its own UDP sockets; nil:
	// netaddr.Local. Changed tells that some may have come or gone (DHCP at boot, a VPN).
	Local   func() ([]netip.Addr, error)
	Changed <-chan struct{}
	Log     *slog.Logger
}

// Service is TURN at an address, over one transport: "udp", "tcp", "tls" or "dtls". A listener over
// "" is two, UDP and TCP on one port.
type Service struct {
	Transport string
	Addr      netip.AddrPort
}

// TCP reports whether it listens on TCP.
func (s Service) TCP() bool { return s.Transport != "udp" && s.Transport != "dtls" }

// UDP reports whether it listens on UDP.
func (s Service) UDP() bool { return s.Transport != "tcp" && s.Transport != "tls" }

// turnListener is a TCP port of TURN.
type turnListener struct {
	net.Listener
	tls bool // and nothing else
}

// TURN serves the connections and sockets of the TURN server. Each method whose name begins with
// Serve returns when it is done with its connection or socket.
type TURN interface {
	ServeConn(conn net.Conn, transport string)
	ServePacket(conn *net.UDPConn) error
	ServeSTUN(conn *net.UDPConn) error
	// UDPInUse are the addresses of sockets over which clients with allocations come.
	UDPInUse() map[netip.AddrPort]bool
}

// Edge holds the sockets: Bind, Serve, Close.
type Edge struct {
	o Options

	// Set in Bind.
	web, webTLS, metrics, collider net.Listener // nil: off
	turnTCP                        []turnListener
	turn                           []Service // what is bound
	corners                        *[2][2]*net.UDPConn

	// Owned by Bind, then by Serve.
	wildcard []uint16                          // TURN ports on every address of the machine
	roaming  map[netip.AddrPort][]*net.UDPConn // the sockets of those ports
	failed   map[netip.AddrPort]bool           // to bind, and it was said

	mu     sync.Mutex
	udp    []*net.UDPConn // all TURN sockets
	stun   []*net.UDPConn // sockets that serve only STUN
	closed bool
}

// New opens nothing yet.
func New(o Options) *Edge {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Local == nil {
		o.Local = netaddr.Local
	}
	return &Edge{o: o}
}

// Web, WebTLS, Metrics and Collider return the listeners of those ports, for their addresses; nil:
// off.
func (e *Edge) Web() net.Listener      { return e.web }
func (e *Edge) WebTLS() net.Listener   { return e.webTLS }
func (e *Edge) Metrics() net.Listener  { return e.metrics }
func (e *Edge) Collider() net.Listener { return e.collider }

// HTTPSPort returns the port of the TLS listener, 0 if there is none.
func (e *Edge) HTTPSPort() int {
	if e.webTLS == nil {
		return 0
	}
	return e.webTLS.Addr().(*net.TCPAddr).Port
}

// Socket returns a web port that the edge listens on; the zero AddrPort if there is none.
func (e *Edge) Socket() netip.AddrPort {
	for _, l := range []net.Listener{e.webTLS, e.web} {
		if l != nil {
			return l.Addr().(*net.TCPAddr).AddrPort()
		}
	}
	return netip.AddrPort{}
}

// TURN are the services that are bound, each over one transport, in the order of Options.TURN.
func (e *Edge) TURN() []Service { return e.turn }

// Corners returns the four sockets of NAT behavior discovery, by address and by port, the usual
// ones first; nil: it is off.
func (e *Edge) Corners() *[2][2]*net.UDPConn { return e.corners }

// Bind opens every socket, or none. If the system chooses a TURN port, the one that it gave for TCP
// may be taken for UDP; then Bind asks for another.
func (e *Edge) Bind() error {
	anyPort := slices.ContainsFunc(e.o.TURN, func(s Service) bool { return s.Addr.Port() == 0 })
	const tries = 10
	for try := 1; ; try++ {
		err := e.bindOnce()
		if err == nil || !anyPort || try == tries || !errors.Is(err, ErrInUse) {
			return err
		}
	}
}

// reset makes an Edge whose Bind has failed as a new one.
func (e *Edge) reset() {
	e.web, e.webTLS, e.metrics, e.collider, e.corners = nil, nil, nil, nil, nil
	e.turn, e.turnTCP, e.wildcard = nil, nil, nil
	e.roaming, e.failed = map[netip.AddrPort][]*net.UDPConn{}, map[netip.AddrPort]bool{}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.udp, e.stun, e.closed = nil, nil, false
}

func (e *Edge) bindOnce() (err error) {
	e.reset()
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	if e.o.Web.IsValid() {
		if e.web, err = listenTCP(e.o.Web, "web.listen"); err != nil {
			return err
		}
	}
	if e.o.WebTLS.IsValid() && e.o.TLS != nil {
		if e.webTLS, err = listenTCP(e.o.WebTLS, "web.tls_listen"); err != nil {
			return err
		}
	}
	if e.o.Metrics.IsValid() {
		if e.metrics, err = listenTCP(e.o.Metrics, "metrics.listen"); err != nil {
			return err
		}
	}
	if e.o.Collider.IsValid() {
		if e.collider, err = listenTCP(e.o.Collider, "compat.collider_listen"); err != nil {
			return err
		}
	}
	for _, s := range e.o.TURN {
		if err = e.bindTURN(s); err != nil {
			return err
		}
	}
	return e.bindDiscovery()
}

// bindTURN binds TCP first: if the system chooses the port, UDP takes the same.
func (e *Edge) bindTURN(s Service) (err error) {
	at := s.Addr
	transports := []string{s.Transport}
	if s.Transport == "" {
		transports = []string{"udp", "tcp"}
	}
	if s.TCP() {
		tcp, err := listenTCP(at, "turn.listen")
		if err != nil {
			return err
		}
		e.turnTCP = append(e.turnTCP, turnListener{tcp, s.Transport == "tls"})
		at = netip.AddrPortFrom(at.Addr(), uint16(tcp.Addr().(*net.TCPAddr).Port))
	}
	if s.UDP() {
		if at, err = e.bindPackets(at); err != nil {
			return err
		}
	}
	for _, transport := range transports {
		e.turn = append(e.turn, Service{transport, at})
	}
	return nil
}

// bindPackets binds the UDP sockets of an address, or of every address of this machine, and returns
// it with its real port.
func (e *Edge) bindPackets(at netip.AddrPort) (netip.AddrPort, error) {
	if !at.Addr().IsUnspecified() {
		conns, err := e.bindUDP(at)
		if err != nil {
			return at, err
		}
		return udpAddr(conns[0]), nil
	}
	local, err := e.o.Local()
	if err != nil {
		return at, err
	}
	port := at.Port()
	if port == 0 { // chosen now: there may be no address yet, and those that come take the same
		if port, err = freePort(); err != nil {
			return at, err
		}
	}
	for _, ip := range local {
		conns, err := e.bindUDP(netip.AddrPortFrom(ip, port))
		switch {
		case err == nil:
			e.roaming[netip.AddrPortFrom(ip, port)] = conns
		case !errors.Is(err, syscall.EADDRNOTAVAIL):
			return at, err
		}
		// rescan retries an address that can't be bound yet (duplicate address detection takes a
		// second) or no more.
	}
	e.wildcard = append(e.wildcard, port)
	return netip.AddrPortFrom(at.Addr(), port), nil
}

// freePort returns a UDP port that is free on every address of this machine.
func freePort() (uint16, error) {
	every, err := net.ListenUDP("udp", nil)
	if err != nil {
		return 0, bindError("turn.listen", "udp", ":0", err)
	}
	defer every.Close()
	return udpAddr(every).Port(), nil
}

// bindUDP binds one address, so that an answer leaves from the address that the client asked, and
// both identify the client. There are as many sockets as cores; the kernel spreads the clients
// among them.
func (e *Edge) bindUDP(addr netip.AddrPort) ([]*net.UDPConn, error) {
	n := 1
	if canReusePort {
		n = runtime.GOMAXPROCS(0)
	}
	conns, err := e.listenUDP("turn.listen", addr, n)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		for _, c := range conns {
			c.Close()
		}
		return nil, net.ErrClosed
	}
	e.udp = append(e.udp, conns...)
	return conns, nil
}

// listenUDP opens n sockets that share one address, on behalf of a key of the configuration.
func (e *Edge) listenUDP(key string, addr netip.AddrPort, n int) ([]*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return reusePort(raw, n > 1) }}
	if n > 1 {
		// Sockets with SO_REUSEPORT would share the port unnoticed with those of a second instance.
		alone, err := net.ListenPacket("udp", addr.String())
		if err != nil {
			return nil, bindError(key, "udp", addr.String(), err)
		}
		addr = netip.AddrPortFrom(addr.Addr(), udpAddr(alone.(*net.UDPConn)).Port())
		alone.Close()
	}
	var conns []*net.UDPConn
	for range n {
		pc, err := lc.ListenPacket(context.Background(), "udp", addr.String())
		if err != nil {
			for _, c := range conns {
				c.Close()
			}
			return nil, bindError(key, "udp", addr.String(), err)
		}
		conn := pc.(*net.UDPConn)
		// The kernel caps what it grants; more room only helps against bursts.
		_ = conn.SetReadBuffer(4 << 20)
		_ = conn.SetWriteBuffer(4 << 20)
		conns = append(conns, conn)
	}
	return conns, nil
}

func listenTCP(at netip.AddrPort, key string) (net.Listener, error) {
	addr := at.String()
	if at.Addr() == netip.IPv6Unspecified() {
		addr = fmt.Sprint(":", at.Port()) // also where there is no IPv6
	}
	lc := net.ListenConfig{Control: smallSegments}
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, bindError(key, "tcp", addr, err)
	}
	return nonblock.Listener(l), nil
}

// bindError says what to do about the usual reasons.
func bindError(key, network, addr string, err error) error {
	advice := ""
	switch {
	case errors.Is(err, ErrInUse):
		advice = ": another program has that port: stop it, or choose another for " + key + " (--set " + key + "=:PORT)"
	case errors.Is(err, syscall.EACCES):
		advice = ": ports below 1024 need a privilege: run under systemd with " +
			"AmbientCapabilities=CAP_NET_BIND_SERVICE, or choose a higher port"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = ": this machine has no such address"
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // net's own words repeat the address
	}
	return fmt.Errorf("%s: listen on %s %s: %w%s", key, network, addr, err, advice)
}

// Close closes every listening socket.
func (e *Edge) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for _, l := range []net.Listener{e.web, e.webTLS, e.metrics, e.collider} {
		if l != nil {
			l.Close()
		}
	}
	for _, l := range e.turnTCP {
		l.Close()
	}
	for _, c := range slices.Concat(e.stun, e.udp) {
		c.Close()
	}
}
