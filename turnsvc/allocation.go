package turnsvc

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/source"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// Lifetimes that RFC 8656 fixes (§9, §12).
const (
	permissionLifetime = 300 * time.Second
	channelLifetime    = 600 * time.Second
)

// link is the way back to a client: a UDP socket or a stream.
type link interface {
	// data, send and answer deliver one frame to the client at addr, and keep nothing of it. They
	// wait for nobody. data is for application data, which is of no use when it is late: it reports
	// whether that is on its way, or waits for a client on a stream. send is for answers to those
	// who have shown a key; answer for those that strangers can have sent to any address.
	data(frame []byte, addr netip.AddrPort) (sent bool)
	// run is data for packets of one channel that have no framing yet. It returns how much of their
	// data is on its way, or !ok: they must be sent one by one.
	run(run wire.Run, number uint16, to netip.AddrPort, l *socket.RunLimit) (packets, bytes int, ok bool)
	send(frame []byte, addr netip.AddrPort)
	answer(frame []byte, addr netip.AddrPort)
	// padded reports whether frames are padded to four bytes, as on TCP and TLS (RFC 8656 §12.5).
	padded() bool
	transport() string // one of transportNames
	local() netip.AddrPort
	// closed reports whether a stream has ended, and close ends it. A UDP socket serves other
	// clients, too: it is never closed, and close does nothing.
	closed() bool
	close()
	// answered notes that the client has answered a nonce.
	answered()
	// allocation returns the allocation of the client at addr, or nil; setAllocation is for the
	// books.
	allocation(addr netip.AddrPort) *allocation
	setAllocation(addr netip.AddrPort, a *allocation)
}

// allocation is one client's relayed transport address, with our own deadlines for all that it may
// do. The packet path reads it from two goroutines, the front's of the client and the relay
// socket's; only the books change it.
type allocation struct {
	// Set when it is made.
	id     uint64
	link   link
	client netip.AddrPort
	user   string
	issued string // whom the credential was issued to; see identity
	// principal is the user that the credential was issued to; see keyring.principal.
	principal string
	class     cred.Class
	own       bool   // the process's itself; see Options.Own
	key       []byte // of the long-term credential: every later request is verified with it
	created   int64
	pool      *relayPool
	relay     *socket.Relay
	relayed   netip.AddrPort // as told to the client
	scope     scope
	up, down  pace // limit what the client sends and what it gets
	clock     clock
	counters  *counters
	judge     *judge

	next atomic.Pointer[allocation] // of the same chain of clients; the books write it

	made    made    // owned by the books
	full    int64   // clock; when it expires once it is in use; owned by the books
	counted account // what the budget has taken in; guarded by its mu
	tab     *tab    // whose usage it is; nil: nobody's is counted; likewise
	why     end     // set by books.end; guarded by books.mu

	// Atomics.
	expires    atomic.Int64 // clock; 0 once ended, so that the packet path needs one comparison
	ended      atomic.Bool
	fromClient traffic // what was handed over is counted apart
	handedOver traffic // from the client, to relays of this box: in process, so not over the wire
	toClient   traffic
	extra      atomic.Uint64 // bytes of framing to the client, but a channel's header for each packet
	// used and spoke are when its client last sent data, on the clock: to anybody but its own
	// session, and to somebody else as isOther has it; 0: never. heard: it has got some from there.
	used, spoke atomic.Int64
	heard       atomic.Bool
	runs        socket.RunLimit // to the client

	mu          sync.RWMutex
	permissions table[netip.Addr, permission]
	channels    table[uint16, channel]
	byPeer      table[netip.AddrPort, channel]
}

// carried is the application data that an allocation has relayed so far.
func (a *allocation) carried() Relayed {
	return Relayed{
		FromClientBytes:   a.fromClient.bytes.Load() + a.handedOver.bytes.Load(),
		FromClientPackets: a.fromClient.packets.Load() + a.handedOver.packets.Load(),
		ToClientBytes:     a.toClient.bytes.Load(),
		ToClientPackets:   a.toClient.packets.Load(),
	}
}

