package signalbox

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"signalbox/signal"
)

// admission is one mode of [auth]: it judges what a client brings. A refusal is
// signal.ErrUnauthorized, and errWrong if it may have been a guess.
type admission interface {
	admit(token string) (signal.Pass, error)
}

// errWrong is the refusal of something that only its secret's owner gets right. What is genuine but
// of no use, an expired token for example, is another: retrying it must not lock out everybody who
// shares the client's address.
var errWrong = fmt.Errorf("%w: wrong password, token or key", signal.ErrUnauthorized)

// Wrong passwords, tokens and keys that one source may try a second, and at once.
const (
	guessesPerSecond = 1
	guessBurst       = 20
)

// maxToken bounds what is looked at, in bytes.
const maxToken = 4096

// newAdmission reads what the configuration's mode needs; nil: everybody is let in.
func newAdmission(c *Config) (admission, error) {
	switch c.Auth.Mode {
	case "password":
		return password(sha256.Sum256([]byte(c.Auth.Password))), nil
	case "jwt":
		key, err := loadJWTKey(c.Auth.JWTKey)
		if err != nil {
			return nil, err
		}
		return key, nil
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

// judge has try look at a secret that source has brought, unless too many of them were wrong: then
// not even the right one is looked at.
func (a *App) judge(source netip.Addr, try func() error) error {
	now := time.Now()
	if a.guesses.spent(source, now) {
		return signal.ErrTooManyGuesses
	}
	err := try()
	if errors.Is(err, errWrong) {
		a.guesses.allow(source, now)
	}
	return err
}

// guard implements signal.Guard by what is in force.
type guard struct{ a *App }

func (g guard) Admit(token string, source netip.Addr) (pass signal.Pass, err error) {
	switch {
	case token == "": // nobody's guess: a client that does not know yet that it needs one
		return pass, fmt.Errorf("%w: this box asks for a room token or a password: bring it as the token",
			signal.ErrUnauthorized)
	case len(token) > maxToken:
		return pass, fmt.Errorf("%w: the token is longer than %d bytes", signal.ErrUnauthorized, maxToken)
	}
	err = g.a.judge(source, func() (err error) {
		pass, err = g.a.live.Load().auth.admit(token)
		return err
	})
	return pass, err
}

// admitted lets requests through under the rules that hold for a hello.
func (a *App) admitted(next http.HandlerFunc) http.HandlerFunc {
	if a.live.Load().auth == nil {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) {
		token := cmp.Or(bearer(r), r.URL.Query().Get("token"))
		if _, err := (guard{a}).Admit(token, requestSource(r)); err != nil {
			writeRefusal(w, err)
			return
		}
		next(w, r)
	}
}

// bearer returns what a request has brought as "Authorization: Bearer ..." (RFC 6750 §2.1), or "".
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

// writeRefusal answers with an error of a Guard.
func writeRefusal(w http.ResponseWriter, err error) {
	if errors.Is(err, signal.ErrTooManyGuesses) {
		w.Header().Set("Retry-After", "1")
		writeError(w, http.StatusTooManyRequests, "rate-limited",
			"too many wrong passwords, tokens or keys from your network address: wait a while")
		return
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	writeError(w, http.StatusUnauthorized, "unauthorized",
		strings.TrimPrefix(err.Error(), signal.ErrUnauthorized.Error()+": "))
}
