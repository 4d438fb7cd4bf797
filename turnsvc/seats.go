package turnsvc

import "maps"

// seats are the groups in which a member is. They are immutable, and made so that the packet path
// finds out in little time whether two members share one, however many each has.
type seats struct {
	rooms map[*group]uint64 // and the number of the join; joins are numbered over all groups
	calls map[*member]*group
}

// with returns the seats with another one, in g.
func (s *seats) with(g *group, join uint64) *seats {
	next := &seats{maps.Clone(s.rooms), s.calls}
	if next.rooms == nil {
		next.rooms = map[*group]uint64{}
	}
	next.rooms[g] = join
	return next
}

// calling returns the seats with a call to other.
func (s *seats) calling(other *member, g *group) *seats {
	next := &seats{s.rooms, maps.Clone(s.calls)}
	if next.calls == nil {
		next.calls = map[*member]*group{}
	}
	next.calls[other] = g
	return next
}

// without returns the seats without that in g.
func (s *seats) without(g *group) *seats {
	next := &seats{s.rooms, s.calls}
	if g.pair {
		next.calls = maps.Clone(s.calls)
		maps.DeleteFunc(next.calls, func(_ *member, of *group) bool { return of == g })
	} else {
		next.rooms = maps.Clone(s.rooms)
		delete(next.rooms, g)
	}
	return next
}

// groups yields them all.
func (s *seats) groups(yield func(*group) bool) {
	for g := range s.rooms {
		if !yield(g) {
			return
		}
	}
	for _, g := range s.calls {
		if !yield(g) {
			return
		}
	}
}

// together reports whether two members share a group and are present for each other. It takes no
// lock and allocates nothing: the packet path calls it. It looks at the rooms of whoever has fewer.
func together(a, b *member) bool {
	sa, sb := a.seats.Load(), b.seats.Load()
	if sa.calls[b] != nil {
		return true // who is in a call was there before the other was lost
	}
	if len(sa.rooms) > len(sb.rooms) {
		a, b, sa, sb = b, a, sb, sa
	}
	for g, join := range sa.rooms {
		if other, both := sb.rooms[g]; both && a.knows(other) && b.knows(join) {
			return true
		}
	}
	return false
}
