package app

import (
	"cmp"
	"maps"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"

	"signalbox/internal/admission"
	"signalbox/internal/config"
	"signalbox/internal/iceserver"
	"signalbox/internal/netaddr"
	"signalbox/internal/site"
	"signalbox/internal/source"
	"signalbox/signal"
	"signalbox/signal/apprtc"
	"signalbox/signal/chat"
	"signalbox/signal/native"
	"signalbox/signal/peerjs"
	"signalbox/signal/socketio"
	"signalbox/signal/socketio/script"
	"signalbox/signal/yjs"
)

// dialect is a row of the table of the hub's dialects, besides its own.
type dialect struct {
	name   string
	on     bool
	routes map[string]http.Handler // by pattern of http.ServeMux
}

// dialects are the hub's dialects.
type dialects struct {
	table  []dialect
	apprtc *apprtc.Server
	// start serves what a dialect has at the start page's address, and leaves the rest to next.
	start func(next http.Handler) http.Handler
}

func newDialects(hub *signal.Hub, cfg *config.Config, guard *admission.Guard, ice *iceserver.Issuer,
	hosts *site.Hosts) *dialects {
	c := &cfg.Compat
	capacity := dialectCapacity(cfg)
	calls := chat.New(hub, chat.Options{Capacity: capacity})
	peers := peerjs.New(hub, peerjs.Options{
		Discovery: c.PeerJSDiscovery, KeyIsToken: cfg.Auth.Mode != admission.Open,
	})
	topics := yjs.New(hub, yjs.Options{Capacity: capacity})
	d := &dialects{apprtc: apprtc.New(hub, apprtc.Options{
		ICE:    sessionless(guard, ice, apprtc.WriteICE),
		Origin: func(r *http.Request) string { return originFor(r, cfg, hosts) },
	})}
	d.table = []dialect{
		{socketio.Name, c.SocketIO.On(), socketIO(hub, cfg, capacity)},
		{apprtc.Name, c.AppRTC.On(), d.apprtc.Routes()},
		{chat.Name, c.Chat.On(), calls.Routes()},
		{peerjs.Name, c.PeerJS.On(), peers.Routes()},
		{yjs.Name, c.Yjs.On(), topics.Routes()},
	}
	d.start = chat.Off
	if c.Chat.On() {
		d.start = calls.Before
	}
	return d
}

// dialectCapacity is how many members the rooms of dialects take.
func dialectCapacity(cfg *config.Config) int {
	if cfg.Compat.Capacity == 0 { // no limit, but 0 is the hub's to a dialect; clients in any language read this one
		return math.MaxInt32
	}
	return int(cfg.Compat.Capacity)
}

// socketIO is the server of Socket.IO's clients, and their script.
func socketIO(hub *signal.Hub, cfg *config.Config, capacity int) map[string]http.Handler {
	c := &cfg.Compat
	routes := map[string]http.Handler{"/socket.io/": socketio.New(hub, socketio.Options{
		Capacity: capacity, Relay: c.SocketIORelay,
	})}
	for _, name := range script.Names() {
		routes["GET /socket.io/"+name] = script.Handler(c.SocketIOClient, name)
	}
	return routes
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

// fill adds a zero for each dialect that is on and not spoken yet: a rate of a metric begins with
// its series.
func (d *dialects) fill(counts map[string]signal.DialectCount) {
	names := []string{native.Protocol}
	for _, row := range d.table {
		if row.on {
			names = append(names, row.name)
		}
	}
	for _, name := range names {
		if _, spoken := counts[name]; !spoken {
			counts[name] = signal.DialectCount{}
		}
	}
}

// sessionless answers a request for ICE servers without a session, under the rules of a hello.
func sessionless(guard *admission.Guard, ice *iceserver.Issuer,
	write func(http.ResponseWriter, *http.Request, signal.ICE)) http.Handler {
	return guard.Only(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if servers, ok := ice.Sessionless(w, r); ok {
			write(w, r, servers)
		}
	}))
}

// originFor is where the client of a request finds the box: where it has asked, if that is
// public_host, or, unless a proxy may have written it, another name or address of the box; and else
// at public_host. Without that any name is taken at its word.
func originFor(r *http.Request, cfg *config.Config, hosts *site.Hosts) string {
	name, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		name, port = r.Host, "0"
	}
	name = strings.Trim(name, "[]")
	_, noPort := strconv.ParseUint(port, 10, 16)
	public, direct := cfg.OthersOrigin(), len(cfg.Web.TrustedProxies) == 0
	switch {
	case noPort != nil, !netaddr.ValidHost(name):
		return cmp.Or(public, source.Scheme(r)+"://localhost")
	case public == "", strings.EqualFold(name, string(cfg.PublicHost)), direct && hosts.Knows(r.Host):
		return source.Scheme(r) + "://" + r.Host
	}
	return public
}

// collider serves the port of compat.collider_listen.
func (d *dialects) collider(c *config.Config) http.Handler {
	return source.Proxies(c.Web.TrustedProxies).FromClient(d.apprtc.Collider())
}
