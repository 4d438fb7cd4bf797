package turnsvc

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"signalbox/internal/source"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/dtls"
	"signalbox/turnsvc/internal/engine"
)

// Options configure a Server. Only the Live part changes after New.
type Options struct {
	Live

	// Realm is the realm of the long-term credentials, at most 128 characters. Each byte of it goes
	// to strangers.
	Realm string
	// Relays are the addresses that the server relays on, at most one of each family. See
	// Server.SetRelays.
	Relays []RelayAddress
	// DTLSCertificate returns the certificate for a server name, which may be empty. Nil: no TURN
	// over DTLS.
	DTLSCertificate func(serverName string) (*tls.Certificate, error)
	// TLS serves clients that begin with TLS where TURN over TCP is served, told by the first byte.
	// Its protocols (ALPN) begin with "stun."; who agrees on another is shown out. Nil: all who
	// begin with TLS are.
	TLS *tls.Config

	// MinPort to MaxPort are the relay ports.
	MinPort, MaxPort uint16

	// AllowLoopback lets clients reach loopback peers. For development only.
	AllowLoopback bool

	// Bans keep users and sources from making allocations. They name users as KickUser does, except
	// for the user name of a session. nil: there are none.
	Bans *source.Bans

	// Own reports whether this process itself has minted a credential of class ICE for an id, to
	// test the server: such allocations are in nobody's usage, and their end has no line in the
	// log. It must know the very ids, which nobody can guess, since others may hold the secret. It
	// must not wait. nil: there are none.
	Own func(id string) bool

	// CountUsage has the usage of each user counted, for Server.TakeUsage.
	CountUsage bool

	// Transfers are what earlier processes had sent, as Server.Transfers told it.
	Transfers []Transfer

	Log *slog.Logger
	// Now is the clock; nil is time.Now. Tests set it.
	Now func() time.Time
}

// Server is a TURN and STUN server. It opens no listening socket: its caller passes them to
// ServePacket and ServeConn.
type Server struct {
	core          *core
	judge         *judge
	books         *books
	gate          *gate
	front         *front
	streams       *streams
	allowLoopback bool
	served        *portSet // this host's UDP ports, which no peer address leads to
}

// New makes a server. It starts nothing and opens nothing.
func New(o Options) (*Server, error) {
	switch {
	case o.Realm == "" || len(o.Realm) > 128:
		return nil, errors.New("turn realm: want 1 to 128 characters")
	case o.MinPort == 0 || o.MaxPort < o.MinPort:
		return nil, fmt.Errorf("turn relay ports %d-%d: want a range", o.MinPort, o.MaxPort)
	}
	served := new(portSet)
	inForce, err := newSettings(o.Live, o.AllowLoopback, served)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Bans == nil {
		o.Bans = source.NewBans()
	}
	secrets := make([]byte, 32+16+20) // for nonces, for nobody, for the engine
	rand.Read(secrets)                //nolint:errcheck // it never fails

	s := &Server{core: newCore(o.Now, o.Log), judge: newJudge(inForce, o.Log), allowLoopback: o.AllowLoopback,
		served: served}
	s.core.shown.by(o.ShowAddress)
	if err := s.judge.setRelays(o.Relays, func() []*allocation { return nil }); err != nil {
		return nil, err
	}
	ch := &challenges{realm: o.Realm, nonces: newNonces(secrets[:32], inForce.NonceLifetime)}
	keys := &keyring{clock: s.core.clock, judge: s.judge, realm: o.Realm, noKey: secrets[32:48], bans: o.Bans}
	s.books = newBooks(s.core, keys, ch, secrets[48:])
	s.books.minPort, s.books.maxPort = o.MinPort, o.MaxPort
	s.books.budget = newBudget(o.Transfers, s.core.clock.wall())
	s.books.counts, s.books.ownID = o.CountUsage, o.Own
	unauthorized := o.Limits.UnauthorizedPerSource
	door := &doorman{
		core: s.core, challenges: ch, patience: 5 * time.Second,
		unproven: newAllowance(unauthorized, spareAnswers), proven: newAllowance(unauthorized, spareAnswers),
	}
	s.gate = &gate{
		doorman: door, guesses: newAllowance(unauthorized, spareGuesses), keys: keys, books: s.books,
	}
	s.front = &front{core: s.core, gate: s.gate, stun: &responder{
		doorman: door, bindings: newAllowance(bindingsPerSource, spareBindings),
	}}
	s.streams = newStreams(s.core, &o.Limits)
	s.streams.front, s.streams.books, s.streams.tls = s.front, s.books, o.TLS
	if o.DTLSCertificate != nil {
		s.front.dtls = dtls.NewServer(dtls.Options{
			Certificate: o.DTLSCertificate,
			Serve:       func(conn net.Conn) { s.streams.serve(conn, "dtls") },
			Safely:      s.core.safely,
			Dropped:     func() { s.core.counters.drop(dropDTLS) },
			Failed:      func() { s.core.counters.drop(dropHandshake) },
			Log:         engine.Log{To: o.Log},
			Now:         o.Now,
		})
	}
	return s, nil
}

