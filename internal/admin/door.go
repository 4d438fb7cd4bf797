package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"

	"signalbox/internal/answer"
)

// Who is let in, and for what: with a bearer token, or with the session of a page.

// Scope is what a token is good for.
type Scope string

// The scopes.
const (
	Read  Scope = "read"  // look
	Write Scope = "write" // look, and change
)

// Token lets in whoever brings the text that has its hash.
type Token struct {
	Name  string // for the log and for bans
	Hash  [sha256.Size]byte
	Scope Scope
}

// owner is the name of Options.Token.
const owner = "admin.token"

// Apply puts tokens into force, besides Options.Token.
func (a *API) Apply(tokens []Token) {
	all := append([]Token{{owner, sha256.Sum256([]byte(a.o.Token)), Write}}, tokens...)
	a.tokens.Store(&all)
}

// find returns the first token whose hash fits, or nil: Options.Token is before others that are the
// same. It looks at all of them, whichever it is.
func (a *API) find(fits func(Token) bool) (found *Token) {
	for _, t := range *a.tokens.Load() {
		if fits(t) && found == nil {
			found = &t
		}
	}
	return found
}

func (a *API) bearer(text string) *Token {
	hash := sha256.Sum256([]byte(text))
	return a.find(func(t Token) bool { return subtle.ConstantTimeCompare(hash[:], t.Hash[:]) == 1 })
}

// visitor is the key of the request's token in its context.
type visitor struct{}

// by is the name of the token that a request has brought.
func by(r *http.Request) string {
	t, _ := r.Context().Value(visitor{}).(*Token)
	if t == nil {
		return ""
	}
	return t.Name
}

// only lets requests through with a token of that scope.
func (a *API) only(scope Scope, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := a.enter(w, r)
		switch {
		case t == nil:
		case scope == Write && t.Scope != Write:
			refuse(w, http.StatusForbidden, OnlyLooks,
				"this token may only look: its scope in admin.tokens is not write")
		default:
			next(w, r.WithContext(context.WithValue(r.Context(), visitor{}, t)))
		}
	})
}

// enter returns the token of a request, or answers it.
func (a *API) enter(w http.ResponseWriter, r *http.Request) (t *Token) {
	brought := answer.Bearer(r)
	if brought == "" {
		if s, ok := a.sessionOf(r); ok {
			a.renew(w, r, s)
			if r.Method != http.MethodGet && r.Header.Get(pageHeader) == "" {
				refuse(w, http.StatusForbidden, Unauthorized,
					"with a cookie, requests that change something need the header "+pageHeader)
				return nil
			}
			return s.token
		}
	}
	a.login(w, r, brought, func() bool {
		t = a.bearer(brought)
		if t == nil && a.o.Local != "" && fromThisMachine(r) && same(brought, string(a.o.Local)) {
			t = &(*a.tokens.Load())[0]
		}
		return t != nil
	}, "the admin API needs the token in admin.token or the state directory, or one of admin.tokens")
	return t
}

// Login is what a page begins its session with: the code of a link, or a token.
type Login struct {
	Code  string `json:"code,omitempty"`
	Token string `json:"token,omitempty"`
}

// Session says whose a session is.
type Session struct {
	Name  string `json:"name"` // of the token
	Scope Scope  `json:"scope"`
}

func (a *API) serveLogin(w http.ResponseWriter, r *http.Request) {
	var in Login
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1024)).Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, BadRequest, `want {"code":"..."} or {"token":"..."}`)
		return
	}
	t := &(*a.tokens.Load())[0]
	switch {
	case in.Token != "":
		if !a.login(w, r, in.Token, func() bool {
			t = a.bearer(in.Token)
			return t != nil
		}, "that is no token of this box's admin API") {
			return
		}
	case !a.login(w, r, in.Code, func() bool { return a.spend(in.Code) },
		"this link has been used or is too old: enter the admin token (it is in the state directory), or restart "+
			"signalbox for a new link"):
		return
	}
	a.beginSession(w, r, t)
	answer.JSON(w, http.StatusOK, Session{t.Name, t.Scope})
}

func (a *API) serveSession(w http.ResponseWriter, r *http.Request) {
	t, _ := r.Context().Value(visitor{}).(*Token)
	answer.JSON(w, http.StatusOK, Session{t.Name, t.Scope})
}
