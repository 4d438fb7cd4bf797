package edge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

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
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.o.Changed:
			servePackets(e.rescan(turn))
		}
	}
}

// rescan binds addresses that the machine got meanwhile, and returns their sockets. It closes those
// of former addresses once no client has an allocation over them: while one has, its address may
// return.
func (e *Edge) rescan(turn TURN) (fresh []*net.UDPConn) {
	if len(e.wildcard) == 0 {
		return nil
	}
	local, err := e.o.Local()
	if err != nil {
		e.o.Log.Warn("look for new addresses", "err", err)
		return nil
	}
	e.leaveGone(local, turn)
	for _, ip := range local {
		for _, port := range e.wildcard {
			addr := netip.AddrPortFrom(ip, port)
			if e.roaming[addr] != nil {
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
			delete(e.failed, addr)
			e.roaming[addr] = conns
			fresh = append(fresh, conns...)
		}
	}
	return fresh
}

// leaveGone closes the sockets of addresses that this machine no longer has.
func (e *Edge) leaveGone(local []netip.Addr, turn TURN) {
	var gone []netip.AddrPort
	for addr, conns := range e.roaming {
		if !slices.Contains(local, addr.Addr()) && !e.isCorner(conns) {
			gone = append(gone, addr)
		}
	}
	for addr := range e.failed {
		if !slices.Contains(local, addr.Addr()) {
			delete(e.failed, addr)
		}
	}
	if len(gone) == 0 {
		return
	}
	inUse := turn.UDPInUse()
	for _, addr := range gone {
		if inUse[addr] {
			continue
		}
		conns := e.roaming[addr]
		delete(e.roaming, addr)
		e.mu.Lock()
		e.udp = slices.DeleteFunc(e.udp, func(c *net.UDPConn) bool { return slices.Contains(conns, c) })
		e.mu.Unlock()
		for _, c := range conns {
			c.Close()
		}
		e.o.Log.Info("no longer listening on an address that is gone", "addr", addr)
	}
}

// isCorner reports whether one of the sockets is also for NAT behavior discovery, which keeps its
// four.
func (e *Edge) isCorner(conns []*net.UDPConn) bool {
	return e.corners != nil && slices.ContainsFunc(e.corners[:], func(pair [2]*net.UDPConn) bool {
		return slices.Contains(conns, pair[0]) || slices.Contains(conns, pair[1])
	})
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
