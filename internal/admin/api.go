// Package admin is the admin API. Its server side shows the status and ends sessions and
// allocations; the commands use its client.
package admin

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"signalbox/internal/answer"
	"signalbox/internal/source"
	"signalbox/internal/state"
	"signalbox/internal/status"
	"signalbox/internal/usage"
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
	Usage  *usage.Ledger // nil: off
	// Reload reads the configuration again and puts it into force.
	Reload func() (Reloaded, error)
	Log    *slog.Logger
}

// API serves /api/admin.
type API struct {
	o Options

	mu      sync.Mutex
	code    string // buys the token once; empty when used
	ends    time.Time
	guesses *source.Guesses
	logins  status.AdminLogins
	refused source.Minutely // what the log is told
}

// Wrong tokens and codes that one source may try a second, and at once. After that the right ones
// aren't looked at either, except from this machine: whoever shares an address with the operator
// can't lock out its command line.
const (
	guessesPerSecond = 1
	guessBurst       = 20
)

// CodeLife is how long the one-time link is good.
const CodeLife = time.Hour

// New makes the API, and the code of its one-time link.
func New(o Options) *API {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &API{
		o: o, code: rand.Text(), ends: time.Now().Add(CodeLife),
		guesses: source.NewGuesses(guessesPerSecond, guessBurst),
	}
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
		"GET /api/admin/bans":   a.only(a.serveBans),
		"POST /api/admin/unban": a.only(a.serveUnban),
		"GET /api/admin/usage":  a.only(a.serveUsage),

		"POST /api/admin/reload": a.only(a.serveReload),
	}
}

// only lets requests with the token through.
func (a *API) only(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := answer.Bearer(r)
		if !a.login(w, r, token, func() bool { return same(token, string(a.o.Token)) },
			"the admin API needs the token in admin.token or the state directory") {
			return
		}
		next(w, r)
	})
}

// login reports whether what a request has brought is right, and answers it if not. Who brings
// nothing guesses nothing.
func (a *API) login(w http.ResponseWriter, r *http.Request, brought string, right func() bool, refusal string) bool {
	from, ok, limited := source.OfRequest(r), false, false
	if brought != "" {
		ok, limited = a.look(from, time.Now(), right)
	}
	switch {
	case ok:
		return true
	case limited:
		answer.TooMany(w, "too many wrong admin tokens or links from your network address: wait a while")
	default:
		w.Header().Set("WWW-Authenticate", "Bearer")
		answer.Error(w, http.StatusUnauthorized, answer.Unauthorized, refusal)
	}
	return false
}

// look has right look at what a source has brought, unless too much of that was wrong.
func (a *API) look(from netip.Addr, now time.Time, right func() bool) (ok, limited bool) {
	a.mu.Lock()
	limited = a.guesses.Spent(from, now) && !from.IsLoopback()
	switch {
	case limited:
		a.logins.Limited++
	case right():
		a.mu.Unlock()
		return true, false
	default:
		a.logins.Wrong++
		a.guesses.Wrong(from, now) // under the lock: of many at one time, no more are looked at
	}
	a.mu.Unlock()
	if n, due := a.refused.Due(now); due {
		a.o.Log.Warn("admin login refused", "source", from, "limited", limited, "refused", n, "key", "admin.token")
	}
	return false, limited
}

// Logins counts the refused logins since the start.
func (a *API) Logins() status.AdminLogins {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.logins
}

// same compares secrets and takes as long whether or not they are alike.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (a *API) serveLogin(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Code string `json:"code"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1024)).Decode(&in); err != nil {
		answer.Error(w, http.StatusBadRequest, answer.BadRequest, `want {"code":"..."}`)
		return
	}
	if !a.login(w, r, in.Code, func() bool { return a.spend(in.Code) },
		"this link has been used or is too old: enter the admin token (it is in the state directory), or restart "+
			"signalbox for a new link") {
		return
	}
	answer.JSON(w, http.StatusOK, struct {
		Token string `json:"token"`
	}{string(a.o.Token)})
}

// spend takes the code, once. mu is held.
func (a *API) spend(code string) bool {
	if a.code == "" || time.Now().After(a.ends) || !same(code, a.code) {
		return false
	}
	a.code = ""
	return true
}

func (a *API) serveStatus(w http.ResponseWriter, _ *http.Request) {
	answer.JSON(w, http.StatusOK, a.o.Status())
}

// decode reads a small body without fields that nobody knows.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

func (a *API) serveKick(w http.ResponseWriter, r *http.Request) {
	var k Kick
	if err := decode(w, r, &k); err != nil {
		answer.Error(w, http.StatusBadRequest, answer.BadRequest,
			`want {"peer":"..."}, or allocation, user, token or source, and "ban":"1h" if they are to stay out`)
		return
	}
	out, err := a.Kick(k)
	switch {
	case errors.Is(err, source.ErrTooManyBans):
		answer.Error(w, http.StatusInsufficientStorage, answer.RateLimited, err.Error())
		return
	case err != nil:
		answer.Error(w, http.StatusBadRequest, answer.BadRequest, err.Error())
		return
	}
	answer.JSON(w, http.StatusOK, out)
}
