package turnsvc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"signalbox/turnsvc/cred"
)

// The books grant what the gate has authenticated. They run in one goroutine, which alone talks to the engine, creates and ends
// allocations, and owns ports and quotas: so nothing here races with anything, and every way out gives back what it took.

const (
	// grantQueue bounds requests that wait for the books; a client whose request is dropped sends it again.
	grantQueue = 1024
	// reservationLifetime is for a port reserved by EVEN-PORT (RFC 8656 §7.2).
	reservationLifetime = 30 * time.Second
	maxLifetime         = 3540 * time.Second // below engineLifetime: pion's timer never fires first
	defaultLifetime     = 600 * time.Second
	sweepInterval       = time.Second
)

type books struct {
	s         *Server
	engineKey []byte
	requests  chan *request
	wake      chan struct{} // there are ends to be made

	// channelTimeout is when pion forgets a channel: before we do, so that it never knows one that we have let go.
	channelTimeout time.Duration

	// Owned by run.
	engine       *engine
	pool         *pool
	reservations map[[8]byte]reservation
	nextID       uint64
	perUser      map[string]int
	perSource    map[netip.Prefix]int
	readers      sync.WaitGroup // one for each relay socket's reader

	mu     sync.Mutex
	live   map[uint64]*allocation
	ending []*allocation // each live allocation at most once, so it is bounded by them
}

type reservation struct {
	relay   *relay
	user    string
	expires int64
}

// list returns the live allocations.
func (b *books) list() []*allocation {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*allocation, 0, len(b.live))
	for _, a := range b.live {
		all = append(all, a)
	}
	return all
}

// size counts the live allocations.
func (b *books) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.live)
}

// submit queues a request. It reports false when the queue is full.
func (b *books) submit(r *request) bool {
	select {
	case b.requests <- r:
		return true
	default:
		return false
	}
}

// end stops an allocation at once and has the books remove it soon. It may be called from any goroutine, and more than once.
func (b *books) end(a *allocation) {
	b.mu.Lock()
	if a.ended.Swap(true) {
		b.mu.Unlock()
		return
	}
	a.expires.Store(0)
	b.ending = append(b.ending, a) // in the same breath: who finds it ended finds it here
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default: // it is awake
	}
}

// streamOver ends the allocation of a stream whose reader has returned. A request of that stream may still be queued, so the
// books look again when they have come to it.
func (b *books) streamOver(l *streamLink) {
	if a := l.a.Load(); a != nil {
		b.end(a)
	}
}

// run owns the books until ctx is done; then it ends every allocation and returns.
func (b *books) run(ctx context.Context) error {
	var err error
	if b.engine, err = newEngine(b.engineKey, b.channelTimeout, b.s.clock.read, b.s.log); err != nil {
		return err
	}
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case r := <-b.requests:
			b.safely(func() { b.handle(r) })
		case <-b.wake:
			b.safely(b.remove)
		case <-tick.C:
			b.safely(b.sweep)
		case <-ctx.Done():
			for _, a := range b.list() {
				b.end(a)
			}
			b.safely(b.remove)
			for token := range b.reservations {
				b.dropReservation(token)
			}
			b.engine.close()
			b.readers.Wait()
			return nil
		}
	}
}

