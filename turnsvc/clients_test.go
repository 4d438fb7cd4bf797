package turnsvc

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
)

// Whoever is in a chain is found while others of it come and go, and nobody else is.
func TestClients(t *testing.T) {
	t.Parallel()
	c, stays := newClients(), map[netip.AddrPort]*allocation{}
	address := func(i int) netip.AddrPort {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], uint32(i))
		return netip.AddrPortFrom(netip.AddrFrom4(ip), 9)
	}
	const clients = 12_000 // some in each chain
	add := func(i int) *allocation {
		a := &allocation{client: address(i)}
		c.set(a.client, a)
		return a
	}
	for i := 0; i < clients; i += 2 {
		stays[address(i)] = add(i)
	}
	var reading sync.WaitGroup
	done := make(chan struct{})
	reading.Go(func() {
		for {
			for addr, a := range stays {
				select {
				case <-done:
					return
				default:
				}
				if c.get(addr) != a {
					t.Errorf("%v is not found", addr)
					return
				}
			}
		}
	})
	for range 2 {
		odd := rand.Perm(clients / 2)
		for _, i := range odd {
			add(2*i + 1)
		}
		last := add(1) // in place of the other
		if c.get(last.client) != last {
			t.Error("a newer allocation does not take the place of the older")
		}
		for _, i := range rand.Perm(clients / 2) {
			c.set(address(2*i+1), nil)
			c.set(address(2*i+1), nil)
		}
	}
	close(done)
	reading.Wait()
	for i := range clients {
		if got := c.get(address(i)); got != stays[address(i)] {
			t.Fatalf("%v finds %v", address(i), got)
		}
	}
}
