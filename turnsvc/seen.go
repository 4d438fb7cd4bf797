package turnsvc

import (
	"net/netip"

	"signalbox/internal/netaddr"
)

// Two kinds of address count as seen: the source of the signaling connection (over TCP, so nobody
// forged it), and a TURN client's address from which our nonce came back. Addresses that the
// internet does not route never count: a member that claims to be 10.0.0.1 would open the relay's
// own network.

// maxSeen and maxClaimed bound what one session can make us remember, in addresses.
const maxSeen, maxClaimed = 16, 128

// moved notes another source of the signaling connection; the former ones stay seen.
func (r *rooms) moved(id string, source netip.Addr) concern {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[id]
	if m == nil || m.lost() {
		return nil
	}
	m.source = source.Unmap()
	return m.see(m.source)
}

func (r *rooms) sourceOf(m *member) netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return m.source
}

// see notes an address at which the member receives. If it knows too many, it forgets the oldest
// one not in use, which probably belongs to somebody else by now, and returns what that concerns.
// rooms.mu is held.
func (m *member) see(addr netip.Addr) concern {
	if !netaddr.Global(addr) {
		return nil
	}
	m.sights++
	if _, again := m.seen[addr]; again || len(m.seen) < maxSeen {
		m.seen[addr] = m.sights
		return nil
	}
	used := map[netip.Addr]bool{m.source: true}
	for a := range m.allocs {
		used[a.client.Addr()] = true
	}
	var oldest netip.Addr
	for old, sight := range m.seen {
		if !used[old] && (!oldest.IsValid() || sight < m.seen[oldest]) {
			oldest = old
		}
	}
	if !oldest.IsValid() {
		return nil
	}
	delete(m.seen, oldest)
	m.seen[addr] = m.sights
	concerned := concern{}
	for g := range m.seats.Load().groups {
		for other := range g.members {
			for a := range other.allocs {
				concerned[a] = append(concerned[a], oldest)
			}
		}
	}
	return concerned
}

func (r *rooms) claim(id string, addr netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.members[id]; m != nil && len(m.claimed) < maxClaimed && netaddr.Global(addr) {
		m.claimed[addr] = true
	}
}

// reaches reports whether somebody in m's groups has been seen at addr, or, if claims count, claims
// to be there.
func (r *rooms) reaches(m *member, addr netip.Addr, claims bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for g := range m.seats.Load().groups {
		for other, join := range g.members {
			if (other.seen[addr] != 0 || claims && other.claimed[addr]) && m.knows(join) && other.knows(g.members[m]) {
				return true
			}
		}
	}
	return false
}
