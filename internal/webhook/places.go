package webhook

import (
	"context"
	"net/netip"
	"sync"

	"signalbox/internal/source"
)

// places are how many may ask at a time, in all and of one source: who comes in numbers waits for
// its own kind, not others for it.
type places struct {
	all       chan struct{} // has an entry for each that is taken
	perSource int

	mu    sync.Mutex
	lines map[netip.Prefix]*line
}

// line is a source that has taken places, or waits for some.
type line struct {
	taken chan struct{}
	users int // that know of it. Guarded by places.mu
}

func newPlaces(all, perSource int) *places {
	return &places{all: make(chan struct{}, all), perSource: perSource, lines: map[netip.Prefix]*line{}}
}

// take waits for a place, until the context ends. Call leave once to give it back.
func (p *places) take(ctx context.Context, from netip.Addr) (leave func(), err error) {
	l, forget := p.line(source.Line(from))
	if err := occupy(ctx, l.taken); err != nil {
		forget()
		return nil, err
	}
	if err := occupy(ctx, p.all); err != nil {
		<-l.taken
		forget()
		return nil, err
	}
	return func() {
		<-p.all
		<-l.taken
		forget()
	}, nil
}

func occupy(ctx context.Context, taken chan struct{}) error {
	select {
	case taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// line finds a source's, which is there until each that has found it has called forget.
func (p *places) line(from netip.Prefix) (l *line, forget func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l = p.lines[from]; l == nil {
		l = &line{taken: make(chan struct{}, p.perSource)}
		p.lines[from] = l
	}
	l.users++
	return l, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(p.lines, from)
		}
	}
}
