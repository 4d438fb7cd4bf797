package edge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"signalbox/internal/netaddr"
)

// rescanInterval is how often the edge looks for new addresses of this machine (DHCP at boot, a
// VPN). Each gets its own UDP sockets.
const rescanInterval = 5 * time.Second

// Handlers take the connections that are not for TURN; each may be nil if its port is off.
type Handlers struct {
	HTTP     func(net.Conn) // what speaks HTTP on the plain port
	HTTPS    func(net.Conn) // and on the TLS port, decrypted
	Metrics  func(net.Conn)
	Collider func(net.Conn)
}

// Serve accepts and reads until ctx is done and Close has closed the sockets. Each connection has
// its own goroutine, and Serve waits for all of them.
func (e *Edge) Serve(ctx context.Context, turn TURN, to Handlers) {
	m := &mux{o: &e.o, turn: turn, to: to}
	var wg sync.WaitGroup
	defer wg.Wait()
	accept := func(l net.Listener, serve func(net.Conn)) {
		if l != nil {
			wg.Go(func() { e.accept(l, &wg, serve) })
		}
	}
	for _, l := range e.turnTCP {
		accept(l.Listener, func(conn net.Conn) { m.serveTURN(ctx, conn, l.tls) })
	}
	accept(e.web, func(conn net.Conn) { m.servePlain(ctx, conn) })
	accept(e.webTLS, func(conn net.Conn) { m.serveTLS(ctx, conn) })
	accept(e.metrics, to.Metrics)
	accept(e.collider, func(conn net.Conn) { m.serveCollider(ctx, conn) })
	servePackets := func(conns []*net.UDPConn) {
		for _, conn := range conns {
			wg.Go(func() {
				if err := turn.ServePacket(conn); err != nil {
					e.o.Log.Warn("serve turn", "err", err)
				}
			})
		}
	}
	servePackets(e.udp)
	for _, conn := range e.stun {
		wg.Go(func() {
			if err := turn.ServeSTUN(conn); err != nil {
				e.o.Log.Warn("serve stun", "err", err)
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

// rescan binds addresses that the machine got meanwhile, and returns their sockets. Sockets of
// former addresses stay: they do no harm, and the address may return.
func (e *Edge) rescan() (fresh []*net.UDPConn) {
	if len(e.wildcard) == 0 {
		return nil
	}
	local, err := netaddr.Local()
	if err != nil {
		e.o.Log.Warn("look for new addresses", "err", err)
		return nil
	}
	for _, ip := range local {
		for _, port := range e.wildcard {
			addr := netip.AddrPortFrom(ip, port)
			if e.bound[addr] {
				continue
			}
			conns, err := e.bindUDP(addr)
			if errors.Is(err, net.ErrClosed) {
				return fresh
			}
			if err != nil {
				if !e.failed[addr] {
					e.o.Log.Warn("bind a new address", "err", err)
					e.failed[addr] = true
				}
				continue
			}
			e.o.Log.Info("listening on a new address", "addr", addr)
			fresh = append(fresh, conns...)
		}
	}
	return fresh
}

// accept runs serve for each connection, in its own goroutine. It survives errors: without free
// file descriptors it waits for some.
func (e *Edge) accept(l net.Listener, wg *sync.WaitGroup, serve func(net.Conn)) {
	const longest = time.Second
	var pause time.Duration
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if pause == 0 {
				e.o.Log.Warn("accept", "addr", l.Addr(), "err", err)
			}
			pause = min(max(2*pause, 5*time.Millisecond), longest)
			time.Sleep(pause)
			continue
		}
		pause = 0
		wg.Go(func() { serve(conn) })
	}
}
