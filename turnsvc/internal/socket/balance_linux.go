//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"math/rand/v2"

	"golang.org/x/sys/unix"
)

// Sockets are dealt to the watches at random: browsers allocate in pairs, of which one carries the
// call, so in turns one watch could get all of what is carried. What chance has dealt badly is
// moved when a watch has much more to read than another.

// order has a watch move a share of what it reads to another. Each socket that gets something is
// looked at once for each order.
type order struct {
	to    *watch
	share float64
}

// busy is how many datagrams a watch reads between two calls of Balance, at least, when others are
// to take some: a core carries some ten times as many in a second.
const busy = 5000

// Balance has the watch that has read most since it was called last, if it is busy, move sockets to
// the one that has read least. It is to be called once a second, by who calls Read.
func (r *Readers) Balance() {
	var most, least int
	lately := make([]uint64, len(r.watches))
	for i, w := range r.watches {
		read := w.read.Load()
		lately[i], r.before[i] = read-r.before[i], read
		w.order.Store(nil)
		if lately[i] > lately[most] {
			most = i
		}
		if lately[i] < lately[least] {
			least = i
		}
	}
	if gap := lately[most] - lately[least]; lately[most] >= busy && 4*gap > lately[most] {
		r.watches[most].order.Store(&order{r.watches[least], float64(gap) / float64(2*lately[most])})
	}
}

// moves reports whether a socket that has just been read goes to another watch. The watch's own
// goroutine asks, so nobody reads it meanwhile, and its datagrams stay in order.
func (w *watch) moves(s *relaySocket) bool {
	o := w.order.Load()
	if o == nil || s.judged == o {
		return false
	}
	s.judged = o
	return rand.Float64() < o.share && w.pass(s, o.to)
}

// pass gives a socket to another watch, and reports whether that has it.
func (w *watch) pass(s *relaySocket, to *watch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watch != w {
		return false // it has just been closed
	}
	w.remove(s)
	if to.add(s) != nil {
		w.seat(s)
		_ = w.control(unix.EPOLL_CTL_MOD, s)
		return false
	}
	_ = w.control(unix.EPOLL_CTL_DEL, s)
	return true
}
