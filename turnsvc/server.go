package turnsvc

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/turnsvc/internal/engine"
)

// Options configure a Server. Only the Live part changes after New.
type Options struct {
	Live

	// Realm is that of the long-term credentials, at most 128 characters. Each byte of it is sent
	// to strangers.
	Realm string
	// Relays are the addresses that the server relays on, at most one of each family. See
	// Server.SetRelays.
	Relays []RelayAddress
	// DTLSCertificate returns the certificate for a server name, which may be empty. Nil: no TURN
	// over DTLS.
	DTLSCertificate func(serverName string) (*tls.Certificate, error)

	// MinPort to MaxPort are the relay ports.
	MinPort, MaxPort uint16

	// AllowLoopback lets clients reach loopback peers. For development only.
	AllowLoopback bool

	// Transfer is what an earlier process had relayed this month.
	Transfer Transfer

	Log *slog.Logger
	// Now is the clock; nil is time.Now. Tests set it.
	Now func() time.Time
}

// Limits bound what clients may hold. Zero: no limit.
type Limits struct {
	Allocations, PerUser, PerSource   int // allocations
	Permissions, Channels             int // of one allocation
	Connections, ConnectionsPerSource int // streams
	// answers a second without a key, and guesses at one, by IPv4 address or IPv6 /64
	UnauthorizedPerSource int
	// Bytes a second of application data, in each direction: of an allocation, of all of one
	// user's, of the server.
	Bandwidth, UserBandwidth, TotalBandwidth int64
	// TotalPerMonth is how many bytes the server may relay in a calendar month (UTC), both
	// directions together.
	TotalPerMonth int64
}

// Server is a TURN and STUN server. It opens no listening socket: they are handed to ServePacket
// and ServeConn.
type Server struct {
	// Set in New.
	realm     string
	noKey     []byte // verifies nothing, at the cost of a real one
	rooms     *rooms
	log       *slog.Logger
	clock     clock
	nonces    *nonces
	strangers *strangers // answers to them
	guesses   *strangers // requests with a good nonce and a wrong signature
	books     *books
	streams   streams
	dtls      *handshakes // nil: no DTLS
	bans      bans
	corners   *[2][2]corner // set by EnableDiscovery, before anything is served; nil: no NAT behavior discovery

	counters counters
	draining atomic.Bool
	live     atomic.Pointer[live]
	relays   atomic.Pointer[relayAddresses]
	host     atomic.Pointer[host]

	regrants sync.Mutex // see regrant
}

// New makes a server. It starts nothing and opens nothing.
func New(o Options) (*Server, error) {
	switch {
	case o.Realm == "" || len(o.Realm) > 128:
		return nil, errors.New("turn realm: want 1 to 128 characters")
	case o.MinPort == 0 || o.MaxPort < o.MinPort:
		return nil, fmt.Errorf("turn relay ports %d-%d: want a range", o.MinPort, o.MaxPort)
	}
	s := &Server{
		realm: o.Realm, rooms: newRooms(int64(lingering)), log: o.Log,
		strangers: newStrangers(o.Limits.UnauthorizedPerSource), guesses: newStrangers(o.Limits.UnauthorizedPerSource),
		bans: bans{users: map[string]time.Time{}, sources: map[netip.Prefix]time.Time{}},
		streams: streams{
			limit: o.Limits.Connections, perSource: o.Limits.ConnectionsPerSource,
			timeouts: timeouts{firstFrame: 15 * time.Second, idle: time.Minute, write: 30 * time.Second,
				patience: 5 * time.Second},
			all: map[*streamLink]struct{}{}, bySource: map[netip.Prefix]int{},
		},
	}
	inForce, err := newLive(o.Live, o.AllowLoopback)
	if err != nil {
		return nil, err
	}
	s.live.Store(inForce)
	if s.log == nil {
		s.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.DTLSCertificate != nil {
		s.dtls = newHandshakes(dtlsOptions(o.DTLSCertificate, engine.Log{To: s.log}))
	}
	now := o.Now
	if now == nil {
		now = time.Now
	}
	s.clock = clock{start: now(), read: now}
	secrets := make([]byte, 32+16+20) // for nonces, for nobody, for the engine
	rand.Read(secrets)                //nolint:errcheck // it never fails
	s.nonces, s.noKey = newNonces(secrets[:32]), secrets[32:48]
	s.books = &books{
		s: s, engineKey: secrets[48:], channelTimeout: channelLifetime - 5*time.Second,
		requests: make(chan *request, grantQueue),
		waiting:  waiting{seed: maphash.MakeSeed()}, wake: make(chan struct{}, 1),
		minPort: o.MinPort, maxPort: o.MaxPort, reservations: map[[8]byte]*reservation{},
		quotas: newQuotas(&o.Limits), budget: newBudget(o.Transfer, now()), live: map[uint64]*allocation{},
	}
	s.host.Store(&host{})
	if err := s.SetRelays(o.Relays); err != nil {
		return nil, err
	}
	return s, nil
}

// Run grants requests until ctx is done; then it ends every allocation and every stream and returns
// nil. It returns an error at once if the TURN engine does not start.
func (s *Server) Run(ctx context.Context) error {
	defer s.streams.closeAll()
	return s.books.run(ctx)
}

// Allocations counts the live allocations.
func (s *Server) Allocations() int { return s.books.size() }

// Drain refuses new allocations from now on. Running ones go on.
func (s *Server) Drain() { s.draining.Store(true) }
