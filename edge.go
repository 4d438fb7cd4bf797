package signalbox

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
	"time"
)

// The edge owns every listening socket. Listen binds all or none; what comes in goes to turnsvc or
// to net/http.

// rescanInterval is how often the machine's addresses are looked at again: one that appears later
// (DHCP at boot, a VPN) gets its own UDP sockets.
const rescanInterval = 5 * time.Second

type edge struct {
	log     *slog.Logger
	web     net.Listener   // nil: off
	webTLS  net.Listener   // nil: off
	metrics net.Listener   // nil: off
	turnTCP []net.Listener // one for each entry of turn.listen
	tlsConf *tls.Config

	// Owned by bind, then by serve.
	wildcard []uint16 // TURN ports on every address of the machine
	bound    map[netip.AddrPort]bool
	failed   map[netip.AddrPort]bool // to bind, and it was said

	corners *[2][2]*net.UDPConn // for NAT behavior discovery; nil: off

	mu     sync.Mutex
	udp    []*net.UDPConn // all TURN sockets
	stun   []*net.UDPConn // those that serve STUN only
	closed bool
}

// bind opens every socket that c names, or none. Where c leaves a TURN port to the system, what
// that gave for TCP may be taken for UDP: then it is asked for another.
func (e *edge) bind(c *Config, tlsConf *tls.Config) error {
	anyPort := slices.ContainsFunc(c.TURN.Listen, func(s string) bool {
		a, err := listenAddr(s)
		return err == nil && a.Port() == 0
	})
	const tries = 10
	for try := 1; ; try++ {
		err := e.bindOnce(c, tlsConf)
		if err == nil || !anyPort || try == tries || !errors.Is(err, errAddrInUse) {
			return err
		}
		*e = edge{log: e.log}
	}
}

func (e *edge) bindOnce(c *Config, tlsConf *tls.Config) (err error) {
	e.tlsConf = tlsConf
	e.bound, e.failed = map[netip.AddrPort]bool{}, map[netip.AddrPort]bool{}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if c.Web.Listen != "" {
		if e.web, err = listenTCP(c.Web.Listen, "web.listen"); err != nil {
			return err
		}
	}
	if c.Web.TLSListen != "" && tlsConf != nil {
		if e.webTLS, err = listenTCP(c.Web.TLSListen, "web.tls_listen"); err != nil {
			return err
		}
	}
	if c.Metrics.Listen != "" {
		if e.metrics, err = listenTCP(c.Metrics.Listen, "metrics.listen"); err != nil {
			return err
		}
	}
	for _, s := range c.TURN.Listen {
		if err = e.bindTURN(s); err != nil {
			return err
		}
	}
	return e.bindAlternate(c)
}

// bindTURN binds TCP first and without SO_REUSEPORT: a second instance fails here, instead of
// sharing the UDP port unnoticed.
func (e *edge) bindTURN(s string) error {
	addr, err := listenAddr(s)
	if err != nil {
		return err
	}
	tcp, err := listenTCP(s, "turn.listen")
	if err != nil {
		return err
	}
	e.turnTCP = append(e.turnTCP, tcp)
	port := uint16(tcp.Addr().(*net.TCPAddr).Port) // of use when the entry says 0
	if !addr.Addr().IsUnspecified() {
		_, err := e.bindUDP(netip.AddrPortFrom(addr.Addr(), port))
		return err
	}
	e.wildcard = append(e.wildcard, port)
	local, err := localAddrs()
	if err != nil {
		return fmt.Errorf("read this machine's addresses: %w", err)
	}
	for _, ip := range local {
		// One that can't be bound yet (duplicate address detection takes a second) or no more is
		// left to rescan.
		if _, err := e.bindUDP(netip.AddrPortFrom(ip, port)); err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			return err
		}
	}
	return nil
}

// bindUDP binds one address: an answer then leaves from the address that was asked, and a client is
// known by both. There are as many sockets as cores, among which the kernel spreads the clients.
func (e *edge) bindUDP(addr netip.AddrPort) ([]*net.UDPConn, error) {
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
	}
	e.udp = append(e.udp, conns...)
	return conns, nil
}

