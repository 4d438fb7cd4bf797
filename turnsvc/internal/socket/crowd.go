package socket

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// network is one that a route leads to: with the index of its interface if it is a link-local one
// of IPv6, as that of a host.
type network struct {
	netip.Prefix
	link uint32
}

// networkAt returns the network behind the interface of that index.
func networkAt(p netip.Prefix, link uint32) network { return network{p, hostAt(p.Addr(), link).link} }

// within reports whether all of the network lies in another.
func (w network) within(other network) bool {
	return w.link == other.link && w.Bits() >= other.Bits() && other.Contains(w.Addr())
}

// has reports whether it is a network of the host.
func (w network) has(h host) bool { return w.Contains(h.ip) && networkAt(w.Prefix, h.link) == w }

// crowded reports whether it has as many of the hosts as a crowd.
func (w network) crowded(hosts []host) bool {
	in := 0
	for _, h := range hosts {
		if w.has(h) {
			in++
		}
	}
	return in >= crowdSize
}

// route is one of this host's.
type route struct {
	network
	direct bool // to hosts themselves, not to a router; they may be neighbors
	rank   rank
}

// rank orders routes to one network: the lowest is the one that is used.
type rank struct {
	table  byte // 0: of addresses of this host; 1: the main one; 2: any other
	metric uint32
}

func (r rank) before(other rank) bool {
	return r.table < other.table || r.table == other.table && r.metric < other.metric
}

// crowds are the networks in which many are missing. Most of their hosts that are not there are in
// no table: what is known of a host is only which route leads to it. So a network that lies in a
// crowd's is here, too, when another route leads there, as to clients of a VPN or behind a router.
type crowds struct {
	of       map[network]*crowd // nil: its hosts are in none
	bits     []int              // how long their prefixes are, the longest first
	answered map[host]struct{}  // those who are in the table with an answer
}

// crowd is a network in which many are missing: as one, all who have not answered.
type crowd struct {
	// interval is between datagrams that are let through to each of them who is known to be
	// missing, so that all of these together get as many as crowdInterval says.
	interval atomic.Int64
	unknown  missing // all others of them

	// Run's own.
	size  int       // how many are missing, as far as that is news
	known int       // how many are known to be missing
	found int       // how many were found missing since
	since time.Time // then
}

const (
	// crowdSize is how many are missing in a network before it is a crowd. The kernel forgets those
	// who do not answer every forgetTime, unless it is told to keep more, and forgets who is there
	// when it remembers 512.
	crowdSize  = 192
	forgetTime = 15 * time.Second
	// crowdInterval is between datagrams that are let through to those of whom nothing is known,
	// and apart from that to those who are known to be missing, who take nothing from newcomers so.
	crowdInterval = 100 * time.Millisecond
	// crowdFew is how many are found missing in lookTime while somebody still names such addresses:
	// half of those whom newcomers' datagrams can make known.
	crowdFew = int(lookTime / crowdInterval / 2)
	// crowdBits is how many bits of an address differ, at least, among so many hosts.
	crowdBits = 8
)

// find returns the one that a host belongs to, or nil: the longest prefix tells, as for the kernel.
func (c *crowds) find(h host) *crowd {
	if c == nil {
		return nil
	}
	for _, bits := range c.bits {
		if bits > h.ip.BitLen() {
			continue // of an address of IPv6
		}
		p, _ := h.ip.Prefix(bits)
		if found, is := c.of[networkAt(p, h.link)]; is {
			return found
		}
	}
	return nil
}

// at returns the one that a network is, or nil.
func (c *crowds) at(w network) *crowd {
	if c == nil {
		return nil
	}
	return c.of[w]
}

// news are those who are missing now, or were when the kernel last forgot some: how long it keeps
// others depends on how many there are.
func news(list []unanswered) (hosts []host) {
	for _, u := range list {
		if u.asking || u.since < forgetTime {
			hosts = append(hosts, u.host)
		}
	}
	return hosts
}

// crowded returns the networks in which many of those are missing who have not answered, and those
// in which many were before, until that is over. It is nil if there are none.
func (n *Neighbors) crowded(list []unanswered, before *crowds) *crowds {
	hosts := news(list)
	if before == nil && len(hosts) < crowdSize {
		return nil
	}
	after, err := n.candidates(hosts, before)
	if err != nil {
		if !n.lost {
			n.log.Warn("this host's routes can't be read: where many hosts are missing, the kernel may forget others",
				"err", err)
		}
		n.lost = true
		return before
	}
	n.lost = false
	for _, h := range hosts {
		if c := after.find(h); c != nil {
			c.size++
		}
	}
	goOn, now := false, time.Now()
	for w, c := range after.of {
		switch {
		case c == nil:
		case c.goesOn(now):
			goOn = true
			if before.at(w) == nil {
				n.log.Info("many hosts of this network are missing: those that are not known are sent little",
					"network", w)
			}
		default:
			after.of[w] = nil
			if before.at(w) != nil {
				n.log.Info("no longer are many hosts of this network missing", "network", w)
			}
		}
	}
	if !goOn {
		return nil
	}
	for _, h := range n.answered() {
		after.answered[h] = struct{}{}
	}
	return after
}

// candidates returns the networks that may be crowds, those that are, and all that lie in them.
func (n *Neighbors) candidates(hosts []host, before *crowds) (*crowds, error) {
	var many []network
	err := n.routes(func(r route) {
		large := r.Addr().BitLen()-r.Bits() >= crowdBits
		if r.direct && large && (before.at(r.network) != nil || r.crowded(hosts)) {
			many = append(many, r.network)
		}
	})
	if err != nil {
		return nil, err
	}
	c := &crowds{of: map[network]*crowd{}, answered: map[host]struct{}{}}
	if len(many) == 0 {
		return c, nil
	}
	ranks := map[network]rank{}
	err = n.routes(func(r route) { // again, since there may be more than can be kept
		if !slices.ContainsFunc(many, r.within) {
			return
		}
		if known, is := ranks[r.network]; is && !r.rank.before(known) {
			return
		}
		ranks[r.network] = r.rank
		if i, is := slices.BinarySearchFunc(c.bits, r.Bits(), longest); !is {
			c.bits = slices.Insert(c.bits, i, r.Bits())
		}
		c.of[r.network] = nil
		switch known := before.at(r.network); {
		case !r.direct:
		case known != nil:
			known.size, known.known = 0, 0
			c.of[r.network] = known
		default:
			c.of[r.network] = new(crowd)
		}
	})
	return c, err
}

// longest compares lengths of prefixes, the longest first.
func longest(a, b int) int { return b - a }

// spread has those asked for evenly who are known to be missing. now are those who were found last.
func (c *crowds) spread(known map[host]*missing, now []host) {
	if c == nil {
		return
	}
	for h := range known {
		if in := c.find(h); in != nil {
			in.known++
		}
	}
	for _, in := range c.of {
		if in != nil {
			in.interval.Store(int64(max(askInterval, time.Duration(in.known)*crowdInterval)))
		}
	}
	for _, h := range now {
		if in := c.find(h); in != nil {
			in.found++
			known[h].next.Store(time.Now().UnixNano() + rand.Int64N(in.interval.Load()))
		}
	}
}

// goesOn reports whether it is one, still.
func (c *crowd) goesOn(now time.Time) bool {
	if c.since.IsZero() {
		c.since = now
		return c.size >= crowdSize
	}
	if now.Sub(c.since) < lookTime {
		return true
	}
	goesOn := c.found >= crowdFew || c.size >= crowdSize
	c.since, c.found = now, 0
	return goesOn
}