// made is the answer to the Allocate that made an allocation.
type made struct {
	transaction [12]byte
	raw         []byte
	expires     int64 // clock
}

// relayPool is the relay ports of one address family, each with the allocation that relays there.
type relayPool = socket.Pool[allocation]

// neighbor returns the allocation of this box that relays on addr, or nil. addr may be the public
// address or the one that its socket is bound to. It is safe from any goroutine.
func neighbor(p *relayPool, addr netip.AddrPort) *allocation {
	if a := p.Holder(addr.Port()); a != nil && (a.relayed == addr || a.relay.Addr == addr) {
		return a
	}
	return nil
}

// permission lets packets pass to and from one peer address until it expires.
type permission struct {
	grant
	expires atomic.Int64
	used    atomic.Int64 // clock; when the peer last sent data
}

// channel is a number bound to one peer. It carries only while it and the peer's permission last.
type channel struct {
	number     uint16
	peer       netip.AddrPort
	expires    atomic.Int64
	permission *permission
}

// holder is who holds its port.
func (a *allocation) holder() holder {
	return holder{a.principal, a.client.Addr(), a.class, familyIndex(a.relay.Addr.Addr())}
}

// inUse reports whether the allocation is of use: its client has sent data to somebody else, and
// has got some. Media that flows in one direction has checks (ICE, RTCP) in the other.
func (a *allocation) inUse() bool { return a.spoke.Load() != 0 && a.heard.Load() }

// isOther reports whether b belongs to somebody else, so that data for it is of use. Anybody may
// have any number of sessions, and of credentials from /api/ice: so those of one line are nobody
// else's. That an IPv4 and an IPv6 address are of one line nobody can tell; like two IPv4
// addresses, they are two.
func (a *allocation) isOther(b *allocation) bool {
	if a.forAnybody() && b.forAnybody() && source.Line(a.client.Addr()) == source.Line(b.client.Addr()) {
		return false
	}
	return a.principal != b.principal
}

// forAnybody reports whether its credential is of a class that anybody may have.
func (a *allocation) forAnybody() bool { return a.class == cred.Hub || a.class == cred.ICE }

// extend sets another deadline. The books call it.
func (a *allocation) extend(deadline int64) {
	a.expires.Store(deadline)
	if a.ended.Load() {
		a.expires.Store(0) // it was ended from another goroutine meanwhile
	}
}

// running reports whether the allocation has neither expired nor been ended.
func (a *allocation) running(now int64) bool { return now < a.expires.Load() }

// channelByNumber returns the peer that a number is bound to and that peer's permission. ok is
// false unless both the channel and the permission are in force.
func (a *allocation) channelByNumber(number uint16, now int64) (peer netip.AddrPort, g grant, ok bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	c := a.channels.get(number)
	if c == nil || now >= c.expires.Load() || now >= c.permission.expires.Load() {
		return netip.AddrPort{}, grant{}, false
	}
	return c.peer, c.permission.grant, true
}

// permissionFor returns the grant of the permission for peer; ok is false if no permission is in
// force.
func (a *allocation) permissionFor(peer netip.Addr, now int64) (g grant, ok bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	p := a.permissions.get(peer)
	if p == nil || now >= p.expires.Load() {
		return grant{}, false
	}
	return p.grant, true
}

// admits returns the permission for peer, nil if there is none in time, and the channel bound to
// that peer, 0 if none.
func (a *allocation) admits(peer netip.AddrPort, now int64) (p *permission, number uint16) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	p = a.permissions.get(peer.Addr())
	c := a.byPeer.get(peer)
	if p == nil || now >= p.expires.Load() {
		return nil, 0
	}
	if c != nil && now < c.expires.Load() {
		number = c.number
	}
	return p, number
}