// listenUDP opens n sockets that share one address, on behalf of a key of the configuration.
func (e *edge) listenUDP(key string, addr netip.AddrPort, n int) ([]*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return reusePort(raw, n > 1) }}
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
	e.bound[addr] = true
	return conns, nil
}

func listenTCP(addr, key string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, bindError(key, "tcp", addr, err)
	}
	return l, nil
}

// bindError says what to do about the usual reasons.
func bindError(key, network, addr string, err error) error {
	advice := ""
	switch {
	case errors.Is(err, errAddrInUse):
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

// serve accepts and reads until ctx is done and the sockets are closed, which close does; then it
// returns. Each connection has a goroutine of its own, and serve waits for all of them. plainHTTP
// and secureHTTP take what speaks HTTP on the two web ports, scrapers all that comes for the
// metrics.
func (e *edge) serve(ctx context.Context, m *mux, plainHTTP, secureHTTP, scrapers func(net.Conn)) {
	turn := m.turn
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, l := range e.turnTCP {
		wg.Go(func() {
			e.accept(l, &wg, func(conn net.Conn) { turn.ServeConn(conn, "tcp") })
		})
	}
	if e.web != nil {
		wg.Go(func() {
			e.accept(e.web, &wg, func(conn net.Conn) { m.servePlain(ctx, conn, plainHTTP) })
		})
	}
	if e.webTLS != nil {
		wg.Go(func() {
			e.accept(e.webTLS, &wg, func(conn net.Conn) { m.serveTLS(ctx, conn, secureHTTP) })
		})
	}
	if e.metrics != nil {
		wg.Go(func() { e.accept(e.metrics, &wg, scrapers) })
	}
	servePackets := func(conns []*net.UDPConn) {
		for _, conn := range conns {
			wg.Go(func() {
				if err := turn.ServePacket(conn); err != nil {
					e.log.Warn("serve turn", "err", err)
				}
			})
		}
	}
	servePackets(e.udp)
	for _, conn := range e.stun {
		wg.Go(func() {
			if err := turn.ServeSTUN(conn); err != nil {
				e.log.Warn("serve stun", "err", err)
			}
		})
	}
	scan := time.NewTicker(rescanInterval)
	defer scan.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-scan.C:
			servePackets(e.rescan())
		}
	}
}

// rescan binds what addresses the machine got since, and returns their sockets. Sockets of
// addresses that are gone stay: they do no harm, and the address may return.
func (e *edge) rescan() (fresh []*net.UDPConn) {
	if len(e.wildcard) == 0 {
		return nil
	}
	local, err := localAddrs()
	if err != nil {
		e.log.Warn("read this machine's addresses", "err", err)
		return nil
	}
	for _, ip := range local {
		for _, port := range e.wildcard {
			addr := netip.AddrPortFrom(ip, port)
			if e.bound[addr] {
				continue
			}
			conns, err := e.bindUDP(addr)
			if err != nil {
				if !e.failed[addr] {
					e.log.Warn("bind a new address", "err", err)
					e.failed[addr] = true
				}
				continue
			}
			e.log.Info("listening on a new address", "addr", addr)
			fresh = append(fresh, conns...)
		}
	}
	return fresh
}

// accept hands each connection to serve in a goroutine of its own. It outlasts errors: without file
// descriptors it waits for some.
func (e *edge) accept(l net.Listener, wg *sync.WaitGroup, serve func(net.Conn)) {
	const longest = time.Second
	var pause time.Duration
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if pause == 0 {
				e.log.Warn("accept", "addr", l.Addr(), "err", err)
			}
			pause = min(max(2*pause, 5*time.Millisecond), longest)
			time.Sleep(pause)
			continue
		}
		pause = 0
		wg.Go(func() { serve(conn) })
	}
}

// close closes every listening socket.
func (e *edge) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for _, l := range append([]net.Listener{e.web, e.webTLS, e.metrics}, e.turnTCP...) {
		if l != nil {
			l.Close()
		}
	}
	for _, c := range slices.Concat(e.stun, e.udp) {
		c.Close()
	}
}
