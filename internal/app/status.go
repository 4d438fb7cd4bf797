package app

import (
	"context"
	"net"
	"slices"

	"signalbox/internal/status"
)

// Status returns the state of the appliance.
func (a *App) Status() status.Status {
	s := a.status()
	s.TURN, s.Signal = a.turn.Snapshot(), a.hub.Snapshot()
	return s
}

// Touch returns nil once each part of the appliance has answered, while it runs: if they wait for
// one another, it does not. It returns the context's error once that is done, if the relay stands
// still.
func (a *App) Touch(ctx context.Context) error {
	a.vitals()
	return a.turn.Touch(ctx)
}

// vitals is Status in numbers.
func (a *App) vitals() *status.Vitals {
	s := a.status()
	s.TURN = a.turn.Summary()
	hub := a.hub.Summary()
	a.others.fill(hub.Dialects)
	return &status.Vitals{Status: s, Hub: hub, StaticUsers: a.usage.Static()}
}

// status is Status without the parts of the components.
func (a *App) status() status.Status {
	open, refused := a.crowd.Counts()
	var lost uint64
	if a.LostLines != nil {
		lost = a.LostLines()
	}
	return status.Status{
		LogLinesLost: lost,
		Version:      status.Version(), StartedAt: a.started.UnixMilli(), Ready: a.ready.Load(),
		PublicIP: a.relays.Relays().PublicIPs(), Certificate: a.certs.Status(),
		Web: status.WebConnections{Open: open, Refused: refused}, Admin: a.admin.Logins(),
		API: a.rooms.Status(), Webhook: a.hooks.Status(), Usage: a.usage.Sums(),
		SelfTest: a.tester.Status(), Notices: a.notices.Status(),
	}
}

// Addrs are the bound addresses, with real ports where the configuration said 0. Empty: off.
type Addrs struct {
	Web, WebTLS string
	TURN        []string // each once, whatever its transports
	Metrics     string
	Collider    string
}

// Addrs is valid after Listen.
func (a *App) Addrs() Addrs {
	at := func(l net.Listener) string {
		if l == nil {
			return ""
		}
		return l.Addr().String()
	}
	out := Addrs{Web: at(a.edge.Web()), WebTLS: at(a.edge.WebTLS()), Metrics: at(a.edge.Metrics()),
		Collider: at(a.edge.Collider())}
	for _, s := range a.edge.TURN() {
		if at := s.Addr.String(); !slices.Contains(out.TURN, at) {
			out.TURN = append(out.TURN, at)
		}
	}
	return out
}
