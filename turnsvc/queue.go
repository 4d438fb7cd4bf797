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
// itself: each user and each source has its turn after the other, however many wait, and from
// however many addresses, or under however many credentials, they come. It is start-time fair
// queueing: a request's turn comes after those that its user and its source have waiting, and of
// all that wait the one with the earliest turn is next.
type queue struct {
	ready chan struct{} // there is something to take

	mu         sync.Mutex
	waiting    turns
	now        uint64 // the turn that was taken last
	arrivals   uint64
	principals map[string]*share
	sources    map[netip.Prefix]*share
}

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
	return &queue{ready: make(chan struct{}, 1), principals: map[string]*share{}, sources: map[netip.Prefix]*share{}}
}

// cost is how far a request moves the next turn of whom it is from. It grows with what the books
// have to do for it: a CreatePermission can name hundreds of peers.
func cost(r *request) uint64 { return 1 + uint64(len(r.raw))/128 }

// put queues r. It returns the request for which there is no room: nil, r, or in its place one that
// would have waited longest.
func (q *queue) put(r *request) (without *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	from := source.Of(r.client.Addr())
	turn := q.now
	for _, s := range []*share{q.principals[r.principal], q.sources[from]} {
		if s != nil {
			turn = max(turn, s.next)
		}
	}
	if s := q.sources[from]; s != nil && s.n >= sourceQueue {
		return r
	}
	if len(q.waiting) >= grantQueue {
		last := q.waiting.last()
		if q.waiting[last].turn <= turn {
			return r
		}
		without = q.remove(last)
	}
	enter(q.principals, r.principal, turn+cost(r))
	enter(q.sources, from, turn+cost(r))
	q.arrivals++
	heap.Push(&q.waiting, queued{r, turn, q.arrivals})
	q.signal()
	return without
}

// take returns the next request, or nil.
func (q *queue) take() *request {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return nil
	}
	q.now = q.waiting[0].turn
	r := q.remove(0)
	if len(q.waiting) > 0 {
		q.signal()
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
	leave(q.principals, r.principal)
	leave(q.sources, source.Of(r.client.Addr()))
	return r
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

func leave[K comparable](shares map[K]*share, who K) {
	if s := shares[who]; s.n > 1 {
		s.n--
	} else {
		delete(shares, who)
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
