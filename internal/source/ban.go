package source

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Ban keeps out a user, a peer of the hub, the bearers of a token, and a source, until a time.
// Empty fields ban nobody.
type Ban struct {
	User   string       `json:"user,omitempty"`
	Peer   string       `json:"peer,omitempty"`  // its id
	Token  string       `json:"token,omitempty"` // the key that admission knows it by: a jti, or "sub:" and a subject
	Source netip.Prefix `json:"source,omitzero"`
	Until  time.Time    `json:"until"`
	// For is whom the operator has named, as "peer:ID" or the like: one name can make several bans.
	For  string    `json:"for,omitempty"`
	Made time.Time `json:"made,omitzero"`
	Why  string    `json:"why,omitempty"` // in the operator's words
	By   string    `json:"by,omitempty"`  // the name of the token that it was made with
}

// MaxWhy bounds Ban.Why, in bytes.
const MaxWhy = 200

// maxBans bounds the memory for bans of one kind. Operators make bans by hand, so more must be a
// mistake.
const maxBans = 10_000

// ErrTooManyBans refuses a ban that there is no room for.
var ErrTooManyBans = fmt.Errorf("there are %d bans of that kind in force already: lift some, or wait until some are "+
	"over", maxBans)

// ErrBansNotKept says that a change of the bans is in force, but ends with this process.
var ErrBansNotKept = errors.New("this is in force, but would not survive a restart")

// Bans are the bans in force. One list serves the hub and the relay, which ask it for every client
// that comes: asking takes no lock, and takes as long with ten thousand bans as with one.
type Bans struct {
	keep func([]Ban) error // writes the list where a restart finds it; nil: nowhere

	mu      sync.Mutex               // of those who change them, also while one writes
	alias   func(user string) string // see Alias; nil: users have no other name
	inForce atomic.Pointer[banList]
}

// banList is immutable.
type banList struct {
	users, peers, tokens map[string]sentence
	aliases              map[string]sentence // of users, by their other names
	sources              map[netip.Prefix]sentence
	lengths              []int // of the sources' prefixes, each once
}

// sentence is what is known of a ban besides whom it concerns.
type sentence struct {
	until, made time.Time
	whom        string // Ban.For
	why, by     string
}

// of fills in what is known of a ban besides whom it concerns.
func (s sentence) of(ban Ban) Ban {
	ban.Until, ban.Made, ban.For, ban.Why, ban.By = s.until, s.made, s.whom, s.why, s.by
	return ban
}

func (s sentence) holds(now time.Time) bool { return now.Before(s.until) }

// NewBans returns an empty list.
func NewBans() *Bans { return KeptBans(nil) }

// KeptBans returns an empty list that keep writes whenever it changes, one call at a time.
func KeptBans(keep func([]Ban) error) *Bans { return &Bans{keep: keep} }

// Add puts bans into force: all of them or, if there are too many already, none and it returns
// ErrTooManyBans. Of two bans of one user, peer, token or source the longer one holds. If the list
// can't be kept, the error is an ErrBansNotKept.
func (b *Bans) Add(now time.Time, bans ...Ban) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next, err := b.newList(now, append(b.list(), bans...))
	if err != nil {
		return err
	}
	return b.put(next)
}

// Restore is Add for bans that come from where they are kept.
func (b *Bans) Restore(now time.Time, bans []Ban) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next, err := b.newList(now, append(b.list(), bans...))
	if err == nil {
		b.inForce.Store(next)
	}
	return err
}

// newList is a list of those bans that are not over. mu is held.
func (b *Bans) newList(now time.Time, bans []Ban) (*banList, error) {
	next := &banList{users: map[string]sentence{}, peers: map[string]sentence{}, tokens: map[string]sentence{},
		aliases: map[string]sentence{}, sources: map[netip.Prefix]sentence{}}
	for _, ban := range bans {
		s := sentence{until: ban.Until, made: ban.Made, whom: ban.For, why: ban.Why, by: ban.By}
		if !s.holds(now) {
			continue
		}
		if s.made.IsZero() {
			s.made = now
		}
		extend(next.users, ban.User, s)
		extend(next.peers, ban.Peer, s)
		extend(next.tokens, ban.Token, s)
		if ban.Source.IsValid() {
			extend(next.sources, ban.Source.Masked(), s)
		}
	}
	if max(len(next.users), len(next.peers), len(next.tokens), len(next.sources)) > maxBans {
		return nil, ErrTooManyBans
	}
	if b.alias != nil {
		for user, s := range next.users {
			next.aliases[b.alias(user)] = s
		}
	}
	for prefix := range next.sources {
		if !slices.Contains(next.lengths, prefix.Bits()) {
			next.lengths = append(next.lengths, prefix.Bits())
		}
	}
	return next, nil
}

