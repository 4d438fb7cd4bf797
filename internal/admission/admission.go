// Package admission decides who may enter: everybody, clients with the password, or clients with a
// room token. It also makes room tokens.
//
// A password can be guessed, so after too many wrong ones from a source not even the right one is
// looked at for a while. A token can't: it is judged first, and only what nobody has signed is
// slowed down. Keys come from the configuration, or are fetched (JWKS) by Guard.Keep; nobody who
// comes in waits for that.
package admission

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"signalbox/internal/answer"
	"signalbox/internal/fault"
	"signalbox/internal/source"
	"signalbox/internal/state"
	"signalbox/signal"
)

// The modes of admission.
const (
	Open     = "open"     // everybody
	Password = "password" // who brings the password
	JWT      = "jwt"      // who brings a room token
)

// Options say who may enter.
type Options struct {
	Mode     string
	Password state.Secret // for mode Password
	// JWTKey verifies room tokens: a secret, a public key in PEM, the path of a PEM file, or the
	// path or address of a set of public keys (JWKS). OldJWTKeys verify them, too.
	JWTKey     state.Secret
	OldJWTKeys []state.Secret
	// Cache keeps sets of keys that were fetched for the next start; nil: none does.
	Cache Cache
	// Log is told of refusals, and once when a token uses a claim that gives away more than its
	// maker may mean; nil: nobody is. Of New only.
	Log *slog.Logger
}

// Refusal is why somebody is not let in. It is a signal.ErrUnauthorized.
type Refusal struct {
	Words string // for the developer of the client
	// Guess tells that the client may have guessed at a secret. A genuine but useless token, such
	// as an expired one, is no guess: retrying it must not lock out everybody who shares the
	// client's address.
	Guess bool
}

func (r *Refusal) Error() string { return signal.ErrUnauthorized.Error() + ": " + r.Words }

// Why implements signal.Explainer.
func (r *Refusal) Why() string { return r.Words }

// Unwrap makes it a signal.ErrUnauthorized.
func (r *Refusal) Unwrap() error { return signal.ErrUnauthorized }

func refusef(format string, args ...any) *Refusal {
	return &Refusal{Words: fmt.Sprintf(format, args...)}
}

// errWrong refuses something that only its secret's owner gets right.
var errWrong = &Refusal{Words: "wrong password, token or key", Guess: true}

// ErrBanned refuses somebody whom a ban is about.
var ErrBanned = refusef("you were removed by the operator")

// judge is one mode: it looks at what a client brings. Its refusals are Refusals.
type judge interface {
	admit(token string) (signal.Pass, error)
	// isGuessed tells that who tries often enough gets it right. Then what a source brings is not
	// even looked at after too many wrong ones. Otherwise only what is wrong is slowed down: many
	// people may share an address with somebody who sends garbage.
	isGuessed() bool
}

// newJudge makes the judge of a mode; nil lets everybody in. An unknown mode is an error: a typing
// mistake must not open the box.
func (g *Guard) newJudge(o Options) (judge, error) {
	switch o.Mode {
	case Open:
		return nil, nil
	case Password:
		return password(sha256.Sum256([]byte(o.Password))), nil
	case JWT:
		var before *tokens
		if j := g.inForce.Load(); j != nil {
			before, _ = (*j).(*tokens)
		}
		t, err := loadTokens(o, g.lookForKeys, before)
		if err == nil {
			t.matched = g.tellOfPatterns
		}
		return t, err
	}
	return nil, fault.New("auth.mode", "%q is none of %s, %s, %s", o.Mode, Open, Password, JWT)
}

// password is the hash of the common password. Hashes have one length, so comparing them reveals
// nothing about it.
type password [sha256.Size]byte

func (p password) admit(token string) (signal.Pass, error) {
	if got := sha256.Sum256([]byte(token)); subtle.ConstantTimeCompare(got[:], p[:]) != 1 {
		return signal.Pass{}, errWrong
	}
	return signal.Pass{}, nil
}

// isGuessed implements judge.
func (p password) isGuessed() bool { return true }

// Wrong passwords, tokens and keys that one source may try a second, and at once.
const (
	guessesPerSecond = 1
	guessBurst       = 20
)

// maxToken bounds what is looked at, in bytes.
const maxToken = 4096

// Guard stands at the door. It implements signal.Guard.
type Guard struct {
	inForce atomic.Pointer[judge]
	guesses *source.Guesses // at passwords and keys
	garbage *source.Limiter // tokens that nobody has signed
	bans    *source.Bans
	wake    chan struct{} // Keep
	log     *slog.Logger
	told    atomic.Bool     // of patterns in room
	refused source.Minutely // what the log is told
}

// New reads what the mode needs. Whom a ban is about is not let in by Only; sessions are the hub's
// to judge. bans may be nil.
func New(o Options, bans *source.Bans) (*Guard, error) {
	g := &Guard{
		guesses: source.NewGuesses(guessesPerSecond, guessBurst),
		garbage: source.NewLimiter(guessesPerSecond, guessBurst),
		bans:    bans, wake: make(chan struct{}, 1), log: cmp.Or(o.Log, slog.New(slog.DiscardHandler)),
	}
	commit, err := g.Prepare(o)
	if err != nil {
		return nil, err
	}
	commit()
	return g, nil
}

