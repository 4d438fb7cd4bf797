package signal

import (
	"math"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"signalbox/internal/source"
)

// Session is one client, over all the connections that carry it one after the other. It knows
// neither how its frames travel nor how they are encoded.
//
// Its verbs (Hello, Resume, Attach, Join, Leave, Signal, HangUp, Broadcast, Say, ICE, IssueICE,
// Watch, Confirm, Bye), Meter, Refuse and Peers must be called one at a time: from its dialect's
// Receive, or from Do. Its other methods may be called from anywhere.
type Session struct {
	// set before the first frame
	hub     *Hub
	dialect Dialect
	terms   Terms
	opened  time.Time
	// line is where it was opened from (source.Line), for what those of one line share; zero:
	// nothing
	line  netip.Prefix
	out   *outbox
	marks atomic.Pointer[marks] // of its resume tokens

	// work is held while a frame is processed, a connection ends or another takes over: one at a
	// time. Guards what follows.
	work      sync.Mutex
	link      *Link // nil: there is no connection
	over      bool
	ending    bool          // the frame that is being processed is the last one
	refused   bool          // the frame that is being processed was refused
	bad       int32         // broken frames in a row
	expiry    *time.Timer   // ends the session, while link is nil
	until     time.Time     // when
	deadline  *time.Timer   // ends the session with its tokens; nil: nothing does
	resumedAt uint64        // the event after which its client went on; 0: none, or the start
	heardAt   netip.Addr    // where the client was when it was heard last
	rooms     []*room       // in the order of joining
	pass      Pass          // of its hello
	pace      *rate.Limiter // nil = no limit; safe without work
	volume    *rate.Limiter // bytes; the same
	left      int           // rooms that it has left and not made up for by joining others
	returns   *rate.Limiter // joins while there are such; nil = there were none, or no limit
	watch     Watch         // nil: there is none

	patience atomic.Pointer[rate.Limiter] // for frames over the pace; nil = there were none

	// set by hello, before anybody else knows the session
	self Member

	// guarded by the hub's lock
	block  netip.Prefix // the source that it counts for
	tokens []string     // keys of the passes that it entered with

	admitted atomic.Int64 // until when its tokens admit it, in Unix nanoseconds; 0 = for ever

	client  atomic.Pointer[Client]
	held    atomic.Int64 // see Hold
	greeted atomic.Bool
	known   atomic.Bool  // the client has been heard since
	iceDue  atomic.Int64 // when to push fresh ICE servers, in Unix nanoseconds; 0 = never

	voice voice
}

// Client describes the client, as far as the request that opens a connection tells.
type Client struct {
	Source netip.Addr
	Host   string // the Host header
}

// ClientOf is who sends a request; see Options.Source.
func (h *Hub) ClientOf(r *http.Request) Client { return Client{Source: h.opts.Source(r), Host: r.Host} }

func newSession(h *Hub, d Dialect, from *Client, now time.Time) *Session {
	s := &Session{
		hub:     h,
		dialect: d,
		terms:   d.Terms(),
		self:    Member{ID: newPeerID()},
		block:   source.Of(from.Source),
		opened:  now,
	}
	s.marks.Store(&marks{latest: mark{nonce: newNonce()}, issued: now})
	s.voice.dialect, s.voice.number = d, s.terms.Number
	s.out = newOutbox(&s.voice, h.limits.Backlog, h.limits.Bytes, s.terms.Confirms && s.terms.Outlives > 0, h.store)
	s.client.Store(from)
	if h.opts.SessionsPerSource > 0 && from.Source.IsValid() {
		s.line = source.Line(from.Source)
	}
	if h.opts.Rate > 0 {
		s.pace = rate.NewLimiter(rate.Limit(h.opts.Rate), h.opts.burst())
		s.volume = rate.NewLimiter(rate.Limit(h.limits.Volume), burstSeconds*h.limits.Volume)
	}
	return s
}

// ID is the peer id. It is known once Hello has succeeded, and stays.
func (s *Session) ID() string { return s.self.ID }

// Member is the session as others see it, once Hello has succeeded.
func (s *Session) Member() Member { return s.self }

// Client is where the session's present connection comes from, or the last one.
func (s *Session) Client() Client { return *s.client.Load() }

