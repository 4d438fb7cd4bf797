package signalbox

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"signalbox/signal"
	"signalbox/turnsvc/cred"
)

// The routes at which TURN credentials are had without a session.

// Credentials a second and at once that are issued to one source.
const (
	icePerSecond = 5
	iceBurst     = 60
)

// api serves next to programs, and to pages that may read its answer.
func (a *App) api(next http.HandlerFunc, methods ...string) http.Handler {
	allowed := strings.Join(append(slices.Clone(methods), http.MethodOptions), ", ")
	return a.crossOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case !a.hub.OriginAllowed(r):
			writeError(w, http.StatusForbidden, "unauthorized", "this origin is not in web.allowed_origins")
		case r.Method == http.MethodOptions:
			w.Header().Set("Access-Control-Allow-Methods", allowed)
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			w.WriteHeader(http.StatusNoContent)
		case !slices.Contains(methods, r.Method):
			w.Header().Set("Allow", allowed)
			writeError(w, http.StatusMethodNotAllowed, "bad-frame", "use "+strings.Join(methods, " or "))
		default:
			next(w, r)
		}
	}))
}

// mayIssue counts a credential for the source of a request. If that has had too many, it is told
// so.
func (a *App) mayIssue(w http.ResponseWriter, r *http.Request) bool {
	if a.issuing.allow(requestSource(r), time.Now()) {
		return true
	}
	w.Header().Set("Retry-After", "1")
	writeError(w, http.StatusTooManyRequests, "rate-limited",
		"too many credentials for your network address: wait a second")
	return false
}

// serveICE hands out ICE servers without a session. Such a credential reaches only this box's own
// relays.
func (a *App) serveICE(w http.ResponseWriter, r *http.Request) {
	if !a.mayIssue(w, r) {
		return
	}
	servers, expires := a.iceServers(r.Host, cred.ICE, rand.Text())
	writeJSON(w, http.StatusOK, struct {
		ICEServers   []signal.ICEServer `json:"iceServers"`
		ICEExpiresAt int64              `json:"iceExpiresAt"`
	}{servers, expires.UnixMilli()})
}

// turnRESTOff is the value of compat.turn_rest that is no key.
const turnRESTOff = "off"

// turnREST tells whether /api/turn is open, and the key that it asks for, if any.
func (c *Config) turnREST() (key Secret, on bool) {
	if c.Compat.TURNREST != turnRESTOff {
		return c.Compat.TURNREST, true
	}
	return "", c.Dev
}

// serveTURNREST issues TURN credentials to other servers for their users
// (draft-uberti-behave-turn-rest-00 §2).
func (a *App) serveTURNREST(w http.ResponseWriter, r *http.Request) {
	key, on := a.cfg.turnREST()
	if !on {
		writeError(w, http.StatusNotFound, "not-found",
			"TURN REST is off here: set compat.turn_rest to a key of at least 16 characters")
		return
	}
	in, err := turnRESTRequest(w, r)
	if err != nil {
		writeError(w, http.StatusBadRequest, "bad-frame", err.Error())
		return
	}
	if key != "" {
		if err := a.checkTURNRESTKey(key, r, in); err != nil {
			writeRefusal(w, err)
			return
		}
	}
	if service := in.Get("service"); service != "" && service != "turn" {
		writeError(w, http.StatusBadRequest, "bad-frame", `the only service is "turn"`)
		return
	}
	user := in.Get("username")
	if err := checkText(user, maxNameClaim); err != nil {
		writeError(w, http.StatusBadRequest, "bad-frame", "username "+err.Error())
		return
	}
	if !a.mayIssue(w, r) {
		return
	}
	if user == "" {
		user = rand.Text()
	}
	inForce := a.live.Load()
	username, password := inForce.keys.Mint(cred.Shared, user, time.Now().Add(inForce.ttl))
	writeJSON(w, http.StatusOK, struct {
		Username string   `json:"username"`
		Password string   `json:"password"`
		TTL      int      `json:"ttl"` // in seconds
		URIs     []string `json:"uris"`
	}{username, password, int(inForce.ttl.Seconds()), a.turnURLs(a.farHost(r.Host))})
}

// checkTURNRESTKey takes the key as the draft has it, as Janus has it, or where no log of a proxy
// shows it.
func (a *App) checkTURNRESTKey(key Secret, r *http.Request, in url.Values) error {
	given := cmp.Or(in.Get("key"), in.Get("api"), bearer(r))
	if given == "" {
		return fmt.Errorf("%w: bring the value of compat.turn_rest as key", signal.ErrUnauthorized)
	}
	return a.judge(requestSource(r), func() error {
		_, err := password(sha256.Sum256([]byte(key))).admit(given)
		return err
	})
}

// turnRESTRequest reads the parameters of a request: those of its query and of its body, a form or
// JSON.
func turnRESTRequest(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		if err := r.ParseForm(); err != nil {
			return nil, errors.New("want parameters in the query or in a form of at most 4096 bytes: service, " +
				"username, key")
		}
		return r.Form, nil
	}
	var body map[string]string
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, errors.New(`want {"service":"turn","username":"...","key":"..."}, of at most 4096 bytes`)
	}
	out := r.URL.Query()
	for name, value := range body {
		out.Set(name, value)
	}
	return out, nil
}

// farHost is where clients find a box that a server has asked under the name in its Host header: a
// loopback address is only for that server.
func (a *App) farHost(hostHeader string) string {
	host := a.iceHost(hostHeader)
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		return a.public().ip.String()
	}
	return host
}
