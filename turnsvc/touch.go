package turnsvc

import (
	"context"
	"sync"

	"signalbox/turnsvc/internal/socket"
)

// Touch returns nil once each goroutine that serves many has gone on: the books', those that read
// the UDP sockets, and on Linux those that read relay sockets. It returns the context's error if
// that is done first: one of them stands still. It asks nothing of the network, so that no flood of
// packets makes it wait.
func (s *Server) Touch(ctx context.Context) error {
	answer := make(chan []*socket.Pulse, 1)
	select {
	case s.books.touches <- answer:
	case <-ctx.Done():
		return ctx.Err()
	}
	var relays []*socket.Pulse
	select {
	case relays = <-answer:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, p := range append(s.front.pulses.list(), relays...) {
		if err := p.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pulses are those of the goroutines that read the UDP sockets.
type pulses struct {
	mu  sync.Mutex
	all map[*socket.Pulse]bool
}

// add returns another one, until it is removed.
func (l *pulses) add() (p *socket.Pulse, remove func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[*socket.Pulse]bool{}
	}
	p = new(socket.Pulse)
	l.all[p] = true
	return p, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.all, p)
	}
}

func (l *pulses) list() []*socket.Pulse {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*socket.Pulse, 0, len(l.all))
	for p := range l.all {
		list = append(list, p)
	}
	return list
}
