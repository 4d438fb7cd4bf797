package app

import (
	"maps"
	"net/http"

	"signalbox/internal/admission"
	"signalbox/internal/config"
	"signalbox/signal"
	"signalbox/signal/chat"
	"signalbox/signal/peerjs"
	"signalbox/signal/yjs"
)

// dialect is a row of the table of the hub's dialects, besides its own.
type dialect struct {
	name   string // as compat has it
	on     bool
	routes map[string]http.Handler // by pattern of http.ServeMux
}

// dialects are the hub's dialects.
type dialects struct {
	table []dialect
	start func(next http.Handler) http.Handler // see site.Options
}

func newDialects(hub *signal.Hub, cfg *config.Config) *dialects {
	c := &cfg.Compat
	calls := chat.New(hub, chat.Options{Capacity: int(c.Capacity)})
	peers := peerjs.New(hub, peerjs.Options{
		Discovery: c.PeerJSDiscovery, KeyIsToken: cfg.Auth.Mode != admission.Open,
	})
	topics := yjs.New(hub, yjs.Options{Capacity: int(c.Capacity)})
	d := &dialects{table: []dialect{
		{chat.Name, c.Chat.On(), calls.Routes()},
		{peerjs.Name, c.PeerJS.On(), peers.Routes()},
		{yjs.Name, c.Yjs.On(), topics.Routes()},
	}}
	if c.Chat.On() {
		d.start = calls.Before
	}
	return d
}

// routes are those of the dialects that are on. Where one is off, nothing is there.
func (d *dialects) routes() map[string]http.Handler {
	routes := make(map[string]http.Handler)
	for _, row := range d.table {
		for pattern := range row.routes {
			routes[pattern] = http.NotFoundHandler()
		}
		if row.on {
			maps.Copy(routes, row.routes)
		}
	}
	return routes
}
