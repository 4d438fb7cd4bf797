package turnsvc

import (
	"encoding/binary"
	"net/netip"

	"signalbox/turnsvc/internal/wire"
)

// The books' answers to CreatePermission and ChannelBind.

// peer decodes one XOR-PEER-ADDRESS and asks the policy. code is the error code of a refusal, or 0.
func (b *books) peer(r *request, a *allocation, value []byte) (peer netip.AddrPort, g grant, code int) {
	peer, ok := wire.XORAddress(value, r.msg.TransactionID())
	r.peer = peer
	switch {
	case !ok:
		return peer, g, 400
	case peer.Addr().Is4() != a.relayed.Addr().Is4():
		return peer, g, 443
	}
	if g = b.judge.grantFor(a, peer.Addr()); !carries(a, peer, g) {
		r.why, r.told = b.judge.rule(a, peer.Addr())
		return peer, g, 403
	}
	return peer, g, 0
}

// carries reports whether a permission with that grant can carry anything to peer, or from it: what
// can't is refused, so that ICE fails that pair at once instead of waiting for it. A permission is
// for all ports of an address (RFC 8656 §9), but where only some are open the client's own port
// decides; 0 names none. A port of relays is enough, whether there is one now or not: rooms may yet
// come together, and a browser that is refused one relay asks for no other at that address.
func carries(a *allocation, peer netip.AddrPort, g grant) bool {
	if g.passes(peer) || peer.Port() == 0 {
		return g != (grant{})
	}
	return g.inside && a.pool.Has(peer.Port())
}

// createPermission: RFC 8656 §10.2. If one peer is refused, no permission is installed.
func (b *books) createPermission(r *request, a *allocation) {
	peers := make([]netip.Addr, 0, 4)
	grants := make([]grant, 0, 4)
	for at := range r.msg.Attributes {
		if at.Type != wire.AttrXORPeerAddress {
			continue
		}
		peer, g, code := b.peer(r, a, at.Value)
		if code != 0 {
			b.refuse(r, code)
			return
		}
		peers, grants = append(peers, peer.Addr()), append(grants, g)
	}
	now := b.clock.now()
	switch {
	case len(peers) == 0:
		b.refuse(r, 400)
		return
	case b.tooManyPermissions(a, peers):
		b.refuse(r, b.over(r, limitPermissions))
		return
	}
	if !b.agreed(r, b.engine.Permit(a.id, peers)) {
		return
	}
	for i, ip := range peers {
		a.permit(ip, grants[i], now)
	}
	b.judge.review(a, peers...) // somebody may have left since it was judged
	b.answer(r, nil)
}

// tooManyPermissions reports whether peers would take the allocation past its limit.
func (b *books) tooManyPermissions(a *allocation, peers []netip.Addr) bool {
	limit := b.limits().Permissions
	if limit <= 0 {
		return false
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	total := a.permissions.len()
	for _, ip := range peers {
		if a.permissions.get(ip) == nil {
			total++
		}
	}
	return total > limit
}

// channelBind: RFC 8656 §12.2.
func (b *books) channelBind(r *request, a *allocation) {
	number, ok := r.msg.Get(wire.AttrChannelNumber)
	value, okPeer := r.msg.Get(wire.AttrXORPeerAddress)
	if !ok || !okPeer || len(number) != 4 {
		b.refuse(r, 400)
		return
	}
	n := binary.BigEndian.Uint16(number)
	if !wire.IsChannel(n) {
		b.refuse(r, 400)
		return
	}
	peer, g, code := b.peer(r, a, value)
	if code == 0 {
		if code = b.channelConflict(a, n, peer); code == 508 {
			code = b.over(r, limitChannels)
		}
	}
	now := b.clock.now()
	if code == 0 && b.tooManyPermissions(a, []netip.Addr{peer.Addr()}) {
		code = b.over(r, limitPermissions)
	}
	if code != 0 {
		b.refuse(r, code)
		return
	}
	if !b.agreed(r, b.engine.Bind(a.id, n, peer)) {
		return
	}
	a.bind(n, peer, a.permit(peer.Addr(), g, now), now)
	b.judge.review(a, peer.Addr())
	b.answer(r, nil)
}

// channelConflict returns an error code if the number is bound to another peer, if the peer is
// bound to another number, or if there are too many channels; else 0.
func (b *books) channelConflict(a *allocation, number uint16, peer netip.AddrPort) int {
	now := b.clock.now()
	byNumber, byPeer, n := a.boundTo(number, peer)
	limit := b.limits().Channels
	if byNumber.expired(now) || byPeer.expired(now) || byNumber == nil && limit > 0 && n >= limit {
		a.forgetExpired(now) // only if it matters: it looks at all
		byNumber, byPeer, n = a.boundTo(number, peer)
	}
	switch {
	case byNumber != byPeer:
		return 400
	case byNumber == nil && limit > 0 && n >= limit:
		return 508
	}
	return 0
}
