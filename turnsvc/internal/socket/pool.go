package socket

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
)

// ErrNoPort says that every port of the pool is taken.
var ErrNoPort = errors.New("no relay port is free")

// maxBindTries bounds the search when other programs hold ports of the range.
const maxBindTries = 32

// maxPairTries is how many random even ports are tried for a free next one; that is nearly always
// enough.
const maxPairTries = 32

// Parity is what an EVEN-PORT attribute asks of a port (RFC 8656 §18.6).
type Parity uint8

const (
	AnyPort Parity = iota
	EvenPort
	EvenPortAndNext // the next higher port is reserved, too
)

// Pool hands out the relay ports of one address family. A port belongs to one holder, whichever
// address it was bound on. Two lists hold the free ports, even and odd, and each port's place is
// known. So it takes constant time to take a random one (ports must not be guessable,
// CVE-2025-69217), to take a certain one, and to give one back; only taking a pair may look at
// every even port. One goroutine uses it; any may call Holder.
type Pool[T any] struct {
	// OpenPort opens a relay socket. Tests replace it.
	OpenPort func(netip.AddrPort) (*Relay, error)

	min     uint16
	free    [2][]uint16
	place   []int // of port min+i in its list, -1 while taken
	holders []atomic.Pointer[T]

	mu   sync.Mutex
	back []uint16 // ports of sockets that have been closed; not yet among the free
}

// NewPool returns a pool of the ports from minPort to maxPort.
func NewPool[T any](minPort, maxPort uint16) *Pool[T] {
	n := int(maxPort) - int(minPort) + 1
	p := &Pool[T]{OpenPort: OpenRelay, min: minPort, place: make([]int, n), holders: make([]atomic.Pointer[T], n)}
	for i := range n {
		p.place[i] = -1
		p.give(minPort + uint16(i))
	}
	return p
}

// Holder returns the holder that Hold gave the port to, or nil.
func (p *Pool[T]) Holder(port uint16) *T {
	if !p.Has(port) {
		return nil
	}
	return p.holders[port-p.min].Load()
}

// Has reports whether a port is one of the pool's, free or not.
func (p *Pool[T]) Has(port uint16) bool {
	i := int(port) - int(p.min)
	return i >= 0 && i < len(p.holders)
}

// Hold makes a port findable as its holder's. It ends with Release.
func (p *Pool[T]) Hold(port uint16, by *T) { p.holders[port-p.min].Store(by) }

func (p *Pool[T]) isFree(port uint16) bool {
	i := int(port) - int(p.min)
	return i >= 0 && i < len(p.place) && p.place[i] >= 0
}

// Taken counts the ports that are not free.
func (p *Pool[T]) Taken() int {
	p.collect()
	return len(p.place) - len(p.free[0]) - len(p.free[1])
}

// collect gives back the ports of sockets that have been closed.
func (p *Pool[T]) collect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, port := range p.back {
		p.give(port)
	}
	p.back = p.back[:0]
}

func (p *Pool[T]) take(port uint16) {
	list := &p.free[port%2]
	at := p.place[port-p.min]
	last := (*list)[len(*list)-1]
	(*list)[at] = last
	p.place[last-p.min] = at
	*list = (*list)[:len(*list)-1]
	p.place[port-p.min] = -1
}

func (p *Pool[T]) give(port uint16) {
	list := &p.free[port%2]
	p.place[port-p.min] = len(*list)
	*list = append(*list, port)
}

// pick takes a random free port of the wanted Parity, and for EvenPortAndNext the next one, too.
func (p *Pool[T]) pick(want Parity) (uint16, bool) {
	even, odd := len(p.free[0]), len(p.free[1])
	if want != AnyPort {
		odd = 0
	}
	if even+odd == 0 {
		return 0, false
	}
	i := rand.IntN(even + odd)
	if want == EvenPortAndNext {
		for range maxPairTries {
			if p.isFree(p.free[0][i] + 1) {
				break
			}
			i = rand.IntN(even)
		}
		for range even { // few pairs are left: from here on one by one
			if p.isFree(p.free[0][i] + 1) {
				break
			}
			i = (i + 1) % even
		}
		if !p.isFree(p.free[0][i] + 1) {
			return 0, false
		}
		p.take(p.free[0][i] + 1)
	}
	var port uint16
	if i < even {
		port = p.free[0][i]
	} else {
		port = p.free[1][i-even]
	}
	p.take(port)
	return port, true
}

// Open binds a relay socket to ip, and for EvenPortAndNext a second one to the next higher port,
// which the caller keeps for the reservation. The error is ErrNoPort, or the system's for the last
// port tried.
func (p *Pool[T]) Open(ip netip.Addr, want Parity) (first, next *Relay, err error) {
	p.collect()
	err = ErrNoPort
	var tried []uint16 // given back only at the end, so that each try is another port
	defer func() {
		for _, port := range tried {
			p.give(port)
		}
	}()
	for range maxBindTries {
		port, ok := p.pick(want)
		if !ok {
			break
		}
		first, err = p.OpenPort(netip.AddrPortFrom(ip, port))
		if err == nil && want == EvenPortAndNext {
			if next, err = p.OpenPort(netip.AddrPortFrom(ip, port+1)); err != nil {
				first.Close()
			}
		}
		if err == nil {
			p.lend(first)
			if next != nil {
				p.lend(next)
			}
			return first, next, nil
		}
		tried = append(tried, port)
		if want == EvenPortAndNext {
			tried = append(tried, port+1)
		}
	}
	return nil, nil, fmt.Errorf("open a relay port on %s: %w", ip, err)
}

// lend has r's port come back when r has been closed.
func (p *Pool[T]) lend(r *Relay) {
	port := r.Addr.Port()
	r.gone = func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.back = append(p.back, port)
	}
}

// Release closes r. Its port is free when nobody uses the socket any more, who reads it or sends
// through it: until then the system would refuse to bind it.
func (p *Pool[T]) Release(r *Relay) {
	p.Hold(r.Addr.Port(), nil)
	r.Close()
}
