package socket

import (
	"net/netip"
	"sync/atomic"

	"signalbox/turnsvc/internal/wire"
)

// Relay is the socket of one relayed transport address. Only we use it: pion never sees it.
type Relay struct {
	relaySocket
	Addr netip.AddrPort // the address that it is bound to
	// Neighbors, if set before it is used, keep peers who are missing from filling the send buffer.
	Neighbors *Neighbors
	out       direct
	runs      RunLimit
	// whole: datagrams leave with DF set. A client's frames come through one goroutine, so it holds
	// for the packet that set it.
	whole atomic.Bool
}

// OpenRelay binds addr. An IPv6 socket carries IPv6 only.
func OpenRelay(addr netip.AddrPort) (*Relay, error) {
	r := &Relay{Addr: addr}
	if err := r.open(addr); err != nil {
		return nil, err
	}
	r.out = r.sender()
	if err := keepWhole(r, addr.Addr(), false); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Send writes one datagram, and waits for nothing: with DF set if whole, else without, so that the
// network may fragment what the client's own network let through (RFC 8656 §14 calls that the
// alternate behavior). The errors are ErrFull, ErrAbsent, and what the system says.
func (r *Relay) Send(b []byte, peer netip.AddrPort, whole bool) error {
	if whole != r.whole.Load() {
		if err := keepWhole(r, r.Addr.Addr(), whole); err != nil {
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

// SendRun sends application data as Send does; whole is for a run of one. It returns how much was
// sent, and why the rest was not.
func (r *Relay) SendRun(run wire.Run, peer netip.AddrPort, whole bool) (packets, bytes int, err error) {
	may := len(run) > 1 && !whole && !r.whole.Load() && (r.Neighbors == nil || !r.Neighbors.doubts(peer.Addr(), 0))
	return r.runs.send(run, run[0].N, may,
		func() error {
			err := r.out.sendRun(run, 0, peer, 0)
			if r.Neighbors != nil && !isRefusal(err) {
				r.Neighbors.heed(err)
			}
			return err
		},
		func(p wire.Packet) error { return r.Send(p.Data(), peer, whole) })
}