// Greeted reports whether Hello has succeeded.
func (s *Session) Greeted() bool { return s.greeted.Load() }

// Attached reports whether there is a connection.
func (s *Session) Attached() bool { return s.out.attached() }

// Do runs work as if for one of the session's frames, for requests that reach the client's dialect
// by another way than the session's connection. It reports false, and does nothing, if the session
// is over. It waits, so do not call it from a Receive or a Do, of this session or another.
func (s *Session) Do(work func()) bool {
	s.work.Lock()
	defer s.work.Unlock()
	if s.over {
		return false
	}
	work()
	return true
}

// Soon runs work as Do does, but in a goroutine of its own, for which the hub's Close waits: so a
// dialect may call it from anywhere, to act upon an event that it encodes. It does nothing if the
// session is over.
func (s *Session) Soon(work func()) {
	if !s.hub.enter() {
		return
	}
	go func() {
		defer s.hub.running.Done()
		defer func() {
			if p := recover(); p != nil {
				s.Stop(CodeInternal)
				s.hub.log.Error("panic in a session", "peer", s.self.ID, "panic", p, "stack", string(debug.Stack()))
			}
		}()
		s.Do(work)
	}()
}

// receive processes one frame and reports whether the connection goes on. If it doesn't, the outbox
// is closed already. work is held, as in everything called from here.
func (s *Session) receive(l *Link, f Frame, st standing) bool {
	if s.ending {
		return false // it was refused as it opened
	}
	over := s.meter(st, len(f.Body))
	s.heard()
	s.refused = false
	s.dialect.Receive(s, f, over)
	if s.link != l {
		return true // it resumed another session, which goes on in place of this one
	}
	if !s.refused {
		s.bad = 0
	}
	return !s.ending
}

// mayAct refuses verbs before the hello.
func (s *Session) mayAct() error {
	if !s.greeted.Load() {
		return Refuse(CodeHelloFirst, "")
	}
	return nil
}

// Meter counts a frame of so many bytes against the session's limits. It fails with a Refusal if
// the frame exceeds them: then the frame must have no effect except to be refused.
func (s *Session) Meter(bytes int) error { return s.meter(unmetered, bytes) }

// standing is how a frame stands to its session's rate.
type standing int8

const (
	unmetered standing = iota // it has not been counted
	within
	beyond // and it was counted against the patience
)

// errForTooLong ends a session whose client ignores refusals.
var errForTooLong = &Refusal{Code: CodeRateLimited, Detail: "too much for too long", Final: true}

// meter is Meter for a frame that may have been counted against the rate already.
func (s *Session) meter(st standing, bytes int) error {
	s.hub.stats.framesIn.Add(1)
	s.hub.stats.bytesIn.Add(uint64(bytes))
	switch {
	case st == beyond:
	case (st == within || s.keepsPace()) && s.keepsVolume(bytes):
		return nil
	case s.exhausted():
		return errForTooLong
	}
	return Refuse(CodeRateLimited, "too many frames, or bytes, a second")
}

// keepsPace counts a frame against the session's rate.
func (s *Session) keepsPace() bool { return s.pace == nil || s.pace.Allow() }

// keepsVolume counts its bytes.
func (s *Session) keepsVolume(n int) bool { return s.volume == nil || s.volume.AllowN(time.Now(), n) }

// exhausted counts a frame over the rate and reports whether it was one too many: a client that
// ignores refusals costs us an answer for each.
func (s *Session) exhausted() bool {
	if s.patience.Load() == nil { // few sessions ever need one
		o := &s.hub.opts
		s.patience.CompareAndSwap(nil, rate.NewLimiter(rate.Limit(o.Rate), 2*o.burst()))
	}
	return !s.patience.Load().Allow()
}

// Reply queues frames that the dialect made itself, behind the events so far. They are not
// numbered: a client that misses them in a resume asks again.
func (s *Session) Reply(frames ...Frame) {
	if p := ready(frames); p != nil {
		s.put(p, false)
	}
}

