package signal

import (
	"errors"
	"net/netip"
	"time"

	"signalbox/internal/source"
)

// Guard decides who may enter. It is called from many goroutines at once, and holds up only the
// client that it is asked about: so it may take a moment, but no longer than a second.
type Guard interface {
	// Admit judges the token of a hello or of a join; it is empty if the client sent none. The
	// error is or wraps ErrUnauthorized or ErrTooManyGuesses. If it is also an Explainer, the hub
	// sends its words to the client.
	Admit(token string, from netip.Addr) (Pass, error)
}

// Explainer is a Guard's error that explains itself to the client's developer.
type Explainer interface{ Why() string }

// The errors with which a Guard refuses.
var (
	ErrUnauthorized   = errors.New("unauthorized")
	ErrTooManyGuesses = errors.New("too many wrong tokens")
)

// Pass is what a token admits to. The zero Pass admits to everything, for ever.
type Pass struct {
	// Key names the token, for bans and logs; it is no secret. Empty: tokens don't differ, so none
	// can be banned.
	Key string
	// Attested says that the token names its bearer: Name, if not empty, and User replace what the
	// client says of itself.
	Attested   bool
	Name, User string
	// Subject is whom the token was issued to, in its signer's words; empty: it does not say.
	Subject string
	// Rooms reports whether the bearer may join the room of that name; nil: any.
	Rooms func(name string) bool
	// Capacity is the capacity of a room that the bearer opens; 0: the hub's default.
	Capacity int
	// Ends is when the token itself says that it ends. It caps what the bearer gets: ICE
	// credentials, and with Options.EndAtExp the session. Zero: never.
	Ends time.Time
	// Expires is when admission ends: no hello and no join from then on. It may be later than Ends
	// by as much as clocks may differ. Rooms joined before stay joined. Zero: never.
	Expires time.Time
}

// Identity names who brings the pass from a source, as far as a token tells: the user that it is
// for. A token without a user may be for many guests: so it is by the token and the source, and
// guests at other places are others. Empty: nobody knows. What a client only says of itself is no
// identity, since another could say the same.
func (p *Pass) Identity(from netip.Addr) string {
	switch {
	case p.Attested && p.User != "":
		return "user:" + p.User
	case p.Attested || p.Key != "":
		return "token:" + p.Key + " " + source.Of(from).String()
	}
	return ""
}

// Account names whom the use of the relay is counted for: the user whom the token names, or else
// "sub:" and its subject. Empty: nobody in particular.
func (p *Pass) Account() string {
	switch {
	case p.Attested && p.User != "":
		return p.User
	case p.Attested && p.Subject != "":
		return "sub:" + p.Subject
	}
	return ""
}
