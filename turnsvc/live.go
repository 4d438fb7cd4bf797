package turnsvc

import (
	"bytes"
	"errors"
	"net/netip"
	"time"

	"signalbox/turnsvc/cred"
)

// Live is the part of the configuration that Server.Apply changes while calls go on.
type Live struct {
	// Users are static users: name to the 16-byte key MD5(name ":" realm ":" password), see
	// cred.LongTermKey.
	Users map[string][]byte
	// Keys verify minted credentials.
	Keys *cred.Keys

	// AllowPeers opens non-global peers; DenyPeers wins over it.
	AllowPeers, DenyPeers []netip.Prefix
	// HubPeers and StaticPeers are the peers that sessions, and static users and shared secrets,
	// may reach besides.
	HubPeers, StaticPeers Peers

	// MinLifetime is the shortest allocation lifetime granted. Zero: 60 s.
	MinLifetime time.Duration
	Limits      Limits
}

// live is a Live in force. It is immutable.
type live struct {
	Live
	policy policy
}

var errNoKeys = errors.New("turn keys: want the keys of a secret")

func newLive(l Live, allowLoopback bool) (*live, error) {
	if l.Keys == nil {
		return nil, errNoKeys
	}
	if l.MinLifetime == 0 {
		l.MinLifetime = time.Minute
	}
	l.MinLifetime = min(max(l.MinLifetime, time.Second), maxLifetime)
	return &live{l, policy{
		allow: l.AllowPeers, deny: l.DenyPeers, allowLoopback: allowLoopback, hub: l.HubPeers, static: l.StaticPeers,
	}}, nil
}

// Apply puts another configuration into force, or returns an error and changes nothing. Running
// allocations go on, but what their permissions allow is judged by the new lists, and a static user
// who is gone, or whose key has changed, loses its allocations. Limits hold for what comes.
func (s *Server) Apply(l Live) error {
	old := s.live.Load()
	next, err := newLive(l, old.policy.allowLoopback)
	if err != nil {
		return err
	}
	s.live.Store(next)
	for _, t := range []*strangers{s.strangers, s.guesses} {
		t.limit.Store(uint32(max(l.Limits.UnauthorizedPerSource, 0)))
	}
	s.streams.setLimits(&l.Limits)
	for user, key := range old.Users {
		if !bytes.Equal(next.Users[user], key) {
			s.endWhere(func(a *allocation) bool { return a.class == cred.Static && a.user == user })
		}
	}
	for _, a := range s.books.list() {
		s.regrant(a, a.peers()...)
	}
	return nil
}

// setLimits changes the caps for streams to come.
func (t *streams) setLimits(l *Limits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit, t.perSource = l.Connections, l.ConnectionsPerSource
}

// follow takes over limits that are kept as buckets. It runs in the books' goroutine.
func (q *quotas) follow(l *Limits) {
	if q.total != l.TotalBandwidth {
		q.total, q.allUp, q.allDown = l.TotalBandwidth, newBucket(l.TotalBandwidth), newBucket(l.TotalBandwidth)
	}
}
