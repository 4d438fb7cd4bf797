package signal

import (
	"errors"
	"net/netip"
	"time"
)

// Guard decides who may enter. It is called from many goroutines at once, under no lock, and must
// not block.
type Guard interface {
	// Admit judges the token of a hello, or of a join; empty if there is none. The error is
	// ErrUnauthorized or ErrTooManyGuesses, or wraps one of them with a word for the client's
	// developer.
	Admit(token string, source netip.Addr) (Pass, error)
}

// What a Guard refuses with.
var (
	ErrUnauthorized   = errors.New("unauthorized")
	ErrTooManyGuesses = errors.New("too many wrong tokens")
)

// Pass is what a token admits to. The zero Pass admits to everything, for good.
type Pass struct {
	// Key names the token, for bans and logs: it is no secret. Empty: tokens don't differ, so none
	// can be banned.
	Key string
	// Attested says that the token tells who its bearer is: Name, if not empty, and User are used
	// whatever the client says of itself.
	Attested   bool
	Name, User string
	// Rooms reports whether the bearer may join the room of that name; nil: any.
	Rooms func(name string) bool
	// Capacity is that of a room that the bearer opens; 0: the hub's default.
	Capacity int
	// Expires is when admission ends: no hello and no join from then on. What was joined before
	// goes on. Zero: never.
	Expires time.Time
}
