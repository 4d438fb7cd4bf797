package turnsvc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/turnsvc/internal/engine"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

const sweepInterval = time.Second

// books grant what the gate has authenticated. They run in one goroutine, which alone talks to the
// engine, creates and ends allocations, and owns ports and quotas. So nothing here races, and every
// way out gives back what it took.
type books struct {
	*core
	judge      *judge
	keys       *keyring
	challenges *challenges
	queue      *queue
	wake       chan struct{}             // wakes the books to remove allocations in ending
	touches    chan chan []*socket.Pulse // asks run whether it goes on, and who reads for it
	draining   atomic.Bool
	drained    chan struct{} // closed once draining has come to its end
	drainedAll sync.Once

	minPort, maxPort uint16 // relay ports

	engineKey []byte
	// channelTimeout is when pion forgets a channel. It is shorter than ours, so that pion never
	// knows a channel that we have forgotten.
	channelTimeout time.Duration

	budget *budget
	counts bool                 // users' usage, too; see Options.CountUsage
	ownID  func(id string) bool // nil: there are none; see Options.Own

	// Owned by run.
	engine       *engine.Engine
	stopFollow   func()        // and waits
	pools        [2]*relayPool // by family; nil until the first relay address of that
	reservations map[[8]byte]*reservation
	nextID       uint64
	quotas       quotas
	unused       *unused
	replies      replies
	portless     bool            // the last relay socket could not be opened
	told         map[string]bool // of which shared users the log has told; see tellOfCrowd
	readers      *socket.Readers
	opened       chan struct{} // closed once run has what it needs of the system

	crowds atomic.Pointer[[]SharedUser] // run writes it, for others to read
	ports  [2]atomic.Int64              // taken from each pool; run writes it, for others to read

	mu     sync.Mutex
	all    map[uint64]*allocation // but those that have been removed
	ending []*allocation          // to be removed, each once
}

func newBooks(c *core, k *keyring, ch *challenges, engineKey []byte) *books {
	j := k.judge
	return &books{
		core: c, judge: j, keys: k, challenges: ch,
		engineKey: engineKey, channelTimeout: channelLifetime - 5*time.Second,
		queue: newQueue(), wake: make(chan struct{}, 1), touches: make(chan chan []*socket.Pulse),
		reservations: map[[8]byte]*reservation{}, quotas: newQuotas(&j.settings.Load().Limits), unused: newUnused(),
		all: map[uint64]*allocation{}, drained: make(chan struct{}), told: map[string]bool{},
		opened: make(chan struct{}),
	}
}

// list returns the allocations.
func (b *books) list() []*allocation {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*allocation, 0, len(b.all))
	for _, a := range b.all {
		all = append(all, a)
	}
	return all
}

// size counts the allocations.
func (b *books) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.all)
}

// limits returns the limits in force.
func (b *books) limits() *Limits { return &b.judge.settings.Load().Limits }

// submit queues a request. It reports false when there is no room for it.
func (b *books) submit(r *request) bool {
	without := b.queue.put(r)
	if without != nil && without != r {
		b.counters.drop(dropBusy)
	}
	return without != r
}

// end stops an allocation at once; the books remove it soon. It may be called from any goroutine,
// and more than once: the first call says why.
func (b *books) end(a *allocation, why end) {
	b.mu.Lock()
	if a.ended.Swap(true) {
		b.mu.Unlock()
		return
	}
	a.why = why
	a.expires.Store(0)
	b.ending = append(b.ending, a) // under the same lock, so that an ended one is always found here
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default: // it is awake
	}
}

// endWhere ends the allocations that match, with their streams, and returns how many.
func (b *books) endWhere(why end, match func(*allocation) bool) (n int) {
	for _, a := range b.list() {
		if a.ended.Load() || !match(a) {
			continue
		}
		n++
		b.end(a, why)
		a.link.close()
	}
	return n
}

// settle ends allocations and has permissions of others judged again, as the rooms have found.
func (b *books) settle(ending []*allocation, concerned concern) {
	for _, a := range ending {
		b.end(a, endSession)
	}
	for a, peers := range concerned {
		b.judge.review(a, peers...)
	}
}

// run owns the books until ctx is done; then it ends every allocation and returns.
func (b *books) run(ctx context.Context) error {
	if err := b.open(); err != nil {
		return err
	}
	defer b.close()
	close(b.opened)
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-b.queue.ready:
			b.next()
		case <-b.wake:
			b.turn(b.remove)
		case answer := <-b.touches:
			answer <- b.readers.Pulses()
		case <-tick.C:
			b.turn(b.sweep)
		case <-ctx.Done():
			return nil
		}
	}
}

func (b *books) open() (err error) {
	if b.engine, err = engine.New(b.engineKey, b.channelTimeout, b.clock.read, b.log); err != nil {
		return err
	}
	if b.readers, err = socket.NewReaders(b.faults); err != nil {
		b.engine.Close()
		return err
	}
	b.follow()
	return nil
}

// follow lets the judge know this host's addresses and routes, and has it look after them, in a
// goroutine of its own: a review of all permissions takes longer than a request may wait.
func (b *books) follow() {
	closeRoutes := b.judge.openRoutes()
	b.judge.look(b.clock.now(), b.list)
	done := make(chan struct{})
	var following sync.WaitGroup
	following.Go(func() {
		timer := time.NewTimer(routeInterval)
		defer timer.Stop()
		for {
			select {
			case <-timer.C:
			case <-done:
				return
			}
			began := time.Now()
			b.safely("panic in the judge", func() { b.judge.follow(b.clock.now(), b.list) })
			timer.Reset(max(routeInterval, rest*time.Since(began)))
		}
	})
	b.stopFollow = func() {
		closeRoutes() // so that questions that are left end at once
		close(done)
		following.Wait()
	}
}

