package signal

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// session is one client, over all the connections that carry it one after the other. It knows
// neither how its frames travel nor how they are written.
type session struct {
	// set before the first frame
	hub    *Hub
	codec  codec
	opened time.Time
	out    *outbox
	nonce  string // tells its resume token from those of other sessions with the same id
	before string // the nonce of the token with which its hello replaced another session

	// work is held while a frame is processed, a connection ends or another takes over: one at a
	// time. Guards what follows.
	work     sync.Mutex
	link     *link // nil: the connection was lost, and the session may be resumed
	over     bool
	expiry   *time.Timer    // ends the session, while link is nil
	until    time.Time      // when
	heardAt  netip.Addr     // where the client was when it was heard last
	seq      uint64         // of the last frame that was processed
	refused  []refusedFrame // the latest refused ones among those, oldest first
	bad      int            // broken frames in a row
	rooms    []*room        // in the order of joining
	pass     Pass           // of its hello
	pace     *rate.Limiter  // nil = no limit; safe without work
	volume   *rate.Limiter  // bytes; the same
	patience *rate.Limiter  // for frames over the pace; the same

	// set by hello, before anybody else knows the session
	id         string // 128 random bits, safe in URLs
	name, user string

	// guarded by the hub's lock
	block  netip.Prefix // whom it counts for
	tokens []string     // keys of the passes that it entered with

	client  atomic.Pointer[client]
	greeted atomic.Bool
	known   atomic.Bool  // the client has been heard since
	iceDue  atomic.Int64 // when fresh ICE servers are to be pushed, in Unix nanoseconds; 0 = never
}

// client is what the request that opened the connection tells about who is there.
type client struct {
	source netip.Addr
	host   string // the Host header
}

// refusedFrame remembers the answer to a frame, for a client that sends it again because it missed
// the answer.
type refusedFrame struct {
	seq     uint64
	refusal *refusal
}

// maxRefused is how many refusals are remembered; older frames that come again are acked.
const maxRefused = 16

func newSession(h *Hub, l *link, now time.Time) *session {
	s := &session{
		hub:    h,
		link:   l,
		id:     newPeerID(),
		nonce:  newNonce(),
		codec:  nativeCodec{},
		opened: now,
		out:    newOutbox(h.limits.backlog, h.limits.bytes, h.opts.Resume > 0, h.store),
	}
	s.client.Store(&l.client)
	if h.opts.Rate > 0 {
		s.pace = rate.NewLimiter(rate.Limit(h.opts.Rate), h.opts.burst())
		s.volume = rate.NewLimiter(rate.Limit(h.limits.volume), burstSeconds*h.limits.volume)
		s.patience = rate.NewLimiter(rate.Limit(h.opts.Rate), 2*h.opts.burst())
	}
	return s
}

// receive processes one frame and tells whether the connection goes on. When it doesn't, the outbox
// is closed already. work is held, as by all that is called from here.
func (s *session) receive(frame []byte) bool {
	s.hub.stats.framesIn.Add(1)
	s.hub.stats.bytesIn.Add(uint64(len(frame)))
	m, bad := s.codec.decode(frame)
	if !s.keepsPace() || !s.keepsVolume(len(frame)) {
		if s.exhausted() {
			return s.dismiss(m.ID, refuse(CodeRateLimited, "too much for too long"))
		}
		bad = refuse(CodeRateLimited, "too many frames, or bytes, a second")
	}
	numbered := m.Seq != 0 && m.Type != typeResume // a resume's seq counts the hub's frames
	s.heard()
	if bad == nil && m.Received != 0 {
		s.out.confirm(m.Received)
	}
	if numbered && m.Seq <= s.seq {
		return s.repeat(m)
	}
	l := s.link
	if bad == nil {
		bad = s.dispatch(&m)
	}
	if s.link != l {
		return true // it resumed another session, which goes on in place of this one
	}
	if numbered {
		s.processed(m.Seq, bad)
	}
	if bad != nil {
		return s.refuse(m.ID, bad)
	}
	s.bad = 0
	s.acknowledge(m.ID)
	if m.Type == typeBye {
		s.out.close(codeBye, nil)
		return false
	}
	return true
}

// dispatch has the frame's handler do its work.
func (s *session) dispatch(m *clientMessage) *refusal {
	handle, known := s.hub.handlers[m.Type]
	switch {
	case !known:
		return refuse(CodeBadFrame, "its type is unknown")
	case !s.greeted.Load() && !handle.beforeHello:
		return refuse(CodeHelloFirst, "")
	}
	return handle.run(s, m)
}

// processed notes that a numbered frame is done with, refused or not.
func (s *session) processed(seq uint64, bad *refusal) {
	s.seq = seq
	if bad == nil {
		return
	}
	if len(s.refused) == maxRefused {
		s.refused = slices.Delete(s.refused, 0, 1)
	}
	s.refused = append(s.refused, refusedFrame{seq, bad})
}

// repeat answers a frame that was processed before as it was answered then, with no other effect.
func (s *session) repeat(m clientMessage) bool {
	for _, r := range s.refused {
		if r.seq == m.Seq {
			return s.refuse(m.ID, r.refusal)
		}
	}
	s.acknowledge(m.ID)
	return true
}

