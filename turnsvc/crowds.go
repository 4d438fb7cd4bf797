package turnsvc

import (
	"cmp"
	"net/netip"
	"slices"

	"signalbox/internal/source"
	"signalbox/turnsvc/cred"
)

// SharedUser is a static user, or an id of another program's credentials, that many clients at many
// addresses use at once: a program that mints one name for a whole site, for example. They share
// what one user may hold, so turn.limits.per_user refuses some of them.
type SharedUser struct {
	User        string `json:"user"` // empty: the names are only times
	Class       string `json:"class"`
	Sources     int    `json:"sources"`
	Allocations int    `json:"allocations"`
}

const (
	// crowdSources is how many sources make a crowd: more than one user has.
	crowdSources = 8
	// toldUsers bounds the users that the log tells of.
	toldUsers = 1000
)

// lookForCrowds finds users that a crowd shares and that hold half of what a user may hold, or
// more. It logs each of them once.
func (b *books) lookForCrowds(perUser int) {
	type suspect struct {
		SharedUser
		sources map[netip.Prefix]bool
	}
	suspects := map[string]*suspect{} // by principal
	for principal, n := range b.quotas.perUser {
		if perUser > 0 && 2*n >= perUser && n >= crowdSources {
			suspects[principal] = &suspect{sources: map[netip.Prefix]bool{}}
		}
	}
	var found []SharedUser
	if len(suspects) > 0 {
		for _, a := range b.list() {
			if s := suspects[a.principal]; s != nil && (a.class == cred.Static || a.class == cred.Shared) {
				s.User, s.Class = a.issued, a.class.String()
				s.sources[source.Of(a.client.Addr())] = true
				s.Allocations++
			}
		}
		for _, s := range suspects {
			if s.Sources = len(s.sources); s.Sources >= crowdSources {
				found = append(found, s.SharedUser)
				b.tellOfCrowd(&s.SharedUser, perUser)
			}
		}
		slices.SortFunc(found, func(a, b SharedUser) int { return cmp.Compare(b.Allocations, a.Allocations) })
	}
	b.crowds.Store(&found)
}

// tellOfCrowd logs a shared user, unless that was done before.
func (b *books) tellOfCrowd(s *SharedUser, perUser int) {
	name := s.Class + ":" + s.User
	if b.told[name] || len(b.told) >= toldUsers {
		return
	}
	b.told[name] = true
	b.log.Warn("one TURN user is used from many addresses, and all of them share its limit: raise "+
		"turn.limits.per_user, or give each client a user of its own", "class", s.Class, "addresses", s.Sources,
		"allocations", s.Allocations, "per_user", perUser, "user", shortened(s.User))
}

// sharedUsers are those that were found last.
func (b *books) sharedUsers() []SharedUser {
	if found := b.crowds.Load(); found != nil && *found != nil {
		return *found
	}
	return []SharedUser{}
}
