package source

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Ban keeps out a user, the bearers of a token, and a source, until a time. Empty fields ban
// nobody.
type Ban struct {
	User   string
	Token  string // the key that admission knows it by: a jti, or "sub:" and a subject
	Source netip.Prefix
	Until  time.Time
}

// maxBans bounds the memory for bans of one kind. Operators make bans by hand, so more must be a
// mistake.
const maxBans = 10_000

// Bans are the bans in force. One list serves the hub and the relay, which ask it for every client
// that comes: asking takes no lock, and takes as long with ten thousand bans as with one.
type Bans struct {
	mu      sync.Mutex // of those who change them
	inForce atomic.Pointer[banList]
}

// banList is immutable.
type banList struct {
	users, tokens map[string]time.Time
	sources       map[netip.Prefix]time.Time
	lengths       []int // of the sources' prefixes, each once
}

// NewBans returns an empty list.
func NewBans() *Bans { return &Bans{} }

// Add puts bans into force: all of them or, if there are too many already, none. Of two bans of one
// user, token or source the longer one holds.
func (b *Bans) Add(now time.Time, bans ...Ban) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := banList{users: map[string]time.Time{}, tokens: map[string]time.Time{},
		sources: map[netip.Prefix]time.Time{}}
	if old := b.inForce.Load(); old != nil {
		keep(next.users, old.users, now)
		keep(next.tokens, old.tokens, now)
		keep(next.sources, old.sources, now)
	}
	for _, ban := range bans {
		if ban.User != "" {
			extend(next.users, ban.User, ban.Until)
		}
		if ban.Token != "" {
			extend(next.tokens, ban.Token, ban.Until)
		}
		if ban.Source.IsValid() {
			extend(next.sources, ban.Source.Masked(), ban.Until)
		}
	}
	if max(len(next.users), len(next.tokens), len(next.sources)) > maxBans {
		return fmt.Errorf("there are %d bans in force already: wait until some are over, or restart", maxBans)
	}
	for prefix := range next.sources {
		if !slices.Contains(next.lengths, prefix.Bits()) {
			next.lengths = append(next.lengths, prefix.Bits())
		}
	}
	b.inForce.Store(&next)
	return nil
}

// keep copies the bans that are not over.
func keep[K comparable](to, from map[K]time.Time, now time.Time) {
	for who, until := range from {
		if now.Before(until) {
			to[who] = until
		}
	}
}

func extend[K comparable](bans map[K]time.Time, who K, until time.Time) {
	if until.After(bans[who]) {
		bans[who] = until
	}
}

// Concern reports whether a ban applies to any of these; each may be empty. A nil list has no bans.
func (b *Bans) Concern(user, token string, ip netip.Addr, now time.Time) bool {
	if b == nil {
		return false
	}
	list := b.inForce.Load()
	if list == nil {
		return false
	}
	if now.Before(list.users[user]) || now.Before(list.tokens[token]) {
		return true
	}
	ip = ip.Unmap().WithZone("")
	for _, bits := range list.lengths {
		if prefix, err := ip.Prefix(bits); err == nil && now.Before(list.sources[prefix]) {
			return true
		}
	}
	return false
}
