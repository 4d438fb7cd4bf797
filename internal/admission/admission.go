// Package admission says who may enter: everybody, who knows a password, or who brings a room token.
// It also makes room tokens.
package admission

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"signalbox/internal/answer"
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
	// JWTKey verifies room tokens: a secret, a public key in PEM, or the path of a PEM file.
	JWTKey state.Secret
}

// Refusal is why somebody is not let in. It is a signal.ErrUnauthorized.
type Refusal struct {
	Why string
	// Guess tells that it may have been a guess at a secret. What is genuine but of no use, an expired
	// token for example, is none: retrying it must not lock out everybody who shares the client's
	// address.
	Guess bool
}

func (r *Refusal) Error() string { return signal.ErrUnauthorized.Error() + ": " + r.Why }

// Unwrap makes it a signal.ErrUnauthorized.
func (r *Refusal) Unwrap() error { return signal.ErrUnauthorized }

func refusef(format string, args ...any) *Refusal { return &Refusal{Why: fmt.Sprintf(format, args...)} }

// errWrong refuses something that only its secret's owner gets right.
var errWrong = &Refusal{Why: "wrong password, token or key", Guess: true}

// judge is one mode: it looks at what a client brings. Its refusals are Refusals.
type judge interface {
	admit(token string) (signal.Pass, error)
}

// newJudge reads what the mode needs; nil lets everybody in.
func newJudge(o Options) (judge, error) {
	switch o.Mode {
	case Password:
		return password(sha256.Sum256([]byte(o.Password))), nil
	case JWT:
		return loadVerifier(o.JWTKey)
	}
	return nil, nil
}

// password is the hash of the one that everybody knows who may enter. Hashes have one length, so
// that comparing them tells nothing of it.
type password [sha256.Size]byte

func (p password) admit(token string) (signal.Pass, error) {
	if got := sha256.Sum256([]byte(token)); subtle.ConstantTimeCompare(got[:], p[:]) != 1 {
		return signal.Pass{}, errWrong
	}
	return signal.Pass{}, nil
}

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
	guesses *source.Limiter
}

// New reads what the mode needs.
func New(o Options) (*Guard, error) {
	g := &Guard{guesses: source.NewLimiter(guessesPerSecond, guessBurst)}
	commit, err := g.Prepare(o)
	if err != nil {
		return nil, err
	}
	commit()
	return g, nil
}

// Prepare reads what other options need. commit puts them into force: who is in stays in.
func (g *Guard) Prepare(o Options) (commit func(), err error) {
	j, err := newJudge(o)
	if err != nil {
		return nil, err
	}
	return func() { g.inForce.Store(&j) }, nil
}

// Asks reports whether anything is asked of those who enter.
func (g *Guard) Asks() bool { return *g.inForce.Load() != nil }

// Admit implements signal.Guard.
func (g *Guard) Admit(token string, from netip.Addr) (pass signal.Pass, err error) {
	j := *g.inForce.Load()
	switch {
	case j == nil:
		return signal.Pass{}, nil
	case token == "": // nobody's guess: a client that does not know yet that it needs one
		return pass, refusef("this box asks for a room token or a password: bring it as the token")
	case len(token) > maxToken:
		return pass, refusef("the token is longer than %d bytes", maxToken)
	}
	err = g.look(from, func() (err error) {
		pass, err = j.admit(token)
		return err
	})
	return pass, err
}

// CheckKey compares a key that a program has brought from an address with the right one.
func (g *Guard) CheckKey(key state.Secret, brought string, from netip.Addr) error {
	return g.look(from, func() error {
		_, err := password(sha256.Sum256([]byte(key))).admit(brought)
		return err
	})
}

// look has try look at a secret that a source has brought, unless too many of them were wrong: then
// not even the right one is looked at.
func (g *Guard) look(from netip.Addr, try func() error) error {
	now := time.Now()
	if g.guesses.Spent(from, now) {
		return signal.ErrTooManyGuesses
	}
	err := try()
	var refused *Refusal
	if errors.As(err, &refused) && refused.Guess {
		g.guesses.Allow(from, now)
	}
	return err
}

// Only lets requests through under the rules that hold for a hello. They bring the token as a bearer
// token, or as ?token=.
func (g *Guard) Only(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := cmp.Or(answer.Bearer(r), r.URL.Query().Get("token"))
		if _, err := g.Admit(token, source.OfRequest(r)); err != nil {
			WriteRefusal(w, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// WriteRefusal answers with an error of a Guard.
func WriteRefusal(w http.ResponseWriter, err error) {
	var refused *Refusal
	if errors.Is(err, signal.ErrTooManyGuesses) || !errors.As(err, &refused) {
		answer.TooMany(w, "too many wrong passwords, tokens or keys from your network address: wait a while")
		return
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	answer.Error(w, http.StatusUnauthorized, answer.Unauthorized, refused.Why)
}