// Run grants requests until ctx is done; then it ends every allocation and every stream and returns
// nil. It returns an error at once if the TURN engine does not start.
func (s *Server) Run(ctx context.Context) error {
	defer s.streams.closeAll()
	var running sync.WaitGroup
	done := make(chan struct{})
	running.Go(func() { s.core.neighbors.Run(done) })
	running.Go(func() { s.core.faults.Run(done) })
	defer running.Wait()
	defer close(done)
	return s.books.run(ctx)
}

// Ready is closed once Run has what it needs of the system, such as file descriptors: connections
// that are accepted before could leave none.
func (s *Server) Ready() <-chan struct{} { return s.books.opened }

// ServePacket serves TURN and STUN on a UDP socket until that is closed. The socket must be bound
// to one address, not to a wildcard: the answer must leave from the address that the request came
// to. The caller owns conn.
func (s *Server) ServePacket(conn *net.UDPConn) error { return s.serveUDP(conn, false) }

// ServeSTUN serves only STUN on a UDP socket until that is closed, for the ports that exist for NAT
// behavior discovery and need no TURN. The caller owns conn.
func (s *Server) ServeSTUN(conn *net.UDPConn) error { return s.serveUDP(conn, true) }

func (s *Server) serveUDP(conn *net.UDPConn, stunOnly bool) error {
	s.served.add(uint16(conn.LocalAddr().(*net.UDPAddr).Port))
	return s.front.serveUDP(conn, stunOnly)
}

// ServeConn serves one TURN client on a connection and returns when that is over; its allocation
// ends with it. It owns conn. transport is "tcp", "tls" or "dtls".
func (s *Server) ServeConn(conn net.Conn, transport string) { s.streams.serve(conn, transport) }

// EnableDiscovery lets the server answer RFC 5780 requests that come in on four sockets, given by
// address and then by port: two IPv4 addresses, each with the same two ports. Call it before
// ServePacket and ServeSTUN, which read those sockets; if several share an address, any of them
// will do. Clients are told the addresses as they are.
func (s *Server) EnableDiscovery(conns [2][2]*net.UDPConn) (err error) {
	s.front.stun.corners, err = newCorners(s.core, conns)
	return err
}

// SetRelays sets the addresses that allocations get from now on, at most one of each family; an
// allocation in a family without one is refused. Running ones keep theirs and stay reachable.
func (s *Server) SetRelays(list []RelayAddress) error { return s.judge.setRelays(list, s.books.list) }

// Apply puts another configuration into force, or returns an error and changes nothing. Running
// allocations go on, but the new lists decide what their permissions allow. A static user that was
// removed, or whose key has changed, loses its allocations. New limits hold for new allocations.
func (s *Server) Apply(l Live) error {
	next, err := newSettings(l, s.allowLoopback, s.served)
	if err != nil {
		return err
	}
	old := s.judge.settings.Swap(next)
	s.core.shown.by(l.ShowAddress)
	s.gate.challenges.nonces.setLifetime(next.NonceLifetime)
	for _, w := range []*allowance{s.gate.unproven, s.gate.proven, s.gate.guesses} {
		w.setLimit(l.Limits.UnauthorizedPerSource)
	}
	s.streams.crowd.SetLimits(l.Limits.Connections, l.Limits.ConnectionsPerSource)
	for user, key := range old.Users {
		if !bytes.Equal(next.Users[user], key) {
			s.books.endWhere(endUser, func(a *allocation) bool { return a.class == cred.Static && a.user == user })
		}
	}
	s.judge.reviewAll(s.books.list())
	return nil
}

// UDPInUse are the addresses of the server's UDP sockets over which clients with allocations come.
func (s *Server) UDPInUse() map[netip.AddrPort]bool {
	inUse := map[netip.AddrPort]bool{}
	for _, a := range s.books.list() {
		if t := a.link.transport(); t == "udp" || t == "dtls" {
			inUse[a.link.local()] = true
		}
	}
	return inUse
}

// Allocations counts the allocations.
func (s *Server) Allocations() int { return s.books.size() }

// Drain refuses new allocations from now on. Running ones go on; the channel is closed when the
// last one has ended.
func (s *Server) Drain() (drained <-chan struct{}) {
	s.books.drain()
	return s.books.drained
}