// Prepare validates other options. commit puts them into force; admitted clients stay in.
func (g *Guard) Prepare(o Options) (commit func(), err error) {
	j, err := g.newJudge(o)
	if err != nil {
		return nil, err
	}
	return func() {
		g.inForce.Store(&j)
		g.lookForKeys()
	}, nil
}

// lookForKeys has Keep look which sets of keys it must fetch.
func (g *Guard) lookForKeys() {
	select {
	case g.wake <- struct{}{}:
	default: // it will
	}
}

// tellOfPatterns warns of tokens that have a * in room, once.
func (g *Guard) tellOfPatterns() {
	if g.told.Swap(true) {
		return
	}
	g.log.Warn("a room token has a * in its claim room, where it matches any characters: if somebody typed that "+
		"name, the token admits to more rooms than meant", "names", "rooms", "patterns", "room_patterns")
}

// Asks reports whether the guard asks clients for a password or a token.
func (g *Guard) Asks() bool { return *g.inForce.Load() != nil }

// EntryRefused is the message of the line of the log that tells of clients with a wrong password or
// token.
const EntryRefused = "entry refused"

// Admit implements signal.Guard.
func (g *Guard) Admit(token string, from netip.Addr) (pass signal.Pass, err error) {
	j := *g.inForce.Load()
	if pass, err = g.judge(j, token, from); err == nil || token == "" {
		return pass, err
	}
	if n, due := g.refused.Due(time.Now()); due {
		key := "auth.jwt_key"
		if j.isGuessed() {
			key = "auth.password"
		}
		g.log.Warn(EntryRefused, "source", from, "why", err, "refused", n, "key", key)
	}
	return pass, err
}

// judge has the judge look at a token, within the limits of its source.
func (g *Guard) judge(j judge, token string, from netip.Addr) (pass signal.Pass, err error) {
	switch {
	case j == nil:
		return signal.Pass{}, nil
	case token == "": // nobody's guess: a client that does not know yet that it needs one
		return pass, refusef("this box asks for a password or a room token: send it as the token")
	case len(token) > maxToken:
		return pass, refusef("the token is longer than %d bytes", maxToken)
	}
	if j.isGuessed() {
		err = g.look(from, func() (err error) {
			pass, err = j.admit(token)
			return err
		})
		return pass, err
	}
	if pass, err = j.admit(token); isWrong(err) && !g.garbage.Allow(from, time.Now()) {
		err = signal.ErrTooManyGuesses
	}
	return pass, err
}

// isWrong tells refusals of what may have been made up.
func isWrong(err error) bool {
	var refused *Refusal
	return errors.As(err, &refused) && refused.Guess
}

// CheckKey compares a key that a program has brought from an address with the right one.
func (g *Guard) CheckKey(key state.Secret, brought string, from netip.Addr) error {
	return g.look(from, func() error {
		_, err := password(sha256.Sum256([]byte(key))).admit(brought)
		return err
	})
}

// look lets try check a secret that a source has sent. If the source has sent too many wrong ones,
// look does not even check the right one. However many come at one time, no more are checked than
// may be wrong: the others wait for their turn; see source.Guesses. So try must not wait for
// anything.
func (g *Guard) look(from netip.Addr, try func() error) (err error) {
	if !g.guesses.Look(from, func() (wrong bool) {
		err = try()
		return isWrong(err)
	}) {
		return signal.ErrTooManyGuesses
	}
	return err
}

// passKey is where Only keeps the pass in a request's context.
type passKey struct{}

// PassOf returns what Only let a request through with.
func PassOf(r *http.Request) (pass signal.Pass) {
	pass, _ = r.Context().Value(passKey{}).(signal.Pass)
	return pass
}

// Only lets requests through under the rules of a hello. They bring the password or token as a
// bearer token or as ?token=. next finds the pass with PassOf.
func (g *Guard) Only(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := cmp.Or(answer.Bearer(r), r.URL.Query().Get("token"))
		from := source.OfRequest(r)
		pass, err := g.Admit(token, from)
		if err == nil && g.bans.Concern(pass.User, pass.Key, from, time.Now()) {
			err = ErrBanned
		}
		if err != nil {
			WriteRefusal(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), passKey{}, pass)))
	})
}

// WriteRefusal answers with an error of a Guard.
func WriteRefusal(w http.ResponseWriter, err error) {
	var again *tryAgain
	if errors.As(err, &again) {
		answer.TooMany(w, again.Why())
		return
	}
	if errors.Is(err, signal.ErrTooManyGuesses) {
		answer.TooMany(w, "too many wrong passwords, tokens or keys from your network address: wait a while")
		return
	}
	why := err.Error()
	var refused *Refusal
	if errors.As(err, &refused) {
		why = refused.Words
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	answer.Error(w, http.StatusUnauthorized, answer.Unauthorized, why)
}
