package turnsvc

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/source"
	"signalbox/turnsvc/cred"
)

// What a Sighting is of.
const (
	SawChallenge = "challenged" // a request without a credential, answered as all are at first
	SawRefusal   = "refused"
	SawRelay     = "allocated"
	SawEnd       = "ended" // of an allocation
)

// Sighting is something that the server has seen of whom a Watch is for.
type Sighting struct {
	Kind      string `json:"kind"`
	Transport string `json:"transport"`      // udp, tcp, tls or dtls: the client's way here
	Port      uint16 `json:"port"`           // the server's own, where it came in
	Code      int    `json:"code,omitempty"` // of a refusal
	Why       string `json:"why,omitempty"`
	// User is whose login was refused, if it is one of Watched.Users.
	User string `json:"user,omitempty"`
	// Peer is the address that a permission was refused for.
	Peer string `json:"peer,omitempty"`
	// Client and Relay are the ends of an allocation, bytes what it has carried.
	Client          string `json:"client,omitempty"`
	Relay           string `json:"relay,omitempty"`
	FromClientBytes uint64 `json:"fromClientBytes,omitempty"`
	ToClientBytes   uint64 `json:"toClientBytes,omitempty"`
}

// Watched says whom a Watch is for.
type Watched struct {
	// Session is a peer id: all that is done with its credentials is seen.
	Session string
	// Source is where its client connects from: that requests have come from there, and were
	// challenged, is seen once for each transport. Others may be behind the same address.
	Source netip.Addr
	// Users are user names that the client tries out: only refusals of their logins are seen, and
	// only of those from Source.
	Users []string
}

// TestUser is the name with which a session that watches may try out that a wrong password is
// refused. While it watches, whoever comes with that name is refused, whatever the password: so it
// is nobody's, and says nothing to those who guess, and no line of the log counts against the
// visitor's address.
func TestUser(session string) string { return testUser + session }

const testUser = "4000000000:check-"

// Watch is what the server sees of one session's credentials, from the moment at which the watch
// began, for a minute. It is for a client that tests its way here.
type Watch struct {
	of        Watched
	watches   *watches
	sightings chan Sighting
	done      chan struct{}
	over      *time.Timer
	ended     bool          // guarded by watches.mu
	left      atomic.Int32  // sightings that there may still be
	met       atomic.Uint32 // transports of challenges, by bit
}

const (
	maxWatches        = 256 // at once
	maxWatchesOfALine = 16  // (source.Line), so that nobody takes all
	watchLife         = time.Minute
	// A test of ten URLs makes some hundred sightings; a slow reader loses those that don't fit.
	maxSightings     = 1024
	waitingSightings = 128
)

// Watch begins one; the caller ends it with Stop. ok is false if the session has one already, or
// its line too many. When there are too many in all, the line that has most loses its oldest.
func (s *Server) Watch(of Watched) (w *Watch, ok bool) { return s.core.watches.begin(of) }

// Next waits for the next sighting. ok is false once the watch has ended.
func (w *Watch) Next() (s Sighting, ok bool) {
	select {
	case <-w.done:
		return s, false
	case s = <-w.sightings:
		return s, true
	}
}

// Stop ends the watch, if it has not ended.
func (w *Watch) Stop() {
	w.watches.mu.Lock()
	defer w.watches.mu.Unlock()
	w.watches.end(w)
}

// tell never waits: it is called by those who answer requests.
func (w *Watch) tell(s Sighting) {
	if w.left.Add(-1) < 0 {
		w.left.Store(0)
		return
	}
	select {
	case w.sightings <- s:
	default:
	}
}

// watches finds those who watch. While there is none, looking costs one atomic read.
type watches struct {
	count atomic.Int32

	mu        sync.RWMutex
	bySession map[string]*Watch
	bySource  map[netip.Addr][]*Watch
	byLine    map[netip.Prefix][]*Watch // the oldest first
}

func newWatches() *watches {
	return &watches{
		bySession: map[string]*Watch{}, bySource: map[netip.Addr][]*Watch{}, byLine: map[netip.Prefix][]*Watch{},
	}
}

