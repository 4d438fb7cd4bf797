package app

import "signalbox/signal"

// guests is the hub as the admin and the server API have it: whom either has put out of a room, the
// admin API lists no more.
type guests struct {
	*signal.Hub
	changed func()
}

func guestsOf(a *App) guests { return guests{a.hub, func() { a.admin.Changed() }} }

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
