package turnsvc

import (
	"net/netip"

	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// The lane carries application data between clients and peers: no pion, no lock that two clients
// share, no heap allocation. It checks every packet against the deadlines of its permission, of its
// channel and of its allocation.

// channelData carries a client's ChannelData message (RFC 8656 §12.6). The packet is the whole
// frame.
func channelData(c *counters, a *allocation, p wire.Packet, now int64) {
	number, data, ok := wire.ChannelData(p)
	if !ok {
		c.drop(dropMalformed)
		return
	}
	if a == nil || !a.running(now) {
		c.drop(dropNoAllocation)
		return
	}
	peer, g, ok := a.channelByNumber(number, now)
	if !ok {
		c.drop(dropNoChannel)
		return
	}
	a.toPeer(data, peer, g, false, now)
}

// sendIndication carries a client's Send indication (RFC 8656 §11.2), which is never answered.
func sendIndication(c *counters, a *allocation, p wire.Packet, now int64) {
	if a == nil || !a.running(now) {
		c.drop(dropNoAllocation)
		return
	}
	peer, data, whole, ok := wire.ParseSend(p)
	if !ok || whole && !socket.CanKeepWhole { // there DONT-FRAGMENT is not understood
		c.drop(dropMalformed)
		return
	}
	g, ok := a.permissionFor(peer.Addr(), now)
	if !ok {
		c.drop(dropNoPermission)
		return
	}
	a.toPeer(data, peer, g, whole, now)
}

// toPeer sends application data of a's client to a peer; g is the grant of the permission. whole:
// the datagram must not be fragmented.
func (a *allocation) toPeer(p wire.Packet, peer netip.AddrPort, g grant, whole bool, now int64) {
	if p.N > wire.MaxPayload(peer.Addr()) {
		a.counters.drop(dropTooLong) // a stream's frame can be longer than a datagram
		return
	}
	if !a.up.take(p.N, now) {
		a.counters.drop(dropBandwidth)
		return
	}
	if g.inside {
		// The peer is a relayed transport address of this box: pass the packet in process. That
		// saves two trips through the kernel, and works if the public address can't be reached from
		// inside (1:1 NAT).
		if b := neighbor(a.pool, peer); b != nil {
			a.handOver(p, b, now)
			return
		}
	}
	if !g.outside {
		a.counters.drop(dropPeerDenied)
		return
	}
	if err := a.relay.Send(p.Data(), peer, whole); err != nil {
		a.counters.sent(err)
		return
	}
	a.fromClient.add(p.N)
	a.used.Store(now)
	a.spoke.Store(now)
}

// handOver passes application data of a's client to another allocation of this box.
func (a *allocation) handOver(p wire.Packet, b *allocation, now int64) {
	if !a.mayTalk(b) {
		a.counters.drop(dropPeerDenied)
		return
	}
	if !b.toOwn(p, a.relayed, a, now) {
		return
	}
	a.handedOver.add(p.N)
	if b.scope.member == nil || b.scope.member != a.scope.member {
		a.used.Store(now) // talking to oneself is no call
	}
	if a.isOther(b) {
		a.spoke.Store(now)
	}
}

// fromPeer sends on what a peer's datagram brought to the relay socket.
func (a *allocation) fromPeer(p wire.Packet, peer netip.AddrPort, now int64) {
	a.toOwn(p, peer, nil, now)
}

// toOwn sends a peer's data on to a's client, as ChannelData where a channel is bound, else as a
// Data indication. It reports whether it did. The peer is a relay of this box, which hands over in
// process; or nil: somebody outside. Relays never come through a socket: what comes from their
// address through one is from somebody else on this host, and a permission that is for relays only
// is not for those.
func (a *allocation) toOwn(p wire.Packet, peer netip.AddrPort, relay *allocation, now int64) bool {
	if !a.running(now) {
		a.counters.drop(dropNoAllocation)
		return false
	}
	permitted, number := a.admits(peer, now)
	switch {
	case permitted == nil:
		a.counters.drop(dropPeerUnknown)
		return false
	case relay == nil && !permitted.outside:
		a.counters.drop(dropPeerDenied)
		return false
	}
	permitted.used.Store(now)
	var frame []byte
	if number != 0 {
		frame = wire.FrameChannelData(p, number, a.link.padded())
	} else if frame = wire.FrameDataIndication(p, peer); frame == nil {
		a.counters.drop(dropTooLong)
		return false
	}
	if !a.down.take(p.N, now) {
		a.counters.drop(dropBandwidth)
		return false
	}
	if !a.link.data(frame, a.client) {
		return false
	}
	a.toClient.add(p.N)
	if extra := len(frame) - p.N - wire.ChannelHeader; extra != 0 {
		a.extra.Add(uint64(extra))
	}
	// A mark that is set already is only read, so it costs next to nothing.
	if !a.heard.Load() && (relay == nil || a.isOther(relay)) {
		a.heard.Store(true)
	}
	return true
}
