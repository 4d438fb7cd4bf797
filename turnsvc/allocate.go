package turnsvc

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// The books' answers to Allocate and Refresh.

// reservationLifetime is for a port reserved by EVEN-PORT (RFC 8656 §7.2).
const reservationLifetime = 30 * time.Second

// reservation is a relay port that an Allocate may claim by its token. It counts in the quotas of
// the client that it was reserved for.
type reservation struct {
	holder
	relay   *socket.Relay
	pool    *relayPool
	public  netip.Addr
	expires int64
}

// wish is what an Allocate asks for.
type wish struct {
	family   int
	port     socket.Parity
	token    [8]byte
	hasToken bool
	lifetime lifetimes
}

// allocate: RFC 8656 §7.2. a is the allocation that the client has, or nil.
func (b *books) allocate(r *request, a *allocation) {
	if a != nil {
		b.refuse(r, 437)
		return
	}
	w, code := b.wished(r)
	if code == 0 {
		code = b.overLimit(r, &w)
	}
	if code != 0 {
		b.refuse(r, code)
		return
	}
	var next *reservation
	if a, next, code = b.create(r, &w); code != 0 {
		b.refuse(r, code)
		return
	}
	entered := false
	defer func() {
		if !entered { // also when something panics
			b.giveUp(a, next)
		}
	}()
	if !b.attach(a) {
		b.refuse(r, 401) // its session ended since the gate looked
		return
	}
	if err := b.engine.Allocate(a.id, a.relayed); !b.agreed(r, err) {
		return
	}
	if err := b.enter(a); err != nil {
		b.log.Warn("a relay socket can't be read: the allocation is refused", "err", err)
		b.refuse(r, b.over(r, limitInternal))
		b.disown(a)
		return
	}
	entered = true
	if code := b.withdrawn(r); code != 0 {
		b.end(a, endWithdrawn)
		b.remove()
		if next != nil {
			a.pool.Release(next.relay)
		}
		b.refuse(r, code)
		return
	}
	b.watches.allocated(a)
	b.log.Debug("allocation created", "relay", a.relayed, "client", a.client, "transport", r.link.transport(),
		"class", a.class)

	b.answer(r, func(m *wire.Builder) {
		m.XORAddr(wire.AttrXORRelayedAddress, a.relayed)
		m.Uint32(wire.AttrLifetime, uint32(w.lifetime.granted/time.Second))
		if next != nil {
			token := b.reserve(next)
			m.Attr(wire.AttrReservationToken, token[:])
		}
		m.XORAddr(wire.AttrXORMappedAddress, r.client)
	})
	if r.link.closed() {
		b.end(a, endStream) // its stream ended while the request was queued
	}
}

// enter starts to read the relay socket of an allocation that the engine knows, and registers it,
// so that everybody finds it; or it changes nothing and returns an error.
func (b *books) enter(a *allocation) error {
	a.up, a.down = b.quotas.paces(b.limits(), a.principal)
	err := b.readers.Read(a.relay, func(list []wire.Datagram) {
		for len(list) > 0 {
			run := wire.NextRun(list)
			list = list[len(run):]
			b.receive(a, run)
		}
	})
	if err != nil {
		return err
	}
	b.quotas.add(a.holder())
	a.own = a.class == cred.ICE && b.ownID != nil && b.ownID(a.issued)
	if b.counts && !a.own {
		b.budget.open(a, b.payerOf(a))
	}
	b.mu.Lock()
	b.all[a.id] = a
	b.mu.Unlock()
	a.pool.Hold(a.relay.Addr.Port(), a)
	a.link.setAllocation(a.client, a)
	return nil
}

// receive takes what a peer's datagrams have brought.
func (b *books) receive(a *allocation, run wire.Run) {
	defer b.recovered("panic on a peer's datagrams")
	a.fromPeer(run, a.clock.now())
}

// withdrawn looks once more at whether r may allocate, and returns the code of the refusal, or 0.
// It is asked when the allocation has been entered. So whoever takes a right away, and then ends
// the allocations that have it, finds this one among them, or it is refused here.
func (b *books) withdrawn(r *request) int {
	switch {
	case b.draining.Load():
		return b.over(r, limitDrain)
	case !b.keys.holds(r):
		return 401
	case b.keys.banned(r.class, r.issued, r.client.Addr()):
		return 403
	}
	return 0
}

