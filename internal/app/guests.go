package app

import "signalbox/signal"

// guests is the hub as the server API has it: whom that has put out, the admin API lists no more.
type guests struct {
	*signal.Hub
	changed func()
}

// Evict is the hub's.
func (g guests) Evict(room string, match func(signal.Member) bool) ([]signal.Member, error) {
	defer g.changed()
	return g.Hub.Evict(room, match)
}

// CloseRoom is the hub's.
func (g guests) CloseRoom(name string) error {
	defer g.changed()
	return g.Hub.CloseRoom(name)
}
