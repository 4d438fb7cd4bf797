package signal

// Summary is Snapshot in numbers: rooms and members are only counted.
type Summary struct {
	Connections, Sessions, Users int // see Snapshot
	Rooms, Members               int
	Counters                     Counters
	Refusals                     map[Code]uint64
	Draining                     bool
}

// Summary tells how much the hub holds and has done. It costs little however much that is.
func (h *Hub) Summary() Summary {
	h.mu.RLock()
	sum := Summary{Connections: len(h.links), Sessions: len(h.sessions), Users: len(h.users), Draining: h.draining}
	rooms := make([]*room, 0, len(h.rooms))
	for _, r := range h.rooms {
		rooms = append(rooms, r)
	}
	h.mu.RUnlock()

	for _, r := range rooms {
		if n := r.size(); n > 0 { // an empty one is about to go
			sum.Rooms++
			sum.Members += n
		}
	}
	sum.Counters, sum.Refusals = h.stats.snapshot()
	return sum
}

func (r *room) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members)
}
