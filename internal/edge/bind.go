package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"syscall"

	"signalbox/internal/nonblock"
)

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
