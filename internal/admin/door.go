package admin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"signalbox/internal/answer"
	"signalbox/internal/source"
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
			answer.Error(w, http.StatusForbidden, answer.Unauthorized,
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
		if t = a.sessionOf(w, r); t != nil {
			if r.Method != http.MethodGet && r.Header.Get(pageHeader) == "" {
				answer.Error(w, http.StatusForbidden, answer.Unauthorized,
					"with a cookie, requests that change something need the header "+pageHeader)
				return nil
			}
			return t
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

// The session of a page is a cookie that no script reads and that browsers send from the box's own
// pages only (RFC 6265bis, SameSite=Strict). Other pages can't make a browser send pageHeader
// along, since no CORS answer of the admin API lets them. The box keeps nothing: the cookie is
// signed, says until when it holds, and is worth what the token of its login is worth.

const (
	pageHeader   = "X-Signalbox-Admin"
	sessionLife  = 12 * time.Hour
	sessionRenew = sessionLife / 2 // what is left when a page gets a new one
)

// sessionCookie is the cookie of requests like this one. Over TLS no other port or name can set it.
func sessionCookie(r *http.Request) *http.Cookie {
	c := &http.Cookie{Name: "signalbox-admin", Path: "/api/admin", HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if source.Scheme(r) == "https" {
		c.Name, c.Path, c.Secure = "__Host-signalbox-admin", "/", true
	}
	return c
}

// setSession begins or renews a session.
func (a *API) setSession(w http.ResponseWriter, r *http.Request, t *Token) {
	c, ends := sessionCookie(r), strconv.FormatInt(time.Now().Add(sessionLife).Unix(), 10)
	c.Value = ends + "." + t.id() + "." + a.sign(ends, t)
	http.SetCookie(w, c)
}

// id names a token in a cookie.
func (t *Token) id() string {
	sum := sha256.Sum256(t.Hash[:])
	return hex.EncodeToString(sum[:8])
}

func (a *API) sign(ends string, t *Token) string {
	mac := hmac.New(sha256.New, []byte(a.o.Token))
	mac.Write([]byte("signalbox admin session\n" + ends + "\n"))
	mac.Write(t.Hash[:])
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// sessionOf returns the token of a page's session, or nil. Nobody guesses a signature, so it is not
// limited.
func (a *API) sessionOf(w http.ResponseWriter, r *http.Request) *Token {
	c, err := r.Cookie(sessionCookie(r).Name)
	if err != nil {
		return nil
	}
	part := strings.Split(c.Value, ".")
	if len(part) != 3 {
		return nil
	}
	t := a.find(func(t Token) bool { return t.id() == part[1] })
	if t == nil || !same(part[2], a.sign(part[0], t)) {
		return nil
	}
	seconds, err := strconv.ParseInt(part[0], 10, 64)
	left := time.Until(time.Unix(seconds, 0))
	if err != nil || left <= 0 {
		return nil
	}
	if left < sessionRenew {
		a.setSession(w, r, t)
	}
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
		answer.Error(w, http.StatusBadRequest, answer.BadRequest, `want {"code":"..."} or {"token":"..."}`)
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
	a.setSession(w, r, t)
	answer.JSON(w, http.StatusOK, Session{t.Name, t.Scope})
}

// serveLogout ends a page's session in its browser.
func (a *API) serveLogout(w http.ResponseWriter, r *http.Request) {
	c := sessionCookie(r)
	c.MaxAge = -1
	http.SetCookie(w, c)
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) serveSession(w http.ResponseWriter, r *http.Request) {
	t, _ := r.Context().Value(visitor{}).(*Token)
	answer.JSON(w, http.StatusOK, Session{t.Name, t.Scope})
}
