package turnsvc

import (
	"net/netip"

	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// The lane carries application data between clients and peers: no pion, no lock that two clients
// share, no heap allocation. It checks every packet against the deadlines of its permission, of its
// channel and of its allocation.

// channelData carries a client's ChannelData messages (RFC 8656 §12.6): a run whose packets are
// the whole frames, and become their data.
func channelData(c *counters, a *allocation, run wire.Run, now int64) {
	number, ok := uint16(0), false
	for i := range run { // one, or all as the first
		if number, run[i].Packet, ok = wire.ChannelData(run[i].Packet); !ok {
			c.dropAll(dropMalformed, len(run))
			return
		}
	}
	if a == nil || !a.running(now) {
		c.dropAll(dropNoAllocation, len(run))
		return
	}
	peer, g, ok := a.channelByNumber(number, now)
	if !ok {
		c.dropAll(dropNoChannel, len(run))
		return
	}
	a.toPeer(run, peer, g, false, now)
}

// sendIndication carries a client's Send indication (RFC 8656 §11.2), which is never answered. The
// one packet of the run is the whole frame, and becomes its data.
func sendIndication(c *counters, a *allocation, run wire.Run, now int64) {
	if a == nil || !a.running(now) {
		c.drop(dropNoAllocation)
		return
	}
	peer, data, whole, ok := wire.ParseSend(run[0].Packet)
	if !ok || whole && !socket.CanKeepWhole { // there DONT-FRAGMENT is not understood
		c.drop(dropMalformed)
		return
	}
	g, ok := a.permissionFor(peer.Addr(), now)
	if !ok {
		c.drop(dropNoPermission)
		return
	}
	run[0].Packet = data
	a.toPeer(run, peer, g, whole, now)
}

// toPeer sends application data of a's client to a peer; g is the grant of the permission. whole:
// the datagram, of which there is one then, must not be fragmented.
func (a *allocation) toPeer(run wire.Run, peer netip.AddrPort, g grant, whole bool, now int64) {
	if run[0].N > wire.MaxPayload(peer.Addr()) {
		a.counters.dropAll(dropTooLong, len(run)) // a stream's frame can be longer than a datagram
		return
	}
	if run = a.admit(&a.up, run, now); len(run) == 0 {
		return
	}
	if g.inside {
		// The peer is a relayed transport address of this box: pass the packet in process. That
		// saves two trips through the kernel, and works if the public address can't be reached from
		// inside (1:1 NAT).
		if b := neighbor(a.pool, peer); b != nil {
			a.handOver(run, b, now)
			return
		}
	}
	if !g.passes(peer) {
		a.counters.dropAll(dropPeerDenied, len(run))
		return
	}
	packets, bytes, err := a.relay.SendRun(run, peer, whole)
	if a.counters.unsent(len(run)-packets, err); packets == 0 {
		return
	}
	a.fromClient.add(packets, bytes)
	a.used.Store(now)
	a.spoke.Store(now)
}

// admit returns those of a run that the bandwidth of one direction lets pass, and counts the rest.
func (a *allocation) admit(p *pace, run wire.Run, now int64) wire.Run {
	passed := p.admit(run, now)
	if n := len(run) - len(passed); n > 0 {
		a.counters.dropAll(dropBandwidth, n)
	}
	return passed
}

// handOver passes application data of a's client to another allocation of this box.
func (a *allocation) handOver(run wire.Run, b *allocation, now int64) {
	if !a.mayTalk(b) {
		a.counters.dropAll(dropPeerDenied, len(run))
		return
	}
	packets, bytes := b.toOwn(run, a.relayed, a, now)
	if packets == 0 {
		return
	}
	a.handedOver.add(packets, bytes)
	if b.scope.member == nil || b.scope.member != a.scope.member {
		a.used.Store(now) // talking to oneself is no call
	}
	if a.isOther(b) {
		a.spoke.Store(now)
	}
}

// fromPeer sends on what a peer's datagrams have brought to the relay socket.
func (a *allocation) fromPeer(run wire.Run, now int64) { a.toOwn(run, run[0].From, nil, now) }

// toOwn sends a peer's data on to a's client, as ChannelData where a channel is bound, else as Data
// indications. It returns how much it has sent. The peer is a relay of this box, which hands over
// in process; or nil: somebody outside. Relays never come through a socket: what comes from their
// address through one is from somebody else on this host, and a permission that is for relays only
// is not for those.
func (a *allocation) toOwn(run wire.Run, peer netip.AddrPort, relay *allocation, now int64) (packets, bytes int) {
	if !a.running(now) {
		a.counters.dropAll(dropNoAllocation, len(run))
		return 0, 0
	}
	permitted, number := a.admits(peer, now)
	switch {
	case permitted == nil:
		a.counters.dropAll(dropPeerUnknown, len(run))
		return 0, 0
	case relay == nil && !permitted.passes(peer):
		a.counters.dropAll(dropPeerDenied, len(run))
		return 0, 0
	}
	permitted.used.Store(now)
	if number == 0 && run[0].N > wire.MaxIndicated(peer.Addr()) {
		a.counters.dropAll(dropTooLong, len(run))
		return 0, 0
	}
	if run = a.admit(&a.down, run, now); len(run) == 0 {
		return 0, 0
	}
	if packets, bytes = a.toLink(run, number, peer); packets == 0 {
		return 0, 0
	}
	a.toClient.add(packets, bytes)
	// A mark that is set already is only read, so it costs next to nothing.
	if !a.heard.Load() && (relay == nil || a.isOther(relay)) {
		a.heard.Store(true)
	}
	return packets, bytes
}

// toLink frames a peer's data, as toOwn says, and puts it on its way to the client.
func (a *allocation) toLink(run wire.Run, number uint16, peer netip.AddrPort) (packets, bytes int) {
	if number != 0 && len(run) > 1 {
		if packets, bytes, ok := a.link.run(run, number, a.client, &a.runs); ok {
			if a.link.padded() {
				a.extra.Add(uint64(run.Padding()))
			}
			return packets, bytes
		}
	}
	for i := range run {
		p := run[i].Packet
		behind := p.Behind()
		var frame []byte
		if number != 0 {
			frame = wire.FrameChannelData(p, number, a.link.padded())
		} else {
			frame = wire.FrameDataIndication(p, peer)
		}
		if a.link.data(frame, a.client) {
			packets, bytes = packets+1, bytes+p.N
			if extra := len(frame) - p.N - wire.ChannelHeader; extra != 0 {
				a.extra.Add(uint64(extra))
			}
		}
		p.PutBehind(behind) // another packet may follow there
	}
	return packets, bytes
}