func (l *watches) begin(of Watched) (*Watch, bool) {
	of.Source = of.Source.Unmap()
	w := &Watch{of: of, watches: l, sightings: make(chan Sighting, waitingSightings), done: make(chan struct{})}
	w.left.Store(maxSightings)
	l.mu.Lock()
	defer l.mu.Unlock()
	line := source.Line(of.Source)
	if _, watched := l.bySession[of.Session]; watched || len(l.byLine[line]) >= maxWatchesOfALine {
		return nil, false
	}
	if len(l.bySession) >= maxWatches {
		l.end(l.first())
	}
	w.over = time.AfterFunc(watchLife, w.Stop)
	l.byLine[line] = append(l.byLine[line], w)
	l.bySession[of.Session] = w
	l.bySource[of.Source] = append(l.bySource[of.Source], w)
	l.count.Add(1)
	return w, true
}

// first is the watch that makes room for another: the oldest of the line that has most. mu is held.
func (l *watches) first() (w *Watch) {
	most := 0
	for _, list := range l.byLine {
		if len(list) > most {
			w, most = list[0], len(list)
		}
	}
	return w
}

// end ends a watch, once. mu is held.
func (l *watches) end(w *Watch) {
	if w.ended {
		return
	}
	w.ended = true
	close(w.done)
	w.over.Stop()
	delete(l.bySession, w.of.Session)
	without(l.bySource, w.of.Source, w)
	without(l.byLine, source.Line(w.of.Source), w)
	l.count.Add(-1)
}

// without takes a watch from a list.
func without[K comparable](lists map[K][]*Watch, of K, w *Watch) {
	rest := slices.DeleteFunc(lists[of], func(other *Watch) bool { return other == w })
	if lists[of] = rest; len(rest) == 0 {
		delete(lists, of)
	}
}

// tests reports whether that is the TestUser of a session that watches.
func (l *watches) tests(user string) bool {
	session, ok := strings.CutPrefix(user, testUser)
	return ok && l.of(session) != nil
}

// of returns who watches a session, or nil.
func (l *watches) of(session string) *Watch {
	if l.count.Load() == 0 {
		return nil
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.bySession[session]
}

// from returns who watches from that address.
func (l *watches) from(at netip.Addr) []*Watch {
	if l.count.Load() == 0 {
		return nil
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Clone(l.bySource[at])
}

// challenged tells of a request that names nobody.
func (l *watches) challenged(by link, src netip.AddrPort) {
	for _, w := range l.from(src.Addr()) {
		met := uint32(1) << slices.Index(transportNames[:], by.transport())
		if w.met.Or(met)&met == 0 {
			w.tell(Sighting{Kind: SawChallenge, Transport: by.transport(), Port: by.local().Port()})
		}
	}
}

// refused tells of a refusal: of a session what its credential was used for, by whoever has it, and
// of a login only to those from whose address it came, and nothing that its sender could not know.
func (l *watches) refused(r *refusal) {
	if l.count.Load() == 0 {
		return
	}
	s := Sighting{Kind: SawRefusal, Code: r.code, Why: cmp.Or(r.told, r.why)}
	if r.link != nil {
		s.Transport, s.Port = r.link.transport(), r.link.local().Port()
	}
	if r.peer.IsValid() {
		s.Peer = r.peer.String()
	}
	if r.session != "" {
		if w := l.of(r.session); w != nil {
			w.tell(s)
		}
		return
	}
	if r.code != 401 {
		return
	}
	for _, w := range l.from(r.client.Addr()) {
		if slices.Contains(w.of.Users, r.login) {
			s.User = r.login
			w.tell(s)
		}
	}
}

// allocated and ended tell of an allocation.
func (l *watches) allocated(a *allocation) { l.tellOf(a, SawRelay) }

func (l *watches) ended(a *allocation) { l.tellOf(a, SawEnd) }

func (l *watches) tellOf(a *allocation, kind string) {
	if a.class != cred.Hub {
		return
	}
	w := l.of(a.issued)
	if w == nil {
		return
	}
	carried := a.carried()
	w.tell(Sighting{
		Kind: kind, Transport: a.link.transport(), Port: a.link.local().Port(),
		Client: a.client.String(), Relay: a.relayed.String(),
		FromClientBytes: carried.FromClientBytes, ToClientBytes: carried.ToClientBytes,
	})
}