// safely keeps one request's panic from ending everybody's calls.
func (b *books) safely(f func()) {
	defer func() {
		if v := recover(); v != nil {
			b.s.counters.drop(dropPanic)
			b.s.log.Error("panic in the allocation books", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// sweep ends what has expired. The packet path enforces every deadline itself; this gives the ports back.
func (b *books) sweep() {
	now := b.s.clock.now()
	for _, a := range b.list() {
		if !a.live(now) {
			b.end(a)
		} else {
			a.forgetExpired(now)
		}
	}
	for token, r := range b.reservations {
		if now >= r.expires {
			b.dropReservation(token)
		}
	}
	b.s.refreshOwn(now)
}

// remove takes ended allocations out of pion's books and ours.
func (b *books) remove() {
	b.mu.Lock()
	ending := b.ending
	b.ending = nil
	for _, a := range ending {
		delete(b.live, a.id)
	}
	b.mu.Unlock()
	for _, a := range ending {
		if a.link.allocation(a.client) == a {
			a.link.setAllocation(a.client, nil)
		}
		b.pool.release(a.relay)
		b.uncount(a.user, a.client.Addr())
		if err := b.engine.remove(a.id); err != nil {
			b.s.log.Error("remove an allocation from the TURN engine", "err", err)
		}
		b.s.log.Debug("allocation ended", "relay", a.relayed, "client", a.client)
	}
}

func (b *books) count(user string, client netip.Addr) {
	b.perUser[user]++
	b.perSource[sourceOf(client)]++
}

func (b *books) uncount(user string, client netip.Addr) {
	if b.perUser[user]--; b.perUser[user] <= 0 {
		delete(b.perUser, user)
	}
	src := sourceOf(client)
	if b.perSource[src]--; b.perSource[src] <= 0 {
		delete(b.perSource, src)
	}
}

// handle grants or refuses one request and answers it.
func (b *books) handle(r *request) {
	a := r.link.allocation(r.client)
	if a != nil && !a.live(b.s.clock.now()) {
		b.end(a)
		b.remove()
		a = nil
	}
	if a != nil && (a.user != r.user || !sameKey(a.key, r.key)) {
		b.refuse(r, 441) // it was made since the gate looked
		return
	}
	if a == nil && (r.vouched || r.msg.method != methodAllocate) {
		b.refuse(r, 437)
		return
	}
	switch r.msg.method {
	case methodAllocate:
		b.allocate(r, a)
	case methodRefresh:
		b.refresh(r, a)
	case methodCreatePermission:
		b.createPermission(r, a)
	case methodChannelBind:
		b.channelBind(r, a)
	}
}

func (b *books) refuse(r *request, code int) {
	b.s.counters.refused(code)
	r.link.send(errorAnswer(nil, &r.msg, r.key, code), r.client)
}

// answer signs and sends a success answer, and returns it.
func (b *books) answer(r *request, attrs func(*builder)) []byte {
	m := begin(nil, r.msg.method, classSuccess, r.msg.transactionID())
	if attrs != nil {
		attrs(&m)
	}
	m.sign(r.key)
	raw := m.end(r.msg.fingerprint)
	r.link.send(raw, r.client)
	return raw
}

// granted reports whether the engine agreed. If it did not, although the gate had, the client is refused.
func (b *books) granted(r *request, err error) bool {
	if err != nil {
		b.s.log.Error("the TURN engine disagrees with the gate", "method", r.msg.method, "err", err)
		b.refuse(r, 508)
	}
	return err == nil
}

// allocate: RFC 8656 §7.2.
func (b *books) allocate(r *request, a *allocation) {
	if a != nil {
		if string(a.answeredTID[:]) == string(r.msg.transactionID()) {
			r.link.send(a.answer, r.client) // a retransmission
		} else {
			b.refuse(r, 437)
		}
		return
	}
	want, token, code := b.wanted(&r.msg)
	if code == 0 {
		code = b.overQuota(r)
	}
	if code != 0 {
		b.refuse(r, code)
		return
	}
	life, ok := b.lifetime(&r.msg)
	if !ok {
		b.refuse(r, 400)
		return
	}

	var first, next *relay
	if token != nil {
		held, found := b.reservations[[8]byte(token)]
		if !found || held.user != r.user {
			b.refuse(r, 508)
			return
		}
		delete(b.reservations, [8]byte(token))
		first = held.relay
	} else {
		var err error
		if first, next, err = b.pool.open(want); err != nil {
			b.s.log.Warn("no relay port", "err", err)
			b.refuse(r, 508)
			return
		}
	}

	b.nextID++
	now := b.s.clock.now()
	a = &allocation{
		id: b.nextID, link: r.link, client: r.client, user: r.user, class: r.class, key: r.key, created: now,
		pool: b.pool, relay: first, relayed: netip.AddrPortFrom(b.s.publicIP, first.port), clock: b.s.clock, counters: &b.s.counters,
	}
	a.expires.Store(now + int64(life))
	if err := b.engine.allocate(a.id, a.relayed); !b.granted(r, err) {
		b.pool.release(first)
		if next != nil {
			b.pool.release(next)
		}
		return
	}
	b.count(a.user, a.client.Addr())
	b.mu.Lock()
	b.live[a.id] = a
	b.mu.Unlock()
	b.pool.publish(first.port, a)
	r.link.setAllocation(r.client, a)
	b.readers.Go(func() {
		first.read(func(p packet, from netip.AddrPort) { a.fromPeer(p, from, a.clock.now()) })
	})
	b.s.log.Debug("allocation created", "relay", a.relayed, "client", a.client, "transport", r.link.transport(), "class", a.class)

	copy(a.answeredTID[:], r.msg.transactionID())
	a.answer = b.answer(r, func(m *builder) {
		m.xorAddr(attrXORRelayedAddress, a.relayed)
		m.uint32(attrLifetime, uint32(life/time.Second))
		if next != nil {
			m.attr(attrReservationToken, b.reserve(next, r.user, now))
		}
		m.xorAddr(attrXORMappedAddress, r.client)
	})
	if l, ok := r.link.(*streamLink); ok && l.over() {
		b.end(a) // it ended while the request was queued
	}
}

// wanted reads what an Allocate asks for: the parity of the port, or the token of a reserved one. code is that of the refusal, or 0.
func (b *books) wanted(m *message) (want parity, token []byte, code int) {
	transport, ok := m.get(attrRequestedTransport)
	if !ok || len(transport) != 4 {
		return 0, nil, 400
	}
	if transport[0] != protocolUDP {
		return 0, nil, 442
	}
	family, hasFamily := m.get(attrRequestedFamily)
	even, hasEven := m.get(attrEvenPort)
	token, hasToken := m.get(attrReservationToken)
	switch {
	case hasFamily && len(family) != 4, hasEven && len(even) != 1, hasToken && len(token) != 8,
		hasToken && (hasEven || hasFamily):
		return 0, nil, 400
	case hasFamily && family[0] != familyIPv4:
		return 0, nil, 440
	case hasEven && even[0]&0x80 != 0:
		want = evenPortAndNext
	case hasEven:
		want = evenPort
	}
	return want, token, 0
}

// overQuota returns the code of the refusal if one more allocation would be too many, or 0.
func (b *books) overQuota(r *request) int {
	l := b.s.limits
	switch {
	case b.s.draining.Load(), l.Allocations > 0 && b.size() >= l.Allocations:
		return 508
	case l.PerUser > 0 && b.perUser[r.user] >= l.PerUser, l.PerSource > 0 && b.perSource[sourceOf(r.client.Addr())] >= l.PerSource:
		return 486
	}
	return 0
}

// lifetime returns what the LIFETIME attribute is granted, within the bounds of ours. Zero stays zero: what that means the caller knows.
func (b *books) lifetime(m *message) (time.Duration, bool) {
	v, ok := m.get(attrLifetime)
	if !ok {
		return defaultLifetime, true
	}
	if len(v) != 4 {
		return 0, false
	}
	asked := time.Duration(binary.BigEndian.Uint32(v)) * time.Second
	if asked == 0 && m.method == methodRefresh {
		return 0, true
	}
	return min(max(asked, b.s.minLifetime), maxLifetime), true
}

// reserve keeps r for an Allocate that names the returned token (RFC 8656 §7.2, EVEN-PORT's R bit).
func (b *books) reserve(r *relay, user string, now int64) []byte {
	var token [8]byte
	rand.Read(token[:]) //nolint:errcheck // it never fails
	b.reservations[token] = reservation{r, user, now + int64(reservationLifetime)}
	return token[:]
}

func (b *books) dropReservation(token [8]byte) {
	b.pool.release(b.reservations[token].relay)
	delete(b.reservations, token)
}

// refresh: RFC 8656 §8.2.
func (b *books) refresh(r *request, a *allocation) {
	if family, ok := r.msg.get(attrRequestedFamily); ok {
		if len(family) != 4 {
			b.refuse(r, 400)
			return
		}
		if (family[0] == familyIPv4) != a.relayed.Addr().Is4() {
			b.refuse(r, 443)
			return
		}
	}
	life, ok := b.lifetime(&r.msg)
	if !ok {
		b.refuse(r, 400)
		return
	}
	if life == 0 {
		b.end(a)
		b.remove()
	} else {
		if !b.granted(r, b.engine.refresh(a.id)) {
			return
		}
		a.expires.Store(b.s.clock.now() + int64(life))
		if a.ended.Load() {
			a.expires.Store(0) // it was ended from another goroutine meanwhile
		}
	}
	b.answer(r, func(m *builder) { m.uint32(attrLifetime, uint32(life/time.Second)) })
}

// peer decodes one XOR-PEER-ADDRESS and asks the policy. code is that of the refusal, or 0.
func (b *books) peer(r *request, a *allocation, value []byte) (peer netip.AddrPort, g grant, code int) {
	peer, ok := xorAddress(value, r.msg.transactionID())
	switch {
	case !ok:
		return peer, g, 400
	case peer.Addr().Is4() != a.relayed.Addr().Is4():
		return peer, g, 443
	}
	if g = b.s.policyGrant(a.class, peer.Addr()); g == (grant{}) {
		return peer, g, 403
	}
	return peer, g, 0
}

// createPermission: RFC 8656 §10.2. One bad peer, and none is installed.
func (b *books) createPermission(r *request, a *allocation) {
	peers := make([]netip.Addr, 0, 4)
	grants := make([]grant, 0, 4)
	for i := range r.msg.attrs[:r.msg.n] {
		if r.msg.attrs[i].typ != attrXORPeerAddress {
			continue
		}
		peer, g, code := b.peer(r, a, r.msg.attrs[i].value)
		if code != 0 {
			b.refuse(r, code)
			return
		}
		peers, grants = append(peers, peer.Addr()), append(grants, g)
	}
	now := b.s.clock.now()
	switch {
	case len(peers) == 0:
		b.refuse(r, 400)
		return
	case b.tooManyPermissions(a, peers, now):
		b.refuse(r, 508)
		return
	}
	if !b.granted(r, b.engine.permit(a.id, peers)) {
		return
	}
	for i, ip := range peers {
		a.permit(ip, grants[i], now)
	}
	b.answer(r, nil)
}

// tooManyPermissions reports whether peers would take the allocation past its limit.
func (b *books) tooManyPermissions(a *allocation, peers []netip.Addr, now int64) bool {
	limit := b.s.limits.Permissions
	if limit <= 0 {
		return false
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	total := len(a.permissions)
	for _, ip := range peers {
		if a.permissions[ip] == nil {
			total++
		}
	}
	return total > limit
}

// channelBind: RFC 8656 §12.2.
func (b *books) channelBind(r *request, a *allocation) {
	number, ok := r.msg.get(attrChannelNumber)
	value, okPeer := r.msg.get(attrXORPeerAddress)
	if !ok || !okPeer || len(number) != 4 {
		b.refuse(r, 400)
		return
	}
	n := binary.BigEndian.Uint16(number)
	if n < firstChannel || n > lastChannel {
		b.refuse(r, 400)
		return
	}
	peer, g, code := b.peer(r, a, value)
	if code == 0 {
		code = b.channelConflict(a, n, peer)
	}
	now := b.s.clock.now()
	if code == 0 && b.tooManyPermissions(a, []netip.Addr{peer.Addr()}, now) {
		code = 508
	}
	if code != 0 {
		b.refuse(r, code)
		return
	}
	if !b.granted(r, b.engine.bind(a.id, n, peer)) {
		return
	}
	a.bind(n, peer, a.permit(peer.Addr(), g, now), now)
	b.answer(r, nil)
}

// channelConflict refuses to bind a number to a second peer, or a peer to a second number, while a binding lasts; and more
// channels than the limit.
func (b *books) channelConflict(a *allocation, number uint16, peer netip.AddrPort) int {
	a.forgetExpired(b.s.clock.now())
	a.mu.RLock()
	defer a.mu.RUnlock()
	byNumber, byPeer := a.channels[number], a.byPeer[peer]
	switch limit := b.s.limits.Channels; {
	case byNumber != byPeer:
		return 400
	case byNumber == nil && limit > 0 && len(a.channels) >= limit:
		return 508
	}
	return 0
}

// policyGrant asks the policy what an allocation of class c may do with peer.
func (s *Server) policyGrant(c cred.Class, peer netip.Addr) grant {
	return s.policy.grant(c, peer, *s.own.Load(), s.relays)
}
