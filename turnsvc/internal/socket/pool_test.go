package socket

import (
	"errors"
	"net/netip"
	"testing"
)

// A pair is found as long as there is one, whatever lies in between, and nothing is lost in the
// search.
func TestPairInAFragmentedRange(t *testing.T) {
	const low, high, pair = 40001, 48000, 45678
	p := NewPool[int](low, high)
	p.OpenPort = func(at netip.AddrPort) (*Relay, error) { return &Relay{Addr: at}, nil }
	for port := low; port <= high; port++ {
		if port%2 == 1 && port != pair+1 {
			p.take(uint16(port))
		}
	}
	free := func() [2]int { return [2]int{len(p.free[0]), len(p.free[1])} }
	before := free()
	ip := netip.MustParseAddr("127.0.0.1")
	first, next, err := p.Open(ip, EvenPortAndNext)
	if err != nil || first.Addr.Port() != pair || next.Addr.Port() != pair+1 {
		t.Fatalf("%v, %v, %v", first, next, err)
	}
	if got := free(); got != [2]int{before[0] - 1, before[1] - 1} {
		t.Errorf("free ports: %v, before %v", got, before)
	}
	if _, _, err := p.Open(ip, EvenPortAndNext); !errors.Is(err, ErrNoPort) {
		t.Errorf("no pair is left: %v", err)
	}
	p.give(pair)
	p.give(pair + 1)
	inUse := errors.New("in use")
	p.OpenPort = func(netip.AddrPort) (*Relay, error) { return nil, inUse }
	if _, _, err := p.Open(ip, EvenPortAndNext); !errors.Is(err, inUse) {
		t.Errorf("another program has the pair: %v", err)
	}
	if got := free(); got != before {
		t.Errorf("free ports: %v, before %v", got, before)
	}
}
