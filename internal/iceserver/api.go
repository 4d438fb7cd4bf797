package iceserver

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"signalbox/internal/admission"
	"signalbox/internal/answer"
	"signalbox/internal/source"
	"signalbox/internal/state"
	"signalbox/signal"
	"signalbox/turnsvc/cred"
)

// The routes at which TURN credentials are had without a session.

// mayIssue counts a credential for the source of a request. If that has had too many, mayIssue
// answers the request with an error.
func (i *Issuer) mayIssue(w http.ResponseWriter, r *http.Request) bool {
	if i.issued.Allow(source.OfRequest(r), time.Now()) {
		return true
	}
	answer.TooMany(w, "too many credentials for your network address: wait a second")
	return false
}

// bearer is the id that a credential without a session is for. Whoever was let in with a token
// counts as one user for the relay, however many credentials it gets; the id tells neither the user
// nor the source, since TURN sends it in the clear.
//
// Without a token each credential is for another: as one user, all people behind a NAT would share
// the limits of one. The relay limits them by source, and gives each source its turn.
func (i *Issuer) bearer(pass *signal.Pass, from netip.Addr) string {
	who := pass.Identity(from)
	if who == "" {
		return rand.Text()
	}
	return i.name(who)
}

// UserID is the id of credentials without a session that a user's tokens have got.
func (i *Issuer) UserID(user string) string {
	pass := signal.Pass{Attested: true, User: user}
	return i.name(pass.Identity(netip.Addr{}))
}

func (i *Issuer) name(who string) string {
	mac := hmac.New(sha256.New, i.o.Naming)
	mac.Write([]byte(who))
	return base32.StdEncoding.EncodeToString(mac.Sum(nil)[:15])
}

// Sessionless returns ICE servers for a request of somebody without a session. Such a credential
// reaches only this box's own relays. If the source has had too many, Sessionless answers the
// request, and ok is false.
func (i *Issuer) Sessionless(w http.ResponseWriter, r *http.Request) (ice signal.ICE, ok bool) {
	if !i.mayIssue(w, r) {
		return ice, false
	}
	pass := admission.PassOf(r)
	ice.Servers, ice.Expires = i.servers(r.Host, cred.ICE, i.bearer(&pass, source.OfRequest(r)), pass.Ends)
	return ice, true
}

// ServeICE hands out ICE servers without a session.
func (i *Issuer) ServeICE(w http.ResponseWriter, r *http.Request) {
	ice, ok := i.Sessionless(w, r)
	if !ok {
		return
	}
	answer.JSON(w, http.StatusOK, struct {
		ICEServers   []signal.ICEServer `json:"iceServers"`
		ICEExpiresAt int64              `json:"iceExpiresAt"`
	}{ice.Servers, unixMilli(ice.Expires)})
}

// unixMilli is 0 for the zero time.
func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// RESTOpen reports whether /api/turn asks for no key.
func (i *Issuer) RESTOpen() bool {
	with := i.live.Load()
	return with.REST && with.RESTKey == ""
}

// ServeREST issues TURN credentials to other servers for their users
// (draft-uberti-behave-turn-rest-00 §2).
func (i *Issuer) ServeREST(w http.ResponseWriter, r *http.Request) {
	with := i.live.Load()
	if !with.REST {
		answer.Error(w, http.StatusNotFound, answer.NotFound,
			"TURN REST is off here: set compat.turn_rest to a key of at least 16 characters")
		return
	}
	in, err := restRequest(w, r)
	if err != nil {
		answer.Error(w, http.StatusBadRequest, answer.BadRequest, err.Error())
		return
	}
	if with.RESTKey != "" {
		if err := i.checkKey(r, in, with.RESTKey); err != nil {
			admission.WriteRefusal(w, err)
			return
		}
	}
	if service := in.Get("service"); service != "" && service != "turn" {
		answer.Error(w, http.StatusBadRequest, answer.BadRequest, `the only service is "turn"`)
		return
	}
	user := in.Get("username")
	if err := admission.CheckName("username", user); err != nil {
		answer.Error(w, http.StatusBadRequest, answer.BadRequest, err.Error())
		return
	}
	if i.o.Banned != nil && i.o.Banned(user, source.OfRequest(r)) {
		admission.WriteRefusal(w, admission.ErrBanned)
		return
	}
	if !i.mayIssue(w, r) {
		return
	}
	if user == "" {
		user = rand.Text()
	}
	username, password := with.Keys.Mint(cred.Shared, user, time.Now().Add(with.TTL))
	_, uris := i.urls(with, i.farHost(r.Host))
	if uris == nil {
		uris = []string{} // apps go through it
	}
	answer.JSON(w, http.StatusOK, struct {
		Username string   `json:"username"`
		Password string   `json:"password"`
		TTL      int      `json:"ttl"` // in seconds
		URIs     []string `json:"uris"`
	}{username, password, int(with.TTL.Seconds()), uris})
}

// checkKey looks for the key where the draft and Janus put it, and in the Authorization header,
// which no proxy logs.
func (i *Issuer) checkKey(r *http.Request, in url.Values, key state.Secret) error {
	brought := cmp.Or(in.Get("key"), in.Get("api"), answer.Bearer(r))
	if brought == "" {
		return &admission.Refusal{Words: "send the value of compat.turn_rest as key"}
	}
	return i.o.CheckKey(key, brought, source.OfRequest(r))
}

// restRequest reads the parameters of a request from its query and its body, which is a form or
// JSON.
func restRequest(w http.ResponseWriter, r *http.Request) (url.Values, error) {
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
