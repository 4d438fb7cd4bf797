package source

import (
	"net/netip"
	"sync"
)

// Crowd counts what is open at one time, such as connections, in all and by source, and by each of
// the source's wider blocks; see Blocks.
type Crowd struct {
	all, perSource int

	mu      sync.Mutex
	n       int
	sources map[netip.Prefix]int // by block
	refused uint64
}

// NewCrowd returns an empty crowd. all and perSource are the limits; 0 means no limit.
func NewCrowd(all, perSource int) *Crowd {
	return &Crowd{all: all, perSource: perSource, sources: map[netip.Prefix]int{}}
}

// Enter counts one from ip in, unless there are too many. Call leave once to count it out. Without
// an address there is no source, so only the limit in all holds.
func (c *Crowd) Enter(ip netip.Addr) (leave func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isFull(ip) {
		c.refused++
		return nil, false
	}
	c.count(ip, 1)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.count(ip, -1)
	}, true
}

func (c *Crowd) count(ip netip.Addr, n int) {
	c.n += n
	for _, block := range Blocks(ip) {
		if c.sources[block] += n; c.sources[block] == 0 {
			delete(c.sources, block)
		}
	}
}

// Full reports whether one from ip would be refused.
func (c *Crowd) Full(ip netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isFull(ip)
}

func (c *Crowd) isFull(ip netip.Addr) bool {
	_, crowded := c.crowded(ip)
	return crowded || c.all > 0 && c.n >= c.all
}

// Crowded reports whether no more from the source of ip may enter, however few there are in all,
// and of which of its blocks too many are in: the narrowest one.
func (c *Crowd) Crowded(ip netip.Addr) (block netip.Prefix, crowded bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.crowded(ip)
}

func (c *Crowd) crowded(ip netip.Addr) (block netip.Prefix, crowded bool) {
	if c.perSource <= 0 || !ip.IsValid() {
		return block, false
	}
	for i, block := range Blocks(ip) {
		if c.sources[block] >= MayHold(c.perSource, i) {
			return block, true
		}
	}
	return block, false
}

// Counts returns how many are in, and how many were refused since the start.
func (c *Crowd) Counts() (open int, refused uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n, c.refused
}

// SetLimits changes how many there may be from now on. Those who are in stay.
func (c *Crowd) SetLimits(all, perSource int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all, c.perSource = all, perSource
}
