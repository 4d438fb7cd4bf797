package turnsvc

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"signalbox/internal/netaddr"
	"signalbox/turnsvc/cred"
)

// Live is the part of the configuration that Server.Apply changes while calls go on.
type Live struct {
	// Users are static users: name to the 16-byte key MD5(name ":" realm ":" password), see
	// cred.LongTermKey. A name that Keys take for a minted one is an error.
	Users map[string][]byte
	// Keys verify minted credentials.
	Keys *cred.Keys

	// AllowPeers opens non-global peers; DenyPeers wins over it.
	AllowPeers, DenyPeers []netip.Prefix
	// AllowPorts opens single ports of peers, also at this host's own addresses and at those at
	// which it is reached from outside: those of another server beside this one. Closed stay the
	// UDP ports at which this server itself is served, and all spellings of IPv4 in IPv6.
	AllowPorts []netaddr.Ports
	// HubPeers are the peers that sessions may reach besides members of their rooms; StaticPeers
	// are those for static users and for credentials minted with a shared secret.
	HubPeers, StaticPeers Peers

	// DefaultFamily is that of allocations for which the client asks for none.
	DefaultFamily Family

	// MinLifetime is the shortest allocation lifetime granted, if that is longer than
	// defaultLifetime, which RFC 8656 §7.2 grants who asks for less, or than FirstLifetime. Zero:
	// 60 s.
	MinLifetime time.Duration
	// FirstLifetime is the longest that is granted before an allocation has been used in both
	// directions, with another user or a host elsewhere; MinLifetime wins over it. A client that
	// refreshes in time keeps it, and so does one that uses it within that time. Two sessions, or
	// credentials of /api/ice, are other users only from two lines, an IPv4 address or IPv6 /48
	// each; users of the other classes are from one address, too. Zero: no such limit.
	FirstLifetime time.Duration
	// NonceLifetime is how long a nonce is good, rounded up to minutes; then clients are told
	// another (438). A longer one saves them a round trip now and then; a shorter one shortens how
	// long what was overheard may be replayed from the same address. Zero: 30 minutes.
	NonceLifetime time.Duration
	Limits        Limits

	// ShowAddress says how much of a client's or peer's address the log of refusals shows; nil:
	// all.
	ShowAddress func(netip.AddrPort) string
}

// Family says in which address family an allocation relays if its client asks for none. Nearly all
// clients, browsers among them, ask for none.
type Family uint8

const (
	FamilyIPv4 Family = iota // RFC 8656 §7.2
	FamilyIPv6
	// FamilyOfClient is the one over which the client has come, if the server relays there, or else
	// the other.
	FamilyOfClient
)

// Limits bound what clients may hold. Zero: no limit.
type Limits struct {
	// Allocations: in all, of a user, of a source. Sessions, /api/ice and all others are guaranteed
	// an eighth of them, and of the relay ports, each. An IPv6 /56 may have twice as many as a
	// source, a /48 four times as many.
	Allocations, PerUser, PerSource   int
	Permissions, Channels             int // of one allocation
	Connections, ConnectionsPerSource int // streams
	// UnauthorizedPerSource is how many answers a second a source gets without a key, and how many
	// wrong guesses at one user's key it has; at minted credentials, 64 times as many in all. A
	// source is an IPv4 address or an IPv6 /64; a /56 has twice as many guesses, a /48 four times
	// as many. What came over a handshake, or answers a nonce, is counted apart from what may be
	// spoofed. Beyond the limit each client that has had nothing in a second gets one; see
	// allowance.
	UnauthorizedPerSource int
	// Bytes a second of application data, in each direction: per allocation, per user, and for the
	// server.
	Bandwidth, UserBandwidth, TotalBandwidth int64
	// TotalPerMonth is how many bytes the server may send in a calendar month (UTC), to clients and
	// to peers together, with all headers.
	TotalPerMonth int64
}

// settings are a Live in force. They are immutable.
type settings struct {
	Live
	policy policy
}

// firstLifetime is the longest that is granted before an allocation has been used.
func (s *settings) firstLifetime() time.Duration {
	if s.FirstLifetime == 0 {
		return maxLifetime
	}
	return max(s.FirstLifetime, s.MinLifetime)
}

var errNoKeys = errors.New("turn keys: want the keys of a secret")

// Lifetimes that are granted (RFC 8656 §3.2).
const (
	maxLifetime     = 3540 * time.Second // below engine.Lifetime, so that the engine never ends one
	defaultLifetime = 600 * time.Second  // also for who asks for less (RFC 8656 §7.2)
)

// newSettings checks a Live. served are the ports of this host that stay closed.
func newSettings(l Live, allowLoopback bool, served *portSet) (*settings, error) {
	if l.Keys == nil {
		return nil, errNoKeys
	}
	for name := range l.Users {
		if l.Keys.IsMinted(name) {
			return nil, fmt.Errorf("turn user %q: the name is that of a minted credential", name)
		}
	}
	if l.MinLifetime == 0 {
		l.MinLifetime = time.Minute
	}
	l.MinLifetime = min(max(l.MinLifetime, time.Second), maxLifetime)
	if l.NonceLifetime == 0 {
		l.NonceLifetime = 30 * time.Minute
	}
	return &settings{l, policy{
		allow: l.AllowPeers, deny: l.DenyPeers, allowLoopback: allowLoopback, hub: l.HubPeers, static: l.StaticPeers,
		named: opening{ports: l.AllowPorts}, namedHere: opening{l.AllowPorts, served},
	}}, nil
}
