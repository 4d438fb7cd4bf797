package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"signalbox/internal/answer"
	"signalbox/internal/netaddr"
	"signalbox/internal/source"
)

// Bans lists the bans in force, the oldest first.
type Bans struct {
	Bans []Ban `json:"bans"`
}

// Ban is a source.Ban with its times in Unix milliseconds.
type Ban struct {
	User   string       `json:"user,omitempty"`
	Peer   string       `json:"peer,omitempty"`
	Token  string       `json:"token,omitempty"`
	Source netip.Prefix `json:"source,omitzero"`
	Until  int64        `json:"until"`
	For    string       `json:"for,omitempty"`
	Made   int64        `json:"made,omitempty"`
	Why    string       `json:"why,omitempty"`
	By     string       `json:"by,omitempty"`
}

func banOf(b source.Ban) Ban {
	out := Ban{User: b.User, Peer: b.Peer, Token: b.Token, Source: b.Source, Until: b.Until.UnixMilli(), For: b.For,
		Why: b.Why, By: b.By}
	if !b.Made.IsZero() {
		out.Made = b.Made.UnixMilli()
	}
	return out
}

// Unban names whose bans to lift, by exactly one field. Those that came with the kick of a peer go
// with it.
type Unban struct {
	Peer   string `json:"peer,omitempty"`
	User   string `json:"user,omitempty"`
	Token  string `json:"token,omitempty"`
	Source string `json:"source,omitempty"`

	by string // the name of the token that asks
}

// Unbanned counts the bans that an Unban has lifted.
type Unbanned struct {
	Lifted int `json:"lifted"`
	// Warning says that they come back with a restart; empty: they don't.
	Warning     string  `json:"warning,omitempty"`
	WarningCode Warning `json:"warningCode,omitempty"`
}

// Unban lifts bans.
func (a *API) Unban(u Unban) (out Unbanned, err error) {
	if !isOne(u.Peer, u.User, u.Token, u.Source) {
		return out, errors.New("name one peer, user, token or source")
	}
	var match func(source.Ban) bool
	switch {
	case u.Peer != "":
		match = func(b source.Ban) bool { return b.Peer == u.Peer || b.For == "peer:"+u.Peer }
	case u.User != "":
		match = func(b source.Ban) bool { return slices.Contains(namesOf(u.User), b.User) }
	case u.Token != "":
		match = func(b source.Ban) bool { return b.Token == u.Token }
	default:
		from, err := netaddr.ParsePrefix(u.Source)
		if err != nil {
			return out, fmt.Errorf("source: %w", err)
		}
		match = func(b source.Ban) bool { return b.Source == from.Masked() }
	}
	if out.Lifted, err = a.o.Bans.Lift(time.Now(), match); err != nil {
		out.WarningCode, out.Warning, err = a.kept(err)
	}
	a.o.Log.Info("bans lifted", "peer", u.Peer, "user", u.User, "token", u.Token, "source", u.Source,
		"bans", out.Lifted, "by", u.by)
	return out, err
}

func (a *API) serveBans(w http.ResponseWriter, _ *http.Request) {
	out := Bans{[]Ban{}}
	for _, b := range a.o.Bans.List(time.Now()) {
		out.Bans = append(out.Bans, banOf(b))
	}
	answer.JSON(w, http.StatusOK, out)
}

func (a *API) serveUnban(w http.ResponseWriter, r *http.Request) {
	var u Unban
	if err := decode(w, r, &u); err != nil {
		refuse(w, http.StatusBadRequest, BadRequest, `want {"peer":"..."}, or user, token or source`)
		return
	}
	u.by = by(r)
	out, err := a.Unban(u)
	if err != nil {
		refuse(w, http.StatusBadRequest, BadRequest, err.Error())
		return
	}
	answer.JSON(w, http.StatusOK, out)
}
