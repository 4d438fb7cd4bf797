// Package admin is the admin API. Its server side shows the status and ends sessions and
// allocations; the commands use its client.
package admin

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/answer"
	"signalbox/internal/source"
	"signalbox/internal/state"
	"signalbox/internal/status"
	"signalbox/internal/usage"
)

// Options are what the API works on, and who may use it.
type Options struct {
	Token  state.Secret // opens the API; see also Apply
	Local  state.Secret // likewise, to this machine only; empty: there is none
	Status func() status.Status
	Vitals func() *status.Vitals // Status in numbers, for the feed
	Hub    Hub
	Relay  Relay
	// Member tells the user and the source of a session that the relay knows by its peer id.
	Member func(peer string) (user string, from netip.Addr, ok bool)
	Bans   *source.Bans
	Usage  *usage.Ledger // nil: off
	// Reload reads the configuration again and puts it into force.
	Reload func() (Reloaded, error)
	Rooms  Rooms
	// Drain has the box end once its allocations have ended; it returns before.
	Drain func() error
	// Config is the effective configuration, as TOML without secrets.
	Config func() (string, error)
	Lines  *Lines // of the log
	Limits func() Limits
	Dir    *state.Dir // keeps which sessions of pages have been ended; nil: a restart forgets that
	Log    *slog.Logger
}

// API serves /api/admin.
type API struct {
	o      Options
	tokens atomic.Pointer[[]Token] // Options.Token, and those of Apply

	feed    feed
	history history
	shots   shots
	ended   ended

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
	a := &API{
		o: o, code: rand.Text(), ends: time.Now().Add(CodeLife),
		guesses: source.NewGuesses(guessesPerSecond, guessBurst), ended: ended{dir: o.Dir, log: o.Log},
	}
	a.Apply(nil)
	return a
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
		"GET /api/admin/openapi.json": http.HandlerFunc(serveOpenAPI),

		"POST /api/admin/login":  http.HandlerFunc(a.serveLogin),
		"POST /api/admin/logout": http.HandlerFunc(a.serveLogout),
		"GET /api/admin/session": a.only(Read, a.serveSession),
		"GET /api/admin/status":  a.only(Read, a.serveStatus),
		"GET /api/admin/bans":    a.only(Read, a.serveBans),
		"GET /api/admin/usage":   a.only(Read, a.serveUsage),
		"GET /api/admin/config":  a.only(Read, a.serveConfig),
		"GET /api/admin/log":     a.only(Read, a.serveLog),

		"GET /api/admin/events":      a.only(Read, a.serveEvents),
		"GET /api/admin/history":     a.only(Read, a.serveHistory),
		"GET /api/admin/rooms":       a.only(Read, a.serveRooms),
		"GET /api/admin/sessions":    a.only(Read, a.serveSessions),
		"GET /api/admin/allocations": a.only(Read, a.serveAllocations),

		"POST /api/admin/kick":   a.only(Write, a.serveKick),
		"POST /api/admin/unban":  a.only(Write, a.serveUnban),
		"POST /api/admin/close":  a.only(Write, a.serveClose),
		"POST /api/admin/reload": a.only(Write, a.serveReload),
		"POST /api/admin/drain":  a.only(Write, a.serveDrain),
	}
}

// fromThisMachine reports whether a request's client is on this machine.
func fromThisMachine(r *http.Request) bool {
	from := source.OfRequest(r)
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return from.IsLoopback() || local != nil && from == local.AddrPort().Addr().Unmap().WithZone("")
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
		refuse(w, http.StatusUnauthorized, Unauthorized, refusal)
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
		a.o.Log.Warn(loginRefused, "source", from, "limited", limited, "refused", n, "key", "admin.token")
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
		refuse(w, http.StatusBadRequest, BadRequest,
			`want {"peer":"..."}, or allocation, user, token or source, and "ban":"1h" if they are to stay out`)
		return
	}
	k.by = by(r)
	out, err := a.Kick(k)
	switch {
	case errors.Is(err, source.ErrTooManyBans):
		refuse(w, http.StatusInsufficientStorage, TooManyBans, err.Error())
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, BadRequest, err.Error())
		return
	}
	answer.JSON(w, http.StatusOK, out)
}