func extend[K comparable](bans map[K]sentence, who K, s sentence) {
	var nobody K
	if who != nobody && s.until.After(bans[who].until) {
		bans[who] = s
	}
}

// Alias tells the other name by which users are known in what they have been given, such as TURN
// credentials: bans of a user hold for both. It is for the beginning, before anybody is asked
// about.
func (b *Bans) Alias(of func(user string) string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.alias = of
	if next, err := b.newList(time.Now(), b.list()); err == nil { // there is room: they were in force
		b.inForce.Store(next)
	}
}

// Names are all names of a user. A nil list knows one.
func (b *Bans) Names(user string) []string {
	if b == nil {
		return []string{user}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.alias == nil {
		return []string{user}
	}
	return []string{user, b.alias(user)}
}

// put puts a list into force, and keeps it. mu is held.
func (b *Bans) put(next *banList) error {
	b.inForce.Store(next)
	if b.keep == nil {
		return nil
	}
	if err := b.keep(b.list()); err != nil {
		return fmt.Errorf("%w: %w", ErrBansNotKept, err)
	}
	return nil
}

// Lift ends the bans that match, and returns how many. If the list can't be kept, the error is an
// ErrBansNotKept. match must not call b.
func (b *Bans) Lift(now time.Time, match func(Ban) bool) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var rest []Ban
	for _, ban := range b.list() {
		switch {
		case !now.Before(ban.Until):
		case match(ban):
			n++
		default:
			rest = append(rest, ban)
		}
	}
	if n == 0 {
		return 0, nil
	}
	next, err := b.newList(now, rest) // there is room: they were in force
	if err != nil {
		return 0, err
	}
	return n, b.put(next)
}

// List returns the bans in force, the oldest first, each about one user, peer, token or source.
func (b *Bans) List(now time.Time) []Ban {
	return slices.DeleteFunc(b.list(), func(ban Ban) bool { return !now.Before(ban.Until) })
}

// list is List with those that are over.
func (b *Bans) list() (out []Ban) {
	list := b.inForce.Load()
	if list == nil {
		return nil
	}
	for who, s := range list.users {
		out = append(out, s.of(Ban{User: who}))
	}
	for who, s := range list.peers {
		out = append(out, s.of(Ban{Peer: who}))
	}
	for who, s := range list.tokens {
		out = append(out, s.of(Ban{Token: who}))
	}
	for who, s := range list.sources {
		out = append(out, s.of(Ban{Source: who}))
	}
	slices.SortFunc(out, func(a, b Ban) int {
		return cmp.Or(a.Made.Compare(b.Made), cmp.Compare(a.For, b.For), cmp.Compare(a.Peer, b.Peer),
			cmp.Compare(a.User, b.User), cmp.Compare(a.Token, b.Token),
			cmp.Compare(a.Source.String(), b.Source.String()))
	})
	return out
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
	if list.users[user].holds(now) || list.aliases[user].holds(now) || list.tokens[token].holds(now) {
		return true
	}
	ip = ip.Unmap().WithZone("")
	for _, bits := range list.lengths {
		if prefix, err := ip.Prefix(bits); err == nil && list.sources[prefix].holds(now) {
			return true
		}
	}
	return false
}

// ConcernPeer reports whether a ban applies to the peer of that id. A nil list has no bans.
func (b *Bans) ConcernPeer(id string, now time.Time) bool {
	if b == nil {
		return false
	}
	list := b.inForce.Load()
	return list != nil && list.peers[id].holds(now)
}
