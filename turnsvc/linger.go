package turnsvc

import (
	"maps"
	"slices"
	"time"
)

// lingering is how long a session whose signaling connection was lost keeps its allocations and
// grants without traffic: a running call outlasts the connection that made it.
const lingering = 30 * time.Second

// maxLost bounds the lost members of a group, which the hub's limits no longer count.
const maxLost = 64

func (m *member) lost() bool { return m.lostAt.Load() != 0 }

// knows reports whether m is present for another member of a group, which joined at that number: a
// lost member is absent for those who joined later.
func (m *member) knows(join uint64) bool {
	lostAt := m.lostAt.Load()
	return lostAt == 0 || join <= lostAt
}

// present reports whether the session is there, and not only lingering.
func (r *rooms) present(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[id]
	return m != nil && !m.lost()
}

// ended removes the member of a session that has ended. A lost one lingers, since media outlasts a
// broken signaling connection. Any other goes with its allocations, which ended returns for the
// caller to end.
func (r *rooms) ended(id string, lost bool, now int64) (ending []*allocation, concerned concern) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[id]
	if m == nil {
		return nil, nil
	}
	crowded := false
	for g := range m.seats.Load().groups {
		crowded = crowded || g.lost >= maxLost
	}
	if !lost || crowded {
		concerned = concern{}
		return r.remove(m, concerned), concerned
	}
	if !m.lost() {
		r.joins++ // so that it is not 0, and nobody's who joins later
		m.lostAt.Store(r.joins)
		m.idle = now
		r.lost[m] = struct{}{}
		for g := range m.seats.Load().groups {
			g.lost++
		}
	}
	return nil, nil
}

// remove forgets m and returns its allocations. mu is held.
func (r *rooms) remove(m *member, concerned concern) []*allocation {
	was := m.seats.Swap(new(seats)) // at once, not one after the other
	for g := range was.groups {
		r.part(m, g, concerned)
	}
	if r.members[m.id] == m {
		delete(r.members, m.id)
	}
	delete(r.lost, m)
	return slices.Collect(maps.Keys(m.allocs))
}

// sweep removes the lost members for which nothing has moved in the time that they may linger.
func (r *rooms) sweep(now int64) (ending []*allocation, concerned concern) {
	r.mu.Lock()
	defer r.mu.Unlock()
	concerned = concern{}
	for m := range r.lost {
		if now-m.idle < r.lingering {
			continue
		}
		// lastUsed is expensive, so it is called only when the known time is up: once per lost
		// member and period.
		if m.idle = max(m.idle, m.lastUsed()); now-m.idle >= r.lingering {
			ending = append(ending, r.remove(m, concerned)...)
		}
	}
	return ending, concerned
}

// lastUsed is when the member last sent something: through its own allocation, or from one of its
// addresses to an allocation of somebody in its groups. What others send to it does not count.
// rooms.mu is held.
func (m *member) lastUsed() (last int64) {
	for a := range m.allocs {
		last = max(last, a.used.Load())
	}
	for g := range m.seats.Load().groups {
		for other := range g.members {
			if other == m {
				continue
			}
			for a := range other.allocs {
				for addr := range m.seen {
					last = max(last, a.usedFor(addr))
				}
			}
		}
	}
	return last
}

// dismiss removes the lost members that match, with their allocations.
func (r *rooms) dismiss(match func(*member) bool) (ending []*allocation, concerned concern) {
	r.mu.Lock()
	defer r.mu.Unlock()
	concerned = concern{}
	for m := range r.lost {
		if match(m) {
			ending = append(ending, r.remove(m, concerned)...)
		}
	}
	return ending, concerned
}
