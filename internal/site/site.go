// Package site is the web server: every HTTP route, the operator's own files, headers and
// redirects.
package site

import (
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"signalbox/internal/answer"
	"signalbox/internal/cert"
	"signalbox/internal/netaddr"
	"signalbox/internal/source"
	"signalbox/internal/status"
	"signalbox/internal/trouble"
	"signalbox/webui"
)

// Hub is the signaling that the site serves.
type Hub interface {
	http.Handler
	Events(w http.ResponseWriter, r *http.Request)
	Send(w http.ResponseWriter, r *http.Request)
}

// ICE hands out ICE servers to those without a session.
type ICE interface {
	ServeICE(w http.ResponseWriter, r *http.Request)
	ServeREST(w http.ResponseWriter, r *http.Request)
	Host(hostHeader string) string
}

// Options are what the site serves.
type Options struct {
	Version string
	UI      *webui.UI
	Root    *Root // the operator's own files; nil: none
	Hub     Hub
	ICE     ICE
	// Hosts are those by which /api/ice may be asked, and /api/turn, if RESTOpen tells that it asks
	// for no key.
	Hosts    *Hosts
	AnyPage  func() bool // every page may read these: another name of the box gains nothing
	RESTOpen func() bool
	// LetsRead has browsers let the page of a request's Origin read the answer, if it may, and
	// reports whether it may.
	LetsRead func(http.ResponseWriter, *http.Request) bool
	// Admitted lets requests through under the rules of a hello.
	Admitted func(http.Handler) http.Handler
	Admin    map[string]http.Handler // routes of the admin API
	Rooms    map[string]http.Handler // routes of the server API
	// Dialects are routes of the hub's other dialects.
	Dialects map[string]http.Handler
	// Start serves what dialects have at the start page's address, and leaves the rest to next;
	// nil: they have nothing there.
	Start   func(next http.Handler) http.Handler
	Certs   *cert.Keeper
	Proxies source.Proxies
	Ready   func() bool
	// SelfTest is what the box has found out about itself.
	SelfTest func() status.SelfTest
	URLs     *URLs
}

// Site is the web server's handlers.
type Site struct {
	o       Options
	handler http.Handler
}

// New mounts every route.
func New(o Options) *Site {
	s := &Site{o: o}
	s.handler = o.Proxies.FromClient(s.routes())
	return s
}

// Secure serves the TLS port.
func (s *Site) Secure() http.Handler { return s.handler }

// Plain serves the plain port: ACME's challenges, and the way to https where that is better.
func (s *Site) Plain() http.Handler { return s.o.Certs.Challenges(s.redirect(s.handler)) }

// routes is the one table of HTTP routes.
func (s *Site) routes() http.Handler {
	sdk := s.crossOrigin(s.o.UI.SDK())
	routes := map[string]http.Handler{
		"GET /assets/": s.o.UI.Assets(),

		"GET /signalbox.js":       sdk,
		"GET /signalbox-data.js":  sdk,
		"GET /signalbox-media.js": sdk,
		"GET /signalbox-stats.js": sdk,

		"GET /signal":          s.o.Hub,
		"GET /signal/events":   http.HandlerFunc(s.o.Hub.Events),
		"POST /signal/send":    http.HandlerFunc(s.o.Hub.Send),
		"OPTIONS /signal/send": http.HandlerFunc(s.o.Hub.Send),
		"/api/ice": s.api(s.asked(always, s.o.Admitted(http.HandlerFunc(s.o.ICE.ServeICE))), http.MethodGet,
			http.MethodHead),
		"/api/turn": s.api(s.asked(s.o.RESTOpen, http.HandlerFunc(s.o.ICE.ServeREST)), http.MethodGet,
			http.MethodHead, http.MethodPost),
		"GET /healthz": http.HandlerFunc(serveHealth),
		"GET /readyz":  http.HandlerFunc(s.serveReady),
		"GET /version": http.HandlerFunc(s.serveVersion),
	}
	maps.Copy(routes, s.o.UI.Pages())
	maps.Copy(routes, s.o.Admin)
	maps.Copy(routes, s.o.Rooms)
	maps.Copy(routes, s.o.Dialects)
	if s.o.Certs.Authority() != nil {
		maps.Copy(routes, s.trustRoutes())
	}
	if s.o.Root != nil {
		routes["/"] = s.o.Root
		if s.o.Root.has("index.html") {
			routes[webui.StartPage] = s.o.Root
		}
	}
	if s.o.Start != nil {
		routes[webui.StartPage] = s.o.Start(routes[webui.StartPage])
	}
	mux := http.NewServeMux()
	for pattern, handler := range routes {
		mux.Handle(pattern, handler)
	}
	return s.orMissing(mux)
}