// attach gives the allocation its scope. It reports false for the credential of a session that is
// over.
func (b *books) attach(a *allocation) bool {
	a.scope = scope{class: a.class, rooms: b.judge.rooms}
	if a.class != cred.Hub {
		return true
	}
	member, concerned := b.judge.rooms.attach(a.issued, a)
	a.scope.member = member
	b.settle(nil, concerned)
	return member != nil
}

// giveUp takes back what create gave. The session may have ended meanwhile and the allocation with
// it; then it must not be released a second time by remove.
func (b *books) giveUp(a *allocation, next *reservation) {
	b.mu.Lock()
	a.ended.Store(true)
	b.ending = slices.DeleteFunc(b.ending, func(e *allocation) bool { return e == a })
	b.mu.Unlock()
	if a.scope.member != nil {
		b.judge.rooms.detach(a)
	}
	a.pool.Release(a.relay)
	if next != nil {
		a.pool.Release(next.relay)
	}
}

// wished reads an Allocate. code is the error code of a refusal, or 0.
func (b *books) wished(r *request) (w wish, code int) {
	m, relays := &r.msg, b.judge.host.Load().relays
	transport, ok := m.Get(wire.AttrRequestedTransport)
	if !ok || len(transport) != 4 {
		return w, 400
	}
	if transport[0] != wire.ProtocolUDP {
		return w, 442
	}
	family, hasFamily := m.Get(wire.AttrRequestedFamily)
	even, hasEven := m.Get(wire.AttrEvenPort)
	token, hasToken := m.Get(wire.AttrReservationToken)
	w.lifetime, ok = b.lifetime(m, false)
	switch {
	case !ok, hasFamily && len(family) != 4, hasEven && len(even) != 1, hasToken && len(token) != 8,
		hasToken && (hasEven || hasFamily):
		return w, 400
	case hasToken:
		w.token, w.hasToken = [8]byte(token), true
		return w, 0
	case hasFamily && family[0] == wire.FamilyIPv6:
		w.family = 1
	case hasFamily && family[0] != wire.FamilyIPv4:
		return w, 440
	case !hasFamily:
		w.family = relays.byDefault(b.judge.settings.Load().DefaultFamily, r.client.Addr())
	}
	if !relays[w.family].Bind.IsValid() {
		r.why = relays.lack(w.family)
		return w, 440
	}
	switch {
	case hasEven && even[0]&0x80 != 0:
		w.port = socket.EvenPortAndNext
	case hasEven:
		w.port = socket.EvenPort
	}
	return w, 0
}

// overLimit returns the code of the refusal if the wish would be too much, or 0.
func (b *books) overLimit(r *request, w *wish) int {
	n := 1
	switch {
	case w.hasToken:
		n = 0 // its place is taken already
	case w.port == socket.EvenPortAndNext:
		n = 2
	}
	l, h := b.limits(), holder{r.principal, r.client.Addr(), r.class, w.family}
	switch {
	case b.draining.Load():
		return b.over(r, limitDrain)
	case b.budget.spent(l.TotalPerMonth):
		return b.over(r, limitPerMonth)
	case l.Allocations > 0 && b.size()+len(b.reservations)+n > l.Allocations:
		return b.over(r, limitAllocations)
	case n == 0:
		return 0
	case b.unused.over(r.principal, r.client, b.clock.now()):
		b.tellOfWaste(r)
		return b.over(r, limitUnused)
	case !b.quotas.fitsUser(n, l, h):
		return b.over(r, limitPerUser)
	case !b.quotas.fitsSource(n, l, h):
		return b.over(r, limitPerSource)
	case !b.quotas.leaves(n, h, int(b.maxPort)-int(b.minPort)+1, l.Allocations):
		return b.over(r, limitGroup)
	}
	return 0
}

