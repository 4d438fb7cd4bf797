package turnsvc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/turnsvc/internal/engine"
	"signalbox/turnsvc/internal/wire"
)

// The books grant what the gate has authenticated. They run in one goroutine, which alone talks to
// the engine, creates and ends allocations, and owns ports and quotas: so nothing here races with
// anything, and every way out gives back what it took.

const (
	// grantQueue bounds requests that wait for the books, sourceQueue those of one source: whoever
	// floods with authentic requests leaves room for others. A client whose request is dropped
	// sends it again.
	grantQueue    = 1024
	sourceQueue   = grantQueue / 4
	sweepInterval = time.Second
)

type books struct {
	s         *Server
	engineKey []byte
	requests  chan *request
	waiting   waiting
	wake      chan struct{} // there are ends to be made

	minPort, maxPort uint16 // relay ports

	// channelTimeout is when pion forgets a channel: before we do, so that it never knows one that
	// we have let go.
	channelTimeout time.Duration

	// Owned by run.
	engine       *engine.Engine
	pools        [2]*pool // by family; nil until the first relay address of that
	reservations map[[8]byte]*reservation
	nextID       uint64
	quotas       quotas
	budget       *budget
	replies      replies
	portless     bool           // the last relay socket could not be opened
	readers      sync.WaitGroup // one for each relay socket's reader

	ports [2]atomic.Int64 // taken from each pool; the books write it, for others to read

	mu     sync.Mutex
	live   map[uint64]*allocation
	ending []*allocation // each live allocation at most once, so it is bounded by them
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

// submit queues a request. It reports false when the queue is full, or has enough of that source.
func (b *books) submit(r *request) bool {
	slot := b.waiting.of(r.client.Addr())
	if slot.Add(1) <= sourceQueue {
		select {
		case b.requests <- r:
			return true
		default:
		}
	}
	slot.Add(-1)
	return false
}

// end stops an allocation at once and has the books remove it soon. It may be called from any
// goroutine, and more than once.
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

// streamOver ends the allocation of a stream whose reader has returned. A request of that stream
// may still be queued, so the books look again when they have come to it.
func (b *books) streamOver(l *streamLink) {
	if a := l.a.Load(); a != nil {
		b.end(a)
	}
}

// run owns the books until ctx is done; then it ends every allocation and returns.
func (b *books) run(ctx context.Context) error {
	var err error
	if b.engine, err = engine.New(b.engineKey, b.channelTimeout, b.s.clock.read, b.s.log); err != nil {
		return err
	}
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case r := <-b.requests:
			b.waiting.of(r.client.Addr()).Add(-1)
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
			b.engine.Close()
			b.readers.Wait()
			return nil
		}
	}
}

// safely keeps one request's panic from ending everybody's calls.
func (b *books) safely(f func()) {
	defer b.s.recovered("panic in the allocation books")
	defer b.tellPorts()
	f()
}

// tellPorts lets others know how many ports are taken.
func (b *books) tellPorts() {
	for i, p := range b.pools {
		if p != nil {
			b.ports[i].Store(int64(p.taken()))
		}
	}
}

// sweep ends what has expired. The packet path enforces every deadline itself; this gives the ports
// back.
func (b *books) sweep() {
	now := b.s.clock.now()
	limits := &b.s.live.Load().Limits
	b.quotas.follow(limits)
	b.quotas.forgetIdle(now)
	b.budget.count(b.list(), b.s.clock)
	b.budget.warn(limits.TotalPerMonth, b.s.log)
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
	b.replies.forget(now)
	b.s.settle(b.s.rooms.sweep(now))
	b.followHost(now)
}

// remove takes ended allocations out of pion's books and ours.
func (b *books) remove() {
	b.mu.Lock()
	ending := b.ending
	b.ending = nil
	for _, a := range ending {
		delete(b.live, a.id)
		b.budget.over(a, b.s.clock.wall()) // before anybody can miss it among the live ones
	}
	b.mu.Unlock()
	for _, a := range ending {
		if a.link.allocation(a.client) == a {
			a.link.setAllocation(a.client, nil)
		}
		a.pool.release(a.relay)
		if a.scope.member != nil {
			b.s.rooms.detach(a)
		}
		b.quotas.giveBack(a.principal, a.client.Addr())
		if err := b.engine.Remove(a.id); err != nil {
			b.s.log.Error("remove an allocation from the TURN engine", "err", err)
		}
		b.s.log.Debug("allocation ended", "relay", a.relayed, "client", a.client)
	}
}

// handle grants or refuses one request and answers it.
func (b *books) handle(r *request) {
	now := b.s.clock.now()
	if raw := b.replies.find(r); raw != nil {
		r.link.send(raw, r.client) // a retransmission
		return
	}
	b.followHost(now)
	a := r.link.allocation(r.client)
	if a != nil && !a.live(now) {
		b.end(a)
		b.remove()
		a = nil
	}
	if a != nil && (a.user != r.user || !sameKey(a.key, r.key)) {
		b.refuse(r, taken(r.msg.Method)) // it was made since the gate looked
		return
	}
	if a != nil && a.made.repeated(r, now) {
		r.link.send(a.made.raw, r.client)
		return
	}
	if a == nil && (r.vouched || r.msg.Method != wire.MethodAllocate) {
		b.refuse(r, 437)
		return
	}
	switch r.msg.Method {
	case wire.MethodAllocate:
		b.allocate(r, a)
	case wire.MethodRefresh:
		b.refresh(r, a)
	case wire.MethodCreatePermission:
		b.createPermission(r, a)
	case wire.MethodChannelBind:
		b.channelBind(r, a)
	}
}

func (b *books) refuse(r *request, code int) {
	b.s.counters.refusedTo(r.class, code)
	b.reply(r, errorAnswer(nil, &r.msg, r.key, code))
}

// answer signs and sends a success answer.
func (b *books) answer(r *request, attrs func(*wire.Builder)) {
	m := wire.Begin(nil, r.msg.Method, wire.ClassSuccess, r.msg.TransactionID())
	if attrs != nil {
		attrs(&m)
	}
	m.Sign(r.key)
	raw := m.End(r.msg.Fingerprint)
	if r.msg.Method == wire.MethodAllocate {
		a := r.link.allocation(r.client)
		a.made = made{[12]byte(r.msg.TransactionID()), raw, b.s.clock.now() + int64(replyLifetime)}
	}
	b.reply(r, raw)
}

// reply sends the one answer to r, and keeps it for retransmissions.
func (b *books) reply(r *request, raw []byte) {
	b.replies.keep(r, raw, b.s.clock.now())
	r.link.send(raw, r.client)
}

// granted reports whether the engine agreed. If it did not, although the gate had, the client is
// refused.
func (b *books) granted(r *request, err error) bool {
	if err != nil {
		b.s.log.Error("the TURN engine disagrees with the gate", "method", r.msg.Method, "err", err)
		b.refuse(r, 508)
	}
	return err == nil
}
