package app

import (
	"net/http"

	"signalbox/internal/config"
	"signalbox/signal"
	"signalbox/signal/socketio"
	"signalbox/signal/socketio/script"
)

// dialect is a signaling protocol besides the hub's own.
type dialect struct {
	on     bool
	routes func(c *config.Config, hub *signal.Hub) map[string]http.Handler
}

// dialectTable is all of them, one a row.
func dialectTable(c *config.Config) []dialect {
	return []dialect{
		{c.Compat.SocketIO, socketIO},
	}
}

// dialects are the routes of those that are on; the others' are not there.
func dialects(c *config.Config, hub *signal.Hub) map[string]http.Handler {
	routes := make(map[string]http.Handler)
	for _, d := range dialectTable(c) {
		if !d.on {
			continue
		}
		for pattern, handler := range d.routes(c, hub) {
			routes[pattern] = handler
		}
	}
	return routes
}

func socketIO(c *config.Config, hub *signal.Hub) map[string]http.Handler {
	routes := map[string]http.Handler{"/socket.io/": socketio.New(hub, socketio.Options{
		Capacity: int(c.Compat.Capacity), Relay: c.Compat.SocketIORelay,
	})}
	for _, name := range script.Names() {
		routes["GET /socket.io/"+name] = script.Handler(c.Compat.SocketIOClient, name)
	}
	return routes
}