// create makes an allocation with its own relay socket, and reserves the next port if the client
// asked for it. code is the error code of a refusal, or 0.
func (b *books) create(r *request, w *wish) (a *allocation, next *reservation, code int) {
	now := b.clock.now()
	b.nextID++
	a = &allocation{
		id: b.nextID, link: r.link, client: r.client, user: r.user, issued: r.issued, principal: r.principal,
		class: r.class, key: r.key, created: now, clock: b.clock, counters: b.counters,
		judge: b.judge,
	}
	a.expires.Store(now + int64(w.lifetime.granted))
	a.full = now + int64(w.lifetime.full)
	if w.hasToken {
		held, ok := b.reservations[w.token]
		if !ok || held.principal != a.principal || now >= held.expires {
			r.why = "no such reservation, or it is over"
			return nil, nil, 508
		}
		b.takeReservation(w.token)
		a.pool, a.relay = held.pool, held.relay
		a.relayed = netip.AddrPortFrom(held.public, held.relay.Addr.Port())
		return a, nil, 0
	}
	at := b.judge.host.Load().relays[w.family]
	if b.pools[w.family] == nil {
		b.pools[w.family] = socket.NewPool[allocation](b.minPort, b.maxPort)
	}
	a.pool = b.pools[w.family]
	first, second, err := a.pool.Open(at.Bind, w.port)
	if err != nil {
		if !b.portless { // once, not for each that asks
			b.log.Warn("no relay port", "err", err)
		}
		b.portless = true
		return nil, nil, b.over(r, limitPorts)
	}
	b.portless = false
	first.Neighbors = b.neighbors
	a.relay, a.relayed = first, netip.AddrPortFrom(at.Public, first.Addr.Port())
	if second != nil {
		second.Neighbors = b.neighbors
		next = &reservation{a.holder(), second, a.pool, at.Public, now + int64(reservationLifetime)}
	}
	return a, next, 0
}

// reserve keeps a port for an Allocate that names the returned token (RFC 8656 §7.2, EVEN-PORT's R
// bit).
func (b *books) reserve(next *reservation) (token [8]byte) {
	rand.Read(token[:]) //nolint:errcheck // it never fails
	b.reservations[token] = next
	b.quotas.add(next.holder)
	return token
}

// takeReservation takes a reservation out of the books; its port belongs to the caller.
func (b *books) takeReservation(token [8]byte) {
	held := b.reservations[token]
	delete(b.reservations, token)
	b.quotas.giveBack(held.holder)
}

// dropReservation takes a reservation out of the books and gives its port back.
func (b *books) dropReservation(token [8]byte) {
	held := b.reservations[token]
	b.takeReservation(token)
	held.pool.Release(held.relay)
}

// lifetimes are the lifetime that is granted, and the one that would be if the allocation had been
// used (see inUse): one without use yet is granted FirstLifetime at most, so that ports that
// were only taken come back soon.
type lifetimes struct{ granted, full time.Duration }

// lifetime returns the lifetime to grant for a LIFETIME attribute; ok is false if that is
// malformed. Zero stays zero in a Refresh: it ends the allocation.
func (b *books) lifetime(m *wire.Message, used bool) (l lifetimes, ok bool) {
	inForce := b.judge.settings.Load()
	least := max(defaultLifetime, inForce.MinLifetime)
	l.full = least
	if v, has := m.Get(wire.AttrLifetime); has {
		if len(v) != 4 {
			return l, false
		}
		asked := time.Duration(binary.BigEndian.Uint32(v)) * time.Second
		if asked == 0 && m.Method == wire.MethodRefresh {
			return lifetimes{}, true
		}
		l.full = min(max(asked, least), maxLifetime)
	}
	l.granted = l.full
	if !used {
		l.granted = min(l.full, inForce.firstLifetime())
	}
	return l, true
}

// refresh: RFC 8656 §8.2.
func (b *books) refresh(r *request, a *allocation) {
	if family, ok := r.msg.Get(wire.AttrRequestedFamily); ok {
		if len(family) != 4 {
			b.refuse(r, 400)
			return
		}
		if family[0] != wire.FamilyOf(a.relayed.Addr()) {
			b.refuse(r, 443)
			return
		}
	}
	life, ok := b.lifetime(&r.msg, a.inUse())
	if !ok {
		b.refuse(r, 400)
		return
	}
	if life.full == 0 {
		b.end(a, endReleased)
		b.remove()
	} else {
		if !b.agreed(r, b.engine.Refresh(a.id)) {
			return
		}
		now := b.clock.now()
		a.full = now + int64(life.full)
		a.extend(now + int64(life.granted))
	}
	b.answer(r, func(m *wire.Builder) { m.Uint32(wire.AttrLifetime, uint32(life.granted/time.Second)) })
}
