package admin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"signalbox/internal/source"
)

// The session of a page is a cookie that no script reads and that browsers send from the box's own
// pages only (RFC 6265bis, SameSite=Strict). Other pages can't make a browser send pageHeader
// along, since no CORS answer of the admin API lets them. The cookie is signed, says when the login
// was and until when it holds, and is worth what the token of its login is worth. The box keeps
// only which sessions have been ended, see ended.

const (
	pageHeader   = "X-Signalbox-Admin"
	sessionLife  = 12 * time.Hour
	sessionRenew = sessionLife / 2    // what is left when a page gets a new cookie
	sessionMost  = 7 * 24 * time.Hour // from its login on, however often it is renewed
)

// session is what a cookie says.
type session struct {
	name        string // of this login
	began, ends time.Time
	token       *Token
}

// sessionCookie is the cookie of requests like this one. Over TLS no other port or name can set it.
func sessionCookie(r *http.Request) *http.Cookie {
	c := &http.Cookie{Name: "signalbox-admin", Path: "/api/admin", HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if source.Scheme(r) == "https" {
		c.Name, c.Path, c.Secure = "__Host-signalbox-admin", "/", true
	}
	return c
}

func (a *API) beginSession(w http.ResponseWriter, r *http.Request, t *Token) {
	now := time.Now()
	a.setSession(w, r, session{rand.Text(), now, now.Add(sessionLife), t})
}

func (a *API) setSession(w http.ResponseWriter, r *http.Request, s session) {
	c := sessionCookie(r)
	c.Value = a.signed(s)
	http.SetCookie(w, c)
}

// signed is the value of a session's cookie.
func (a *API) signed(s session) string {
	says := strings.Join([]string{s.name, seconds(s.began), seconds(s.ends), s.token.id()}, ".")
	return says + "." + a.sign(says, s.token)
}

func seconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// id names a token in a cookie.
func (t *Token) id() string {
	sum := sha256.Sum256(t.Hash[:])
	return hex.EncodeToString(sum[:8])
}

func (a *API) sign(says string, t *Token) string {
	mac := hmac.New(sha256.New, []byte(a.o.Token))
	mac.Write([]byte("signalbox admin session\n" + a.ended.era() + "\n" + says + "\n"))
	mac.Write(t.Hash[:])
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// sessionOf returns a page's session, if it has one that goes on. Nobody guesses a signature, so it
// is not limited.
func (a *API) sessionOf(r *http.Request) (s session, ok bool) {
	c, err := r.Cookie(sessionCookie(r).Name)
	if err != nil {
		return s, false
	}
	part := strings.Split(c.Value, ".")
	if len(part) != 5 {
		return s, false
	}
	s.token = a.find(func(t Token) bool { return t.id() == part[3] })
	if s.token == nil || !same(part[4], a.sign(strings.Join(part[:4], "."), s.token)) {
		return s, false
	}
	s.name = part[0]
	for i, at := range []*time.Time{&s.began, &s.ends} {
		n, err := strconv.ParseInt(part[1+i], 10, 64)
		if err != nil {
			return s, false
		}
		*at = time.Unix(n, 0)
	}
	return s, time.Now().Before(s.ends) && !a.ended.has(s)
}

// renew gives a page that is in use a cookie that holds longer, if its session may last longer.
func (a *API) renew(w http.ResponseWriter, r *http.Request, s session) {
	next := time.Now().Add(sessionLife)
	if most := s.began.Add(sessionMost); next.After(most) {
		next = most
	}
	if time.Until(s.ends) < sessionRenew && next.After(s.ends) {
		s.ends = next
		a.setSession(w, r, s)
	}
}

// serveLogout ends a page's session, here and in its browser.
func (a *API) serveLogout(w http.ResponseWriter, r *http.Request) {
	if s, ok := a.sessionOf(r); ok {
		a.ended.add(s)
	}
	c := sessionCookie(r)
	c.MaxAge = -1
	http.SetCookie(w, c)
	w.WriteHeader(http.StatusNoContent)
}
