// Package edge owns every listening socket, and tells protocols apart on the ports that several
// share.
package edge

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"

	"signalbox/internal/netaddr"
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
