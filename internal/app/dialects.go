package app

import (
	"net/http"
	"path/filepath"

	"signalbox/internal/config"
	"signalbox/signal"
	"signalbox/signal/socketio"
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
	for _, name := range []string{"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js"} {
		routes["GET /socket.io/"+name] = script(c.Compat.SocketIOClient, name)
	}
	return routes
}

// script serves a file of the operator's; if that is a folder, the one of that name in it.
func script(path, name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path == "" {
			http.NotFound(w, r)
			return
		}
		file := path
		if filepath.Ext(path) == "" {
			file = filepath.Join(path, name)
		}
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		http.ServeFile(w, r, file)
	})
}
