package signal

import "fmt"

// Live is the part of the Options, under the same names, that changes while sessions go on.
// RoomCapacity is that of rooms which open later.
type Live struct {
	RoomCapacity   int
	AllowedOrigins []string
	Claims         bool
}

// liveRules are a Live in force. They are immutable.
type liveRules struct {
	capacity int
	origins  originRule
	claims   bool
}

// Prepare reads other options, and returns the func that puts them into force. An error changes
// nothing.
func (h *Hub) Prepare(l Live) (apply func(), err error) {
	if l.RoomCapacity < 0 {
		return nil, fmt.Errorf("negative RoomCapacity: %d", l.RoomCapacity)
	}
	origins, err := newOriginRule(l.AllowedOrigins, h.opts.OwnHost)
	if err != nil {
		return nil, err
	}
	return func() { h.live.Store(&liveRules{l.RoomCapacity, origins, l.Claims}) }, nil
}
