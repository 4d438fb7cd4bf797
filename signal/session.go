package signal

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// A transport carries one session's frames. It reads them to session.receive in one goroutine, which ends the session
// after the last one, and writes what session.out holds.
type transport interface {
	// stop makes the transport finish: the outbox has been closed. It is called under locks and must not block.
	stop()
	// abort cuts the connection without another word.
	abort()
}

// session is one client. It knows neither how its frames travel nor how they are written.
type session struct {
	// set before the first frame
	hub       *Hub
	id        string // 128 random bits, safe in URLs
	codec     codec
	transport transport
	client    client
	opened    time.Time
	out       *outbox

	// owned by the reader, the one goroutine that calls receive and end
	greeted  bool
	seq      uint64         // of the last frame that was processed
	refused  []refusedFrame // the latest refused ones among those, oldest first
	bad      int            // broken frames in a row
	rooms    []*room        // in the order of joining
	pace     *rate.Limiter  // nil = no limit
	patience *rate.Limiter  // for frames over the pace

	// set by hello, before anybody else knows the session
	name, user string

	iceDue atomic.Int64 // when fresh ICE servers are to be pushed, in Unix nanoseconds; 0 = never
}

// client is what the request that opened the connection tells about who is there.
type client struct {
	source netip.Addr
	host   string // the Host header
	secure bool   // over TLS
}

// refusedFrame remembers the answer to a frame, for a client that sends it again because it missed the answer.
type refusedFrame struct {
	seq     uint64
	refusal *refusal
}

// maxRefused is how many refusals are remembered; older frames that come again are acked.
const maxRefused = 16

func newSession(h *Hub, id string, from client, now time.Time) *session {
	s := &session{
		hub:    h,
		id:     id,
		codec:  nativeCodec{},
		client: from,
		opened: now,
		out:    newOutbox(h.limits.backlog, h.limits.bytes),
	}
	if h.opts.Rate > 0 {
		s.pace = rate.NewLimiter(rate.Limit(h.opts.Rate), h.opts.burst())
		s.patience = rate.NewLimiter(rate.Limit(h.opts.Rate), 2*h.opts.burst())
	}
	return s
}

// receive processes one frame and tells whether the session goes on. When it doesn't, the outbox is closed already.
func (s *session) receive(frame []byte) bool {
	s.hub.stats.framesIn.Add(1)
	s.hub.stats.bytesIn.Add(uint64(len(frame)))
	m, bad := s.codec.decode(frame)
	if !s.keepsPace() {
		if s.exhausted() {
			return s.dismiss(m.ID, refuse(CodeRateLimited, "too many frames for too long"))
		}
		bad = refuse(CodeRateLimited, "too many frames a second")
	}
	numbered := m.Seq != 0 && m.Type != typeResume // a resume's seq counts the hub's frames
	if numbered && m.Seq <= s.seq {
		return s.repeat(m)
	}
	if bad == nil {
		bad = s.dispatch(&m)
	}
	if numbered {
		s.processed(m.Seq, bad)
	}
	if bad != nil {
		return s.refuse(m.ID, bad)
	}
	s.bad = 0
	s.acknowledge(m.ID)
	return true
}

// dispatch has the frame's handler do its work.
func (s *session) dispatch(m *clientMessage) *refusal {
	handle, known := s.hub.handlers[m.Type]
	switch {
	case !known:
		return refuse(CodeBadFrame, "its type is unknown")
	case !s.greeted && !handle.beforeHello:
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

// refuse tells the client why its frame had no effect, and tells whether the session goes on: not before its hello, since
// no client that gets that wrong recovers in time, and not when the client talks nothing but nonsense.
func (s *session) refuse(id string, why *refusal) bool {
	if why.code == CodeBadFrame {
		s.bad++
	} else {
		s.bad = 0
	}
	if s.bad >= s.hub.limits.badFrames || !s.greeted && why.code != CodeResumeExpired {
		return s.dismiss(id, why)
	}
	s.hub.stats.refuse(why.code)
	s.send(failure{Code: why.code, Message: why.sentence(), ID: id})
	return true
}

// dismiss ends the session with a refusal as its last word.
func (s *session) dismiss(id string, why *refusal) bool {
	last := s.codec.encode(failure{Code: why.code, Message: why.sentence(), ID: id})
	if s.out.close(why.code, last) {
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

// exhausted counts a frame over the rate and tells when it has been one too many: a client that doesn't listen to
// refusals costs us an answer for each.
func (s *session) exhausted() bool { return !s.patience.Allow() }

// send queues a message for the client. It never blocks. It reports whether the session takes messages still: one whose
// client reads too slowly ends here.
func (s *session) send(m serverMessage) bool {
	return s.put(s.codec.encode(m), sequenced(m))
}

// sendParcel is send for a message that goes to several sessions.
func (s *session) sendParcel(p *parcel) bool {
	return s.put(p.encodedFor(s.codec), sequenced(p.message))
}

func (s *session) put(body []byte, sequenced bool) bool {
	err := s.out.put(body, sequenced)
	if err == errOutboxFull {
		s.stop(CodeSlow)
	}
	return err == nil
}

// stop ends the session from outside: it takes nothing more, its client is told the code, and its reader will clean up.
// It never blocks; any goroutine may call it, under any lock.
func (s *session) stop(code Code) {
	s.dismiss("", refuse(code, ""))
	s.transport.stop()
}

// end is the one way out, called by the reader when there will be no more frames: the session leaves the directory, its
// rooms and its calls. The code tells why, if nothing else has ended the session before; "" is a connection that was lost.
func (s *session) end(code Code) {
	if code == "" {
		s.out.close("", nil)
	} else {
		s.dismiss("", refuse(code, ""))
	}
	code, _ = s.out.end()
	why := reasonLost
	if code == CodeKicked {
		why = reasonKicked
	}

	partners := s.hub.forget(s, why)
	for _, r := range s.rooms {
		s.hub.leave(r, s, why)
	}
	s.rooms = nil
	gone := &parcel{message: peerLeft{Peer: s.member(), Reason: why}}
	for _, partner := range partners {
		partner.sendParcel(gone)
	}
	if s.greeted {
		s.hub.log.Info("session ended", "peer", s.id, "src", s.client.source, "reason", endWord(code),
			"age", time.Since(s.opened).Round(time.Millisecond))
	} else {
		s.hub.log.Debug("connection ended before its hello", "src", s.client.source, "reason", endWord(code))
	}
}

func endWord(code Code) string {
	if code == "" {
		return string(reasonLost)
	}
	return string(code)
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