// permit installs or extends the permission for peer.
func (a *allocation) permit(peer netip.Addr, g grant, now int64) *permission {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.permissions.get(peer)
	if p == nil || p.grant != g {
		p = a.replaceLocked(peer, g)
	}
	p.expires.Store(now + int64(permissionLifetime))
	return p
}

// replaceLocked replaces the permission for peer with a new one, which has no deadline yet. The old
// one can't be changed, since the packet path reads its grant. mu is held.
func (a *allocation) replaceLocked(peer netip.Addr, g grant) *permission {
	p := &permission{grant: g}
	a.permissions.set(peer, p)
	for _, c := range a.channels.all() {
		if c.peer.Addr() == peer {
			c.permission = p
		}
	}
	return p
}

// regrant changes the grant of the permission for peer. A permission that no longer allows anything
// ends.
func (a *allocation) regrant(peer netip.Addr, g grant) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.permissions.get(peer)
	if old == nil || old.grant == g {
		return
	}
	p := a.replaceLocked(peer, g)
	if g != (grant{}) {
		p.expires.Store(old.expires.Load())
		p.used.Store(old.used.Load())
	}
}

// peers lists the peers that the allocation has permissions for.
func (a *allocation) peers() []netip.Addr {
	a.mu.RLock()
	defer a.mu.RUnlock()
	list := make([]netip.Addr, 0, a.permissions.len())
	for peer := range a.permissions.all() {
		list = append(list, peer)
	}
	return list
}

// has reports whether there is a permission for peer, in force or not.
func (a *allocation) has(peer netip.Addr) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.permissions.get(peer) != nil
}

// granted is what the permission for peer allows, whether or not it is in force.
func (a *allocation) granted(peer netip.Addr) grant {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if p := a.permissions.get(peer); p != nil {
		return p.grant
	}
	return grant{}
}

// usedFor is when peer last sent data, on the clock; 0 if it has not.
func (a *allocation) usedFor(peer netip.Addr) int64 {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if p := a.permissions.get(peer); p != nil {
		return p.used.Load()
	}
	return 0
}

// mayTalk reports whether two allocations of this box may exchange packets. Each must be allowed to
// reach the other: a permission is for an address, and can't tell the relays of the box apart.
func (a *allocation) mayTalk(b *allocation) bool {
	p := &a.judge.settings.Load().policy
	return a.reachesRelay(b, p) && b.reachesRelay(a, p)
}

func (a *allocation) reachesRelay(b *allocation, p *policy) bool {
	switch p.peersOf(a.class) {
	case PeersNone:
		return p.peersOf(b.class) == PeersNone
	case PeersRoom, PeersSignaled:
		m, other := a.scope.member, b.scope.member
		return m != nil && other != nil && (m == other || together(m, other))
	}
	return true
}

// bind installs or extends the channel; p is the permission for its peer. The caller has checked
// that the number and the peer belong together.
func (a *allocation) bind(number uint16, peer netip.AddrPort, p *permission, now int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.channels.get(number)
	if c == nil {
		c = &channel{number: number, peer: peer, permission: p}
		a.channels.set(number, c)
		a.byPeer.set(peer, c)
	}
	c.expires.Store(now + int64(channelLifetime))
}

func (c *channel) expired(now int64) bool { return c != nil && now >= c.expires.Load() }

// boundTo returns the channel of that number and the channel to that peer, nil if there is none,
// and the number of all channels.
func (a *allocation) boundTo(number uint16, peer netip.AddrPort) (byNumber, byPeer *channel, n int) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.channels.get(number), a.byPeer.get(peer), a.channels.len()
}

// forgetExpired drops expired permissions and channels, so that the limits don't count them.
func (a *allocation) forgetExpired(now int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.permissions.removeIf(func(p *permission) bool { return now >= p.expires.Load() })
	a.channels.removeIf(func(c *channel) bool { return c.expired(now) })
	a.byPeer.removeIf(func(c *channel) bool { return c.expired(now) })
}