// Refuse counts a frame that had no effect, and queues the answer to the client. It ends the
// session, with the answer as its last word, if the client sends only malformed frames or ignores
// its limits, and before its hello: no client that gets that wrong recovers in time.
func (s *Session) Refuse(why error, answer ...Frame) {
	r := RefusalOf(why)
	s.refused = true
	if r.Code == CodeBadFrame {
		s.bad++
	} else {
		s.bad = 0
	}
	if r.Final || int(s.bad) >= s.hub.limits.BadFrames || !s.greeted.Load() && r.Code != CodeResumeExpired {
		s.ending = true
		s.close(r.Code, ready(answer))
		return
	}
	s.hub.stats.refuse(r.Code)
	s.Reply(answer...)
}

// Hold counts memory that the dialect holds for the client, or with a negative number gives it
// back. What is left at the session's end is given back then, and after that it counts nothing. It
// may be called from anywhere. While the hub is short of memory, the sessions that hold most end.
func (s *Session) Hold(bytes int) {
	for {
		was := s.held.Load()
		if was == nothingHeld {
			return
		}
		if s.held.CompareAndSwap(was, was+int64(bytes)) {
			s.hub.store.add(bytes)
			return
		}
	}
}

// nothingHeld is in Session.held once the session is over.
const nothingHeld = math.MinInt64

// holds is what Hold has counted, in bytes.
func (s *Session) holds() int { return int(max(0, s.held.Load())) }

// letGo gives back all that Hold has counted, for good.
func (s *Session) letGo() {
	if was := s.held.Swap(nothingHeld); was != nothingHeld {
		s.hub.store.add(-int(was))
	}
}

// Confirm notes that the client has the session's events up to seq.
func (s *Session) Confirm(seq uint64) {
	s.out.confirm(seq)
	if seq > s.resumedAt { // then also the token, which came before them
		s.hasToken()
	}
}

// send queues an event for the client. It never blocks. It ends a session whose client reads too
// slowly.
func (s *Session) send(e Event) { s.put(one(e), e.Numbered()) }

// put is send for a parcel, which may go to others, too.
func (s *Session) put(p *parcel, numbered bool) { s.follow(s.out.put(p, numbered, sender{})) }

// follow does what follows from a verdict of the outbox, and reports whether the session takes
// events.
func (s *Session) follow(v verdict) bool {
	switch v {
	case late:
		return false
	case overflown:
		s.Stop(CodeSlow)
		return false
	case crowded:
		s.tooSlow(nil)
	}
	return true
}

// errNoRoom answers a sender for whom there is no room in an outbox.
var errNoRoom = Refuse(CodeRateLimited, "the other end has not read what you sent before: send it again in a moment")

// deliver queues what somebody says to the session alone. It fails if the session is over, or has
// no room for more of that sender: then the sender pays, and the session goes on.
func (s *Session) deliver(e Event, by sender) error {
	p := one(e)
	switch v := s.out.offer(p, true, by); {
	case v == unpaid:
		s.expects(p, by) // not now; but a client that takes nothing loses its connection
		return errNoRoom
	case !s.follow(v):
		return Refuse(CodeNoSuchPeer, "")
	}
	return nil
}

// expects reports whether the session has room for what somebody says to many, or is in nobody's
// way.
func (s *Session) expects(p *parcel, by sender) bool {
	switch s.out.expect(p, by, s.hub.limits.Write) {
	case behind:
		return false
	case stuck:
		s.tooSlow(nil)
	}
	return true
}

// heard notes that the client has answered on this connection: it has its welcome, or knows that it
// was resumed.
func (s *Session) heard() {
	if s.greeted.Load() {
		s.known.Store(true)
		s.heardAt = s.client.Load().Source
	}
}

// Peers is how many others are in a room of the session's, as the dialect calls it; -1 if the
// session is not in it.
func (s *Session) Peers(room string) int {
	r, member := s.calledRoom(room)
	if !member {
		return -1
	}
	n, _ := r.size()
	return n - 1
}

// calledRoom finds a room that the session is in, as the dialect calls it. It is for every message.
func (s *Session) calledRoom(name string) (*room, bool) {
	name = RoomName(name)
	for _, r := range s.rooms {
		if s.terms.names(r.name, name) {
			return r, true
		}
	}
	return nil, false
}

// room finds a room that the session is in, by its full name.
func (s *Session) room(name string) (*room, bool) {
	for _, r := range s.rooms {
		if r.name == name {
			return r, true
		}
	}
	return nil, false
}