func (b *books) close() {
	for _, a := range b.list() {
		b.end(a, endShutdown)
	}
	b.turn(b.remove)
	b.refusals.lines.settle(true)
	b.ends.lines.settle(true)
	for token := range b.reservations {
		b.dropReservation(token)
	}
	b.engine.Close()
	b.readers.Close()
	b.stopFollow()
}

// next handles the request whose turn it is, and reports whether there was one.
func (b *books) next() bool {
	r := b.queue.take()
	if r != nil {
		b.turn(func() { b.handle(r) })
	}
	return r != nil
}

// turn does one thing of run's, recovered, and then tells others how many ports are taken.
func (b *books) turn(f func()) {
	b.safely("panic in the allocation books", f)
	for i, p := range b.pools {
		if p != nil {
			b.ports[i].Store(int64(p.Taken()))
		}
	}
}

// sweep ends expired allocations. The packet path enforces every deadline itself; sweep gives the
// ports back.
func (b *books) sweep() {
	now := b.clock.now()
	limits := b.limits()
	b.quotas.follow(limits)
	b.quotas.forgetIdle(now)
	b.unused.forget(now)
	b.budget.count(b.list(), b.clock)
	b.budget.warn(limits.TotalPerMonth, b.log)
	for _, a := range b.list() {
		b.prolong(a)
		if !a.running(now) {
			b.end(a, endExpired)
			continue
		}
		a.forgetExpired(now)
		a.made.forget(now)
	}
	for token, r := range b.reservations {
		if now >= r.expires {
			b.dropReservation(token)
		}
	}
	b.replies.forget(now)
	b.lookForCrowds(limits.PerUser)
	b.refusals.lines.settle(false)
	b.ends.lines.settle(false)
	b.readers.Balance()
	b.settle(b.judge.rooms.sweep(now))
}

// prolong has an allocation that is used go on while it is, up to the lifetime that was asked for:
// clients are told of the short one that they are granted at first, and some don't look.
func (b *books) prolong(a *allocation) {
	if !a.inUse() {
		return
	}
	until := min(a.full, a.spoke.Load()+int64(b.judge.settings.Load().firstLifetime()))
	if until > a.expires.Load() {
		a.extend(until)
	}
}

// remove takes ended allocations out of pion's books and ours.
func (b *books) remove() {
	b.mu.Lock()
	ending := b.ending
	b.ending = nil
	for _, a := range ending {
		delete(b.all, a.id)
		// Under the same lock: it is always counted, here or in the list.
		b.budget.retire(a, b.clock)
	}
	b.mu.Unlock()
	for _, a := range ending {
		if a.link.allocation(a.client) == a {
			a.link.setAllocation(a.client, nil)
		}
		a.pool.Release(a.relay)
		if a.scope.member != nil {
			b.judge.rooms.detach(a)
		}
		b.quotas.giveBack(a.holder())
		if a.unused() {
			b.unused.add(a.principal, a.client, b.clock.now())
		}
		b.disown(a)
		if !a.own {
			b.ends.note(a)
		}
		b.watches.ended(a)
	}
	b.lookDrained()
}

// disown has the engine forget an allocation.
func (b *books) disown(a *allocation) {
	if err := b.engine.Remove(a.id); err != nil {
		b.log.Error("remove an allocation from the TURN engine", "err", err)
	}
}

// drain lets no allocation be made from now on.
func (b *books) drain() {
	b.draining.Store(true)
	b.lookDrained()
}

// lookDrained notes the end of draining: no allocation is left.
func (b *books) lookDrained() {
	if b.draining.Load() && b.size() == 0 {
		b.drainedAll.Do(func() { close(b.drained) })
	}
}

// handle grants or refuses one request and answers it.
func (b *books) handle(r *request) {
	now := b.clock.now()
	if raw := b.replies.find(r); raw != nil {
		r.link.send(raw, r.client) // a retransmission
		return
	}
	a := r.link.allocation(r.client)
	if a != nil {
		if b.prolong(a); !a.running(now) {
			b.end(a, endExpired)
			b.remove()
			a = nil
		}
	}
	if a != nil && (a.user != r.user || !sameKey(a.key, r.key)) {
		b.refuse(r, taken(r.msg.Method)) // it was made since the gate looked
		return
	}
	if a != nil && a.made.repeats(r, now) {
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

// refuse answers with an error code, signed; but with a challenge for 401, since the key is
// nobody's any more.
func (b *books) refuse(r *request, code int) {
	b.counters.refusedTo(r.class, code)
	defer b.refusals.note(refusal{
		link: r.link, code: code, why: r.why, told: r.told, user: r.issued, session: sessionOf(r.class, r.issued),
		login: r.user, client: r.client, peer: r.peer,
	})
	if code == 401 {
		b.reply(r, b.challenges.answer(nil, &r.msg, r.client, 401, b.clock.wall()))
		return
	}
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
		a.made = made{[12]byte(r.msg.TransactionID()), raw, b.clock.now() + int64(replyLifetime)}
	}
	b.reply(r, raw)
}

// reply sends the one answer to r, and keeps it for retransmissions.
func (b *books) reply(r *request, raw []byte) {
	b.replies.keep(r, raw, b.clock.now())
	r.link.send(raw, r.client)
}

// agreed reports whether the engine has done what the books asked for, judging by err. If not, it
// refuses the client's request.
func (b *books) agreed(r *request, err error) bool {
	if err != nil {
		b.log.Error("the TURN engine disagrees with the gate", "method", r.msg.Method, "err", err)
		b.refuse(r, b.over(r, limitInternal))
	}
	return err == nil
}