// orMissing answers what the table has no route for.
func (s *Site) orMissing(mux *http.ServeMux) http.Handler {
	missing := s.o.UI.Missing(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			missing.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// asked lets only requests through that are for a host of the box, where it matters: a handler that
// asks for a key is safe from pages, which don't know it.
func (s *Site) asked(matters func() bool, next http.Handler) http.Handler {
	only := s.o.Hosts.Only(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.o.AnyPage() && matters() {
			only.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func always() bool { return true }

// redirect sends clients to https while they can verify the certificate. It does not redirect
// clients on this machine (the command line), reverse proxies on this machine or trusted ones
// (which have spoken TLS already, or know why not), and requests that ask whether the box is alive
// or whether a name leads here.
func (s *Site) redirect(next http.Handler) http.Handler {
	l := s.o.URLs.Sockets.WebTLS()
	if l == nil {
		return next
	}
	port := netaddr.Port(l.Addr())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := source.OfRequest(r)
		if !s.o.Certs.Usable() || !from.IsValid() || from.IsLoopback() || from == localIP(r) ||
			s.o.Proxies.Trust(from) || forMachines(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		target := r.URL.RequestURI()
		if !strings.HasPrefix(target, "/") { // from a proxy, or made up to lead elsewhere
			answer.Error(w, http.StatusBadRequest, answer.BadRequest, "ask for a path, which begins with /")
			return
		}
		// Not permanent, since the certificate may not last.
		http.Redirect(w, r, netaddr.HTTPSOrigin(s.o.ICE.Host(r.Host), port)+target,
			http.StatusTemporaryRedirect)
	})
}

func forMachines(path string) bool {
	return path == "/healthz" || path == "/readyz" || strings.HasPrefix(path, cert.ChallengePath)
}

// localIP is the address of this machine that a request has come to; the zero Addr if it has none.
func localIP(r *http.Request) netip.Addr {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if local == nil {
		return netip.Addr{}
	}
	return local.AddrPort().Addr().Unmap().WithZone("")
}

// crossOrigin lets pages of web.allowed_origins and of the box's own host read what next serves.
func (s *Site) crossOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.o.LetsRead(w, r)
		next.ServeHTTP(w, r)
	})
}

// api serves next to programs, and to pages that may read its answer.
func (s *Site) api(next http.Handler, methods ...string) http.Handler {
	allowed := strings.Join(append(slices.Clone(methods), http.MethodOptions), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case !s.o.LetsRead(w, r):
			answer.Error(w, http.StatusForbidden, answer.Unauthorized, "this origin is not in web.allowed_origins, "+
				"nor is it the box's own: public_host, a name in its certificate, or an address")
		case r.Method == http.MethodOptions:
			w.Header().Set("Access-Control-Allow-Methods", allowed)
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			w.WriteHeader(http.StatusNoContent)
		case !slices.Contains(methods, r.Method):
			w.Header().Set("Allow", allowed)
			answer.Error(w, http.StatusMethodNotAllowed, answer.BadRequest, "use "+strings.Join(methods, " or "))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// serveHealth says that the process is alive, and no more.
func serveHealth(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "ok\n") //nolint:errcheck // the client is gone
}

// selfTest is what everybody may know of it: codes without details.
type selfTest struct {
	OK     bool           `json:"ok"`
	At     int64          `json:"at"` // Unix milliseconds
	Faults []trouble.Code `json:"faults,omitempty"`
}

// serveReady answers 503 while draining: new callers are better sent elsewhere. What the self-test
// has found is for people: a balancer that took the box away for it would make things worse.
func (s *Site) serveReady(w http.ResponseWriter, _ *http.Request) {
	code := http.StatusOK
	ready := s.o.Ready()
	if !ready {
		code = http.StatusServiceUnavailable
	}
	var test *selfTest
	if s := s.o.SelfTest(); s.At != 0 {
		test = &selfTest{OK: len(s.Faults) == 0, At: s.At}
		for _, f := range s.Faults {
			test.Faults = append(test.Faults, f.Code)
		}
	}
	answer.JSON(w, code, struct {
		Ready    bool      `json:"ready"`
		SelfTest *selfTest `json:"selfTest,omitempty"`
	}{ready, test})
}

func (s *Site) serveVersion(w http.ResponseWriter, _ *http.Request) {
	answer.JSON(w, http.StatusOK, struct {
		Version string `json:"version"`
	}{s.o.Version})
}
