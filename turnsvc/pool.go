package turnsvc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
)

var errNoPort = errors.New("no relay port is free")

// maxBindTries bounds the search when other programs hold ports of the range.
const maxBindTries = 32

// maxPairTries is how many even ports are looked at at random for a free next one, which nearly
// always are enough.
const maxPairTries = 32

// parity is what an EVEN-PORT attribute asks of a port (RFC 8656 §18.6).
type parity uint8

const (
	anyPort parity = iota
	evenPort
	evenPortAndNext // the next higher port is reserved, too
)

// pool hands out the relay ports of one address family: a port is one allocation's, whichever
// address it was bound on. The free ports lie in two lists, even and odd, each with its place
// known, so that taking one at random (they must not be guessable, CVE-2025-69217), taking a
// certain one and giving one back all cost the same however few are left; but for a pair, which may
// take a look at every even one. Only the books use it, but for lookup.
type pool struct {
	min      uint16
	free     [2][]uint16
	place    []int // of port min+i in its list, -1 while taken
	sharing  []atomic.Pointer[allocation]
	openPort func(netip.AddrPort) (*relay, error)
}

func newPool(minPort, maxPort uint16) *pool {
	n := int(maxPort) - int(minPort) + 1
	p := &pool{min: minPort, place: make([]int, n), sharing: make([]atomic.Pointer[allocation], n), openPort: openRelay}
	for i := range n {
		p.place[i] = -1
		p.give(minPort + uint16(i))
	}
	return p
}

// lookup returns the live allocation that relays on addr, be it as clients are told or as its
// socket is bound, or nil. It is safe from any goroutine.
func (p *pool) lookup(addr netip.AddrPort) *allocation {
	i := int(addr.Port()) - int(p.min)
	if i < 0 || i >= len(p.sharing) {
		return nil
	}
	if a := p.sharing[i].Load(); a != nil && (a.relayed == addr || a.relay.addr == addr) {
		return a
	}
	return nil
}

func (p *pool) publish(port uint16, a *allocation) { p.sharing[port-p.min].Store(a) }

func (p *pool) isFree(port uint16) bool {
	i := int(port) - int(p.min)
	return i >= 0 && i < len(p.place) && p.place[i] >= 0
}

// taken counts the ports that are not free.
func (p *pool) taken() int { return len(p.place) - len(p.free[0]) - len(p.free[1]) }

func (p *pool) take(port uint16) {
	list := &p.free[port%2]
	at := p.place[port-p.min]
	last := (*list)[len(*list)-1]
	(*list)[at] = last
	p.place[last-p.min] = at
	*list = (*list)[:len(*list)-1]
	p.place[port-p.min] = -1
}

func (p *pool) give(port uint16) {
	list := &p.free[port%2]
	p.place[port-p.min] = len(*list)
	*list = append(*list, port)
}

// pick takes a random free port of the wanted parity, and for evenPortAndNext the next one, too.
func (p *pool) pick(want parity) (uint16, bool) {
	even, odd := len(p.free[0]), len(p.free[1])
	if want != anyPort {
		odd = 0
	}
	if even+odd == 0 {
		return 0, false
	}
	i := rand.IntN(even + odd)
	if want == evenPortAndNext {
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

// open binds a relay socket to ip, and for evenPortAndNext a second one on the next higher port,
// which the caller keeps for the reservation. The error is errNoPort or what the system said of the
// last port tried.
func (p *pool) open(ip netip.Addr, want parity) (first, next *relay, err error) {
	err = errNoPort
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
		first, err = p.openPort(netip.AddrPortFrom(ip, port))
		if err == nil && want == evenPortAndNext {
			if next, err = p.openPort(netip.AddrPortFrom(ip, port+1)); err != nil {
				first.close()
			}
		}
		if err == nil {
			return first, next, nil
		}
		tried = append(tried, port)
		if want == evenPortAndNext {
			tried = append(tried, port+1)
		}
	}
	return nil, nil, fmt.Errorf("open a relay port on %s: %w", ip, err)
}

// release closes r and gives its port back.
func (p *pool) release(r *relay) {
	p.publish(r.addr.Port(), nil)
	r.close()
	p.give(r.addr.Port())
}
