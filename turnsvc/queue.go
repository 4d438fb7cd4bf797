package turnsvc

import (
	"container/heap"
	"net/netip"
	"sync"

	"signalbox/internal/source"
)

const (
	// grantQueue bounds requests that wait for the books, sourceQueue those of one source. A client
	// whose request finds no room sends it again.
	grantQueue  = 1024
	sourceQueue = grantQueue / 4
)

// queue is the requests that wait for the books. Whoever floods with authentic requests waits for
// itself: each user and each source has its turn after the other, however many requests it has, and
// from however many addresses, or under however many credentials, they come. It is start-time fair
// queueing: a request's turn comes after those that its user and its source have had, and of all
// that wait the one with the earliest turn is next. The turn moves on with every agingTakes
// requests, too, so that newcomers, whose turn is always now, keep nobody waiting for good.
type queue struct {
	ready           chan struct{} // there is something to take
	most, mostOfOne int           // requests, in all and of a source

	mu         sync.Mutex
	waiting    turns
	now        uint64 // the turn that is being taken
	takes      uint64
	arrivals   uint64
	principals map[string]*share
	sources    map[netip.Prefix]*share // by each of the source's blocks
}

const (
	agingTakes = 64
	sweepTakes = 1024 // between two looks for shares that are used up
)

// share is what one user, or one source, has waiting.
type share struct {
	n    int
	next uint64 // the turn of its next request
}

// queued is a request and its turn.
type queued struct {
	*request
	turn    uint64
	arrival uint64 // so that equal turns are taken in order
}

func newQueue() *queue {
	return &queue{
		ready: make(chan struct{}, 1), most: grantQueue, mostOfOne: sourceQueue,
		principals: map[string]*share{}, sources: map[netip.Prefix]*share{},
	}
}

// cost is how far a request moves the next turn of whom it is from. It grows with what the books
// have to do for it: a CreatePermission can name hundreds of peers.
func cost(r *request) uint64 { return 1 + uint64(len(r.raw))/128 }

// put queues r. It returns the request for which there is no room: nil, r, or in its place one that
// would have waited longest.
func (q *queue) put(r *request) (without *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	from := source.Blocks(r.client.Addr())
	turn := q.now
	if s := q.principals[r.principal]; s != nil {
		turn = max(turn, s.next)
	}
	for _, block := range from {
		if s := q.sources[block]; s != nil {
			turn = max(turn, s.next)
		}
	}
	if s := q.sources[from[0]]; s != nil && s.n >= q.mostOfOne {
		i := q.busiest(from[0])
		if q.principals[q.waiting[i].principal].n <= q.waitingFor(r.principal)+1 {
			return r
		}
		without = q.evict(i)
	} else if len(q.waiting) >= q.most {
		last := q.waiting.last()
		if q.waiting[last].turn <= turn {
			return r
		}
		without = q.evict(last)
	}
	enter(q.principals, r.principal, turn+cost(r))
	for _, block := range from {
		enter(q.sources, block, turn+cost(r))
	}
	q.arrivals++
	heap.Push(&q.waiting, queued{r, turn, q.arrivals})
	q.signal()
	return without
}

// busiest returns the index of the latest request, of a source, of the user who has most waiting.
// mu is held.
func (q *queue) busiest(from netip.Prefix) (at int) {
	at, most := -1, 0
	for i, w := range q.waiting {
		if source.Of(w.client.Addr()) != from {
			continue
		}
		if n := q.principals[w.principal].n; at < 0 || n > most || n == most && q.waiting.Less(at, i) {
			at, most = i, n
		}
	}
	return at
}

// waitingFor returns how many requests of a user wait. mu is held.
func (q *queue) waitingFor(principal string) int {
	if s := q.principals[principal]; s != nil {
		return s.n
	}
	return 0
}

// take returns the next request, or nil.
func (q *queue) take() *request {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return nil
	}
	q.now = max(q.now, q.waiting[0].turn)
	r := q.remove(0)
	q.takes++
	if q.takes%agingTakes == 0 {
		q.now++
	}
	if q.takes%sweepTakes == 0 {
		sweep(q.principals, q.now)
		sweep(q.sources, q.now)
	}
	if len(q.waiting) > 0 {
		q.signal()
	} else {
		clear(q.principals) // nobody waits: nobody has had more than another
		clear(q.sources)
	}
	return r
}

func (q *queue) signal() {
	select {
	case q.ready <- struct{}{}:
	default: // it is known
	}
}

// remove takes out the request at an index. mu is held.
func (q *queue) remove(i int) *request {
	r := heap.Remove(&q.waiting, i).(queued).request
	q.principals[r.principal].n--
	for _, block := range source.Blocks(r.client.Addr()) {
		q.sources[block].n--
	}
	return r
}

// evict takes out the request at an index without its having had its turn: whoever asks again must
// not stand behind those who have had theirs. mu is held.
func (q *queue) evict(i int) *request {
	turn := q.waiting[i].turn
	r := q.remove(i)
	q.principals[r.principal].yield(turn, cost(r))
	for _, block := range source.Blocks(r.client.Addr()) {
		q.sources[block].yield(turn, cost(r))
	}
	return r
}

// yield gives back a turn that was not had, unless others have been reckoned from it.
func (s *share) yield(turn, cost uint64) {
	if s.next == turn+cost {
		s.next = turn
	}
}

func enter[K comparable](shares map[K]*share, who K, next uint64) {
	s := shares[who]
	if s == nil {
		s = new(share)
		shares[who] = s
	}
	s.n++
	s.next = next
}

// sweep forgets shares of which nothing waits and whose next turn has come.
func sweep[K comparable](shares map[K]*share, now uint64) {
	for who, s := range shares {
		if s.n == 0 && s.next <= now {
			delete(shares, who)
		}
	}
}

// turns is a heap.Interface; the earliest turn is at index 0.
type turns []queued

func (t turns) Len() int { return len(t) }
func (t turns) Less(i, j int) bool {
	return t[i].turn < t[j].turn || t[i].turn == t[j].turn && t[i].arrival < t[j].arrival
}
func (t turns) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *turns) Push(x any)   { *t = append(*t, x.(queued)) }
func (t *turns) Pop() any {
	last := len(*t) - 1
	w := (*t)[last]
	(*t)[last] = queued{} // it must not be kept
	*t = (*t)[:last]
	return w
}

// last is the index of the latest turn.
func (t turns) last() (last int) {
	for i := range t {
		if t.Less(last, i) {
			last = i
		}
	}
	return last
}
