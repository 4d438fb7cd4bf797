// Package admin is the admin API. Its server side shows the status and ends sessions and
// allocations; the commands use its client.
package admin

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"signalbox/internal/answer"
	"signalbox/internal/source"
	"signalbox/internal/state"
	"signalbox/internal/status"
)

// Options are what the API works on, and who may use it.
type Options struct {
	Token  state.Secret // opens the API
	Status func() status.Status
	Hub    Hub
	Relay  Relay
	// Member tells the user and the source of a session that the relay knows by its peer id.
	Member func(peer string) (user string, from netip.Addr, ok bool)
	Bans   *source.Bans
	Log    *slog.Logger
}

// API serves /api/admin.
type API struct {
	o Options

	mu   sync.Mutex
	code string // buys the token once; empty when used
	ends time.Time
}

// CodeLife is how long the one-time link is good.
const CodeLife = time.Hour

// New makes the API, and the code of its one-time link.
func New(o Options) *API {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &API{o: o, code: rand.Text(), ends: time.Now().Add(CodeLife)}
}

// Code is the code of the one-time link; empty once it was used.
func (a *API) Code() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.code
}

// Routes are the API's routes.
func (a *API) Routes() map[string]http.Handler {
	return map[string]http.Handler{
		"POST /api/admin/login": http.HandlerFunc(a.serveLogin),
		"GET /api/admin/status": a.only(a.serveStatus),
		"POST /api/admin/kick":  a.only(a.serveKick),
	}
}

// only lets requests with the token through.
func (a *API) only(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := answer.Bearer(r)
		if token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(a.o.Token)) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			answer.Error(w, http.StatusUnauthorized, answer.Unauthorized,
				"the admin API needs the token in admin.token or the state directory")
			return
		}
		next(w, r)
	})
}

func (a *API) serveLogin(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Code string `json:"code"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1024)).Decode(&in); err != nil {
		answer.Error(w, http.StatusBadRequest, answer.BadRequest, `want {"code":"..."}`)
		return
	}
	if !a.spend(in.Code) {
		answer.Error(w, http.StatusUnauthorized, answer.Unauthorized,
			"this link has been used or is too old: enter the admin token (it is in the state directory), or "+
				"restart signalbox for a new link")
		return
	}
	answer.JSON(w, http.StatusOK, struct {
		Token string `json:"token"`
	}{string(a.o.Token)})
}

func (a *API) spend(code string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.code == "" || time.Now().After(a.ends) || subtle.ConstantTimeCompare([]byte(code), []byte(a.code)) != 1 {
		return false
	}
	a.code = ""
	return true
}

func (a *API) serveStatus(w http.ResponseWriter, _ *http.Request) {
	answer.JSON(w, http.StatusOK, a.o.Status())
}

func (a *API) serveKick(w http.ResponseWriter, r *http.Request) {
	var k Kick
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&k); err != nil {
		answer.Error(w, http.StatusBadRequest, answer.BadRequest,
			`want {"peer":"..."}, or allocation, user, token or source, and "ban":"1h" if they are to stay out`)
		return
	}
	out, err := a.Kick(k)
	if err != nil {
		answer.Error(w, http.StatusBadRequest, answer.BadRequest, err.Error())
		return
	}
	answer.JSON(w, http.StatusOK, out)
}
