package signalbox

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"signalbox/webui"
)

// routes is the one table of HTTP routes.
func (a *App) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, handler := range map[string]http.Handler{
		"GET /assets/":          a.ui.Assets(),
		"GET /signalbox.js":     a.crossOrigin(a.ui.SDK()),
		"GET /signal":           a.native,
		"GET /signal/events":    http.HandlerFunc(a.native.Events),
		"POST /signal/send":     http.HandlerFunc(a.native.Send),
		"OPTIONS /signal/send":  http.HandlerFunc(a.native.Send),
		"/api/ice":              a.api(a.admitted(a.serveICE), http.MethodGet, http.MethodHead),
		"/api/turn":             a.api(a.serveTURNREST, http.MethodGet, http.MethodHead, http.MethodPost),
		"GET /healthz":          http.HandlerFunc(a.serveHealth),
		"GET /readyz":           http.HandlerFunc(a.serveReady),
		"GET /version":          http.HandlerFunc(a.serveVersion),
		"POST /api/admin/login": http.HandlerFunc(a.admin.serveLogin),
		"GET /api/admin/status": a.admin.only(a.serveStatus),
		"POST /api/admin/kick":  a.admin.only(a.serveKick),
	} {
		mux.Handle(pattern, handler)
	}
	for pattern, page := range a.ui.Pages() {
		if pattern == webui.StartPage && a.root != nil && a.root.has("index.html") {
			page = a.root // the operator's own
		}
		mux.Handle(pattern, page)
	}
	if own, ok := a.certs.(*selfSigned); ok {
		mux.HandleFunc("GET /ca.crt", own.serveDER)
		mux.HandleFunc("GET /ca.pem", own.servePEM)
		mux.HandleFunc("GET /api/trust", a.serveTrust(own))
		mux.HandleFunc("GET /trust/qr.svg", a.serveTrustQR)
	}
	if a.root != nil {
		mux.Handle("/", a.root)
	}
	return mux
}

// redirectToTLS sends clients to https while the certificate is one that they can verify. Not those
// on this machine itself: the command line; nor reverse proxies, on this machine or trusted, which
// have spoken TLS already or know why not; nor those that ask whether the box lives, or whether a
// name leads here.
func (a *App) redirectToTLS(next http.Handler) http.Handler {
	if a.edge.webTLS == nil {
		return next
	}
	port := portOf(a.edge.webTLS.Addr())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := requestSource(r)
		host := a.cfg.PublicHost
		if host == "" {
			host = a.iceHost(r.Host)
		}
		if !a.certs.inForce().usable(time.Now()) || !from.IsValid() || from.IsLoopback() || from == localIP(r) ||
			a.trusts(from) ||
			r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || strings.HasPrefix(r.URL.Path, acmePrefix) {
			next.ServeHTTP(w, r)
			return
		}
		// Not for good: the certificate may not be.
		http.Redirect(w, r, httpsOrigin(host, port)+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	})
}

// localIP is the address of this machine that a request has come to; the zero Addr if it has none.
func localIP(r *http.Request) netip.Addr {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if local == nil {
		return netip.Addr{}
	}
	return local.AddrPort().Addr().Unmap().WithZone("")
}

// crossOrigin lets pages of web.allowed_origins, and those of the own host, read what next serves.
func (a *App) crossOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		if origin := r.Header.Get("Origin"); origin != "" && a.hub.OriginAllowed(r) {
			w.Header().Set("Access-Control-Allow-Origin", origin)
		}
		next.ServeHTTP(w, r)
	})
}

// serveHealth says that the process is alive, and no more.
func (a *App) serveHealth(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "ok\n") //nolint:errcheck // the client is gone
}

// serveReady answers 503 while draining: new callers are better sent elsewhere.
func (a *App) serveReady(w http.ResponseWriter, _ *http.Request) {
	code := http.StatusOK
	ready := a.ready.Load()
	if !ready {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, struct {
		Ready bool `json:"ready"`
	}{ready})
}

func (a *App) serveVersion(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Version string `json:"version"`
	}{Version()})
}

func (a *App) serveStatus(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.Status())
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the client is gone
}

// writeError answers with a code and a sentence, as the signaling protocol does.
func writeError(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{code, message})
}

// admin guards the admin API: a bearer token, and a code that buys it once, for the link that is
// printed at start.
type admin struct {
	token string

	mu   sync.Mutex
	code string // empty once used
	ends time.Time
}

// codeLife is how long the one-time link is good.
const codeLife = time.Hour

func newAdmin(token Secret) *admin {
	return &admin{token: string(token), code: rand.Text(), ends: time.Now().Add(codeLife)}
}

func (d *admin) serveLogin(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Code string `json:"code"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1024)).Decode(&in); err != nil {
		writeError(w, http.StatusBadRequest, "bad-frame", `want {"code":"..."}`)
		return
	}
	if !d.spend(in.Code) {
		writeError(w, http.StatusUnauthorized, "unauthorized",
			"this link was used or is too old: enter the admin token instead (it is in the state directory), or "+
				"restart signalbox for a new link")
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Token string `json:"token"`
	}{d.token})
}

func (d *admin) spend(code string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.code == "" || time.Now().After(d.ends) || subtle.ConstantTimeCompare([]byte(code), []byte(d.code)) != 1 {
		return false
	}
	d.code = ""
	return true
}

// only lets requests with the token through.
func (d *admin) only(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(token), []byte(d.token)) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeError(w, http.StatusUnauthorized, "unauthorized",
				"the admin API needs the token in admin.token or the state directory")
			return
		}
		next(w, r)
	})
}