// refuse tells the client why its frame had no effect, and tells whether the session goes on: not
// before its hello, since no client that gets that wrong recovers in time, and not when the client
// talks nothing but nonsense.
func (s *session) refuse(id string, why *refusal) bool {
	if why.code == CodeBadFrame {
		s.bad++
	} else {
		s.bad = 0
	}
	if s.bad >= s.hub.limits.badFrames || !s.greeted.Load() && why.code != CodeResumeExpired {
		return s.dismiss(id, why)
	}
	s.hub.stats.refuse(why.code)
	s.send(failure{Code: why.code, Message: why.sentence(), ID: id})
	return true
}

// dismiss ends the session with a refusal as its last word.
func (s *session) dismiss(id string, why *refusal) bool {
	if first, _ := s.out.close(why.code, s.encodeFailure(id, why)); first {
		s.hub.stats.refuse(why.code)
	}
	return false
}

func (s *session) acknowledge(id string) {
	if id != "" {
		s.send(ack{ID: id})
	}
}

// keepsPace counts a frame against the session's rate.
func (s *session) keepsPace() bool { return s.pace == nil || s.pace.Allow() }

// keepsVolume counts its bytes.
func (s *session) keepsVolume(n int) bool { return s.volume == nil || s.volume.AllowN(time.Now(), n) }

// exhausted counts a frame over the rate and tells when it has been one too many: a client that
// doesn't listen to refusals costs us an answer for each.
func (s *session) exhausted() bool { return !s.patience.Allow() }

// send queues a message for the client. It never blocks. It reports whether the session takes
// messages still: one whose client reads too slowly ends here.
func (s *session) send(m serverMessage) bool {
	return s.put(outFrame{body: s.codec.encode(m)}, sequenced(m))
}

// sendParcel is send for a message that goes to several sessions.
func (s *session) sendParcel(p *parcel) bool {
	_, many := p.message.(relayedBroadcast)
	return s.put(outFrame{body: p.encodedFor(s.codec), many: many}, sequenced(p.message))
}

func (s *session) put(frame outFrame, sequenced bool) bool {
	switch s.out.put(frame, sequenced) {
	case refused:
		return false
	case overflown:
		s.stop(CodeSlow)
		return false
	case crowded:
		s.tooSlow(nil)
	}
	return true
}

// tooSlow ends a connection whose client doesn't read in time, nil is the present one; it may come
// back, if any may.
func (s *session) tooSlow(f *feed) {
	switch {
	case s.hub.opts.Resume == 0:
		s.stop(CodeSlow)
	case s.out.revoke(f, CodeSlow, s.lastWord(CodeSlow)):
		s.hub.stats.refuse(CodeSlow)
	}
}

// confirm notes what the client has, and that it is there.
func (s *session) confirm(seq uint64) bool {
	s.out.confirm(seq)
	s.heard()
	return true
}

// heard notes that the client has been heard on this connection: it has its welcome, or knows that
// it was resumed.
func (s *session) heard() {
	if s.greeted.Load() {
		s.known.Store(true)
		s.heardAt = s.client.Load().source
	}
}

// stop ends the session from outside: it takes nothing more, its client is told the code, and
// whoever carries it will clean up. It never blocks; any goroutine may call it, under any lock but
// work's.
func (s *session) stop(code Code) {
	first, attached := s.out.close(code, s.lastWord(code))
	if !first {
		return
	}
	s.hub.stats.refuse(code)
	if !attached { // nobody carries it
		s.hub.running.Add(1) // it is above 0: the session's expiry counts, or its connection, which is just going
		go s.expire()
	}
}

// lastWord is the error frame that precedes a close.
func (s *session) lastWord(code Code) []byte {
	return s.encodeFailure("", refuse(code, ""))
}

func (s *session) encodeFailure(id string, why *refusal) []byte {
	return s.codec.encode(failure{Code: why.code, Message: why.sentence(), ID: id})
}

// end is the one way out: the session leaves the directory, its rooms and its calls. The code tells
// why, if nothing else has ended the session before; "" is a connection that was lost. work is
// held.
func (s *session) end(code Code) {
	if s.over {
		return
	}
	s.over, s.link = true, nil
	if s.expiry != nil && s.expiry.Stop() {
		s.hub.running.Done()
	}
	if code == "" {
		s.out.close("", nil)
	} else {
		s.dismiss("", refuse(code, ""))
	}
	code, _ = s.out.end()
	why := reasonLost
	switch code {
	case CodeKicked:
		why = reasonKicked
	case CodeReplaced, codeBye:
		why = reasonLeft
	}

	partners := s.hub.depart(s, why)
	for _, r := range s.rooms {
		s.hub.leave(r, s, why)
	}
	s.rooms = nil
	s.hub.forget(s) // its seats are free: another session may have its id now
	gone := &parcel{message: peerLeft{Peer: s.member(), Reason: why}}
	for _, partner := range partners {
		partner.sendParcel(gone)
	}
	source := s.client.Load().source
	word := cmp.Or(string(code), string(reasonLost))
	if s.greeted.Load() {
		s.hub.log.Info("session ended", "peer", s.id, "src", source, "reason", word, "age",
			time.Since(s.opened).Round(time.Millisecond))
	} else {
		s.hub.log.Debug("connection ended before its hello", "src", source, "reason", word)
	}
}

func (s *session) member() member { return member{ID: s.id, Name: s.name, User: s.user} }

// room finds a room that the session is in.
func (s *session) room(name string) (*room, bool) {
	for _, r := range s.rooms {
		if r.name == name {
			return r, true
		}
	}
	return nil, false
}
