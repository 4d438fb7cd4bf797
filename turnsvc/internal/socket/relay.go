// Package socket is the UDP sockets of the relay: it opens them on ports of a pool, reads them, and
// sets how they treat broadcasts and fragments.
package socket

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"

	"signalbox/turnsvc/internal/wire"
)

// Relay is the socket of one relayed transport address. Only we use it: pion never sees it.
type Relay struct {
	Conn *net.UDPConn
	Addr netip.AddrPort // the address that it is bound to
	// Neighbors, if set before it is used, keep peers who are missing from filling the send buffer.
	Neighbors *Neighbors
	out       direct
	runs      RunLimit
	receiver
	// whole: datagrams leave with DF set. A client's frames come through one goroutine, so it holds
	// for the packet that set it.
	whole atomic.Bool
}

// OpenRelay binds addr. An IPv6 socket carries IPv6 only.
func OpenRelay(addr netip.AddrPort) (*Relay, error) {
	network := "udp4"
	if addr.Addr().Is6() {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	r := &Relay{Conn: conn, Addr: addr}
	_ = conn.SetWriteBuffer(sendBuffer) // the kernel caps what it grants
	r.out = newDirect(conn)
	err = errors.Join(r.receiver.init(conn), keepWhole(conn, addr.Addr(), false), noBroadcast(conn))
	if err != nil {
		conn.Close()
		return nil, err
	}
	return r, nil
}

// Close ends Read, too.
func (r *Relay) Close() { r.Conn.Close() }

// Send writes one datagram, and waits for nothing: with DF set if whole, else without, so that the
// network may fragment what the client's own network let through (RFC 8656 §14 calls that the
// alternate behavior). The errors are ErrFull, ErrAbsent, and what the system says.
func (r *Relay) Send(b []byte, peer netip.AddrPort, whole bool) error {
	if whole != r.whole.Load() {
		if err := keepWhole(r.Conn, r.Addr.Addr(), whole); err != nil {
			return err
		}
		r.whole.Store(whole)
	}
	if r.Neighbors != nil && r.Neighbors.absent(peer.Addr(), 0) { // no peer has a zone
		return ErrAbsent
	}
	err := r.out.send(b, peer, 0)
	if r.Neighbors != nil {
		r.Neighbors.heed(err)
	}
	return err
}

// SendRun sends application data without DF, and waits for nothing. It returns how much was sent,
// and why the rest was not, as Send does.
func (r *Relay) SendRun(run wire.Run, peer netip.AddrPort) (packets, bytes int, err error) {
	asRun := len(run) > 1 && r.runs.allows(run[0].N) && !r.whole.Load() &&
		(r.Neighbors == nil || !r.Neighbors.doubts(peer.Addr(), 0))
	if asRun {
		if err = r.out.sendRun(run, 0, peer, 0); err == nil {
			return len(run), run.Bytes(), nil
		}
		if !isRefusal(err) {
			if r.Neighbors != nil {
				r.Neighbors.heed(err)
			}
			return 0, 0, err
		}
	}
	err = nil
	for i := range run {
		if failed := r.Send(run[i].Data(), peer, false); failed == nil {
			packets, bytes = packets+1, bytes+run[i].N
		} else if err = failed; endsRun(err) {
			return packets, bytes, err
		}
	}
	if asRun && err == nil { // it was refused for being a run
		r.runs.refuse(run[0].N)
	}
	return packets, bytes, err
}

// Read hands the datagrams to handle until the socket is closed; see the function Read.
func (r *Relay) Read(faults *Faults, handle func([]wire.Datagram)) {
	r.receive(r.Conn, faults, handle)
}
