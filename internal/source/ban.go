package source

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Ban keeps somebody out until a time: that user, who brings that token, who comes from that source.
// What is empty bans nobody.
type Ban struct {
	User   string
	Token  string // the key that admission knows it by: a jti, or "sub:" and a subject
	Source netip.Prefix
	Until  time.Time
}

// maxBans bounds the memory for bans of one kind; the operator makes them, so this many are a
// mistake.
const maxBans = 10_000

// Bans are those in force. One list serves the hub and the relay.
type Bans struct {
	mu            sync.Mutex
	users, tokens map[string]time.Time
	sources       map[netip.Prefix]time.Time
}

// NewBans returns an empty list.
func NewBans() *Bans {
	return &Bans{users: map[string]time.Time{}, tokens: map[string]time.Time{}, sources: map[netip.Prefix]time.Time{}}
}

// Add puts a ban into force. It fails if there are too many already.
func (b *Bans) Add(ban Ban, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	over := func(until time.Time) bool { return !now.Before(until) }
	return firstError(
		add(b.users, ban.User, ban.User != "", ban.Until, over),
		add(b.tokens, ban.Token, ban.Token != "", ban.Until, over),
		add(b.sources, ban.Source.Masked(), ban.Source.IsValid(), ban.Until, over),
	)
}

func add[K comparable](bans map[K]time.Time, who K, anybody bool, until time.Time, over func(time.Time) bool) error {
	if !anybody {
		return nil
	}
	if _, again := bans[who]; !again && len(bans) >= maxBans {
		for k, t := range bans {
			if over(t) {
				delete(bans, k)
			}
		}
		if len(bans) >= maxBans {
			return fmt.Errorf("there are %d bans in force already: wait until some are over, or restart", maxBans)
		}
	}
	bans[who] = until
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Concern reports whether a ban is about any of these, of which each may be empty. It forgets those
// whose time is over.
func (b *Bans) Concern(user, token string, ip netip.Addr, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.users)+len(b.tokens)+len(b.sources) == 0 {
		return false
	}
	if holds(b.users, user, now) || holds(b.tokens, token, now) {
		return true
	}
	for prefix, until := range b.sources {
		switch {
		case !now.Before(until):
			delete(b.sources, prefix)
		case prefix.Contains(ip):
			return true
		}
	}
	return false
}

func holds(bans map[string]time.Time, who string, now time.Time) bool {
	until, ok := bans[who]
	if ok && !now.Before(until) {
		delete(bans, who)
		return false
	}
	return ok
}
