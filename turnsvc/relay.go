package turnsvc

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"signalbox/turnsvc/internal/wire"
)

// buffers are lent to a relay socket only while it has something to read: an idle allocation holds
// none.
var buffers = sync.Pool{New: func() any { return new(wire.Buffer) }}

// relay is the socket of one relayed transport address. It is ours alone: pion never sees it.
type relay struct {
	conn *net.UDPConn
	addr netip.AddrPort
	receiver
	// whole: datagrams leave with DF set. A client's frames come through one goroutine, so it holds
	// for the packet that set it.
	whole atomic.Bool
}

// openRelay binds addr. An IPv6 socket carries IPv6 only.
func openRelay(addr netip.AddrPort) (*relay, error) {
	network := "udp4"
	if addr.Addr().Is6() {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	r := &relay{conn: conn, addr: addr}
	if err := errors.Join(r.receiver.init(conn), keepWhole(conn, addr.Addr(), false), noBroadcast(conn)); err != nil {
		conn.Close()
		return nil, err
	}
	return r, nil
}

func (r *relay) close() { r.conn.Close() }

// send writes one datagram: with DF set if whole, else without (RFC 8656 §14: the latter is the
// alternate behavior, which lets the network fragment what the client's own network let through).
func (r *relay) send(b []byte, peer netip.AddrPort, whole bool) error {
	if whole != r.whole.Load() {
		if err := keepWhole(r.conn, r.addr.Addr(), whole); err != nil {
			return err
		}
		r.whole.Store(whole)
	}
	_, err := r.conn.WriteToUDPAddrPort(b, peer)
	return err
}

// read hands every datagram to handle until the socket is closed.
func (r *relay) read(handle func(p wire.Packet, from netip.AddrPort)) {
	r.receive(r.conn, handle)
}
