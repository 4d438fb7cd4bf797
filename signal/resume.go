package signal

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"
)

// A session outlives its connection by Options.Resume: it stays in its rooms, and what comes for it
// waits. A client that comes back in time shows its resume token and gets what it has missed. One
// that comes too late, or after a restart of the box, starts a new session, for which the token
// still is worth its old peer id.

// newNonce makes the part of a resume token that tells one session from another with the same id.
func newNonce() string {
	var b [8]byte
	rand.Read(b[:]) // never fails: the runtime ends the process first
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// resumeToken is "<peer id>.<nonce>.<HMAC-SHA256 of both>".
func (h *Hub) resumeToken(s *session) string {
	text := s.id + "." + s.nonce
	return text + "." + h.resumeMAC(text)
}

func (h *Hub) resumeMAC(text string) string {
	mac := hmac.New(sha256.New, h.opts.ResumeKey)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// readToken tells whose session a token was for, if it is one of ours.
func (h *Hub) readToken(token string) (id, nonce string, ok bool) {
	end := strings.LastIndexByte(token, '.')
	if end < 0 || !hmac.Equal([]byte(token[end+1:]), []byte(h.resumeMAC(token[:end]))) {
		return "", "", false
	}
	id, nonce, _ = strings.Cut(token[:end], ".")
	return id, nonce, true
}

// linger keeps a session for its client to come back in time. work is held.
func (s *session) linger(window time.Duration) {
	h := s.hub
	s.link = nil
	h.running.Add(1)
	s.until = time.Now().Add(window)
	s.expiry = time.AfterFunc(window, s.expire)
	h.stats.lost.Add(1)
	h.log.Debug("connection lost", "peer", s.id, "src", s.client.Load().source)
}

// expire ends a session that nobody carries, when it was stopped or its time is over. It gives back
// one count of Hub.running.
func (s *session) expire() {
	defer s.hub.running.Done()
	s.work.Lock()
	defer s.work.Unlock()
	_, stopped := s.out.end()
	if s.link == nil && (stopped || !time.Now().Before(s.until)) { // it may have been resumed, and lost again
		s.end("")
	}
}

// onResume hands the connection over to the session that the token is for. The session that the
// connection had until now, which nobody knows, is forgotten.
func (s *session) onResume(m *clientMessage) *refusal {
	if s.greeted.Load() {
		return refuse(CodeBadFrame, "this connection has a session already")
	}
	id, nonce, ok := s.hub.readToken(m.Token)
	target := s.hub.find(id)
	if !ok || target == nil || target.nonce != nonce {
		return refuse(CodeResumeExpired, "")
	}
	if s.hub.banned(target.user, s.client.Load().source) {
		return refuse(CodeKicked, "")
	}
	if !target.takeOver(s, m) {
		return refuse(CodeResumeExpired, "")
	}
	return nil
}

// takeOver makes the session go on over the connection of another one, which nobody knows. It fails
// if the session can't go on from the frame that the client has. The other's work is held: no other
// session waits for that.
func (s *session) takeOver(other *session, m *clientMessage) bool {
	l := other.link
	seq := cmp.Or(m.Seq, l.lastEvent)
	s.work.Lock()
	defer s.work.Unlock()
	if s.over {
		return false
	}
	now := time.Now()
	was, due := s.client.Swap(&l.client), s.iceDue.Load()
	servers := s.issueICE(now)
	greeting := resumed{
		PeerID: s.id, Received: s.seq,
		ICEServers: servers.ICEServers, ICEExpiresAt: servers.ICEExpiresAt,
		Rooms: []string{}, AddressChanged: s.heardAt != l.client.source,
	}
	for _, r := range s.rooms {
		greeting.Rooms = append(greeting.Rooms, r.name)
	}
	if !s.out.attach(l.feed, seq, s.codec.encode(greeting), s.lastWord(CodeReplaced)) {
		s.client.Store(was)
		s.iceDue.Store(due)
		return false
	}
	for _, answer := range other.out.release() {
		s.put(answer, false)
	}
	if s.expiry != nil && s.expiry.Stop() {
		s.hub.running.Done()
	}
	s.expiry = nil
	s.link, other.link = l, nil
	l.session.Store(s)
	s.acknowledge(m.ID)
	s.hub.moved(s, l)
	s.hub.stats.resumes.Add(1)
	s.hub.log.Debug("session resumed", "peer", s.id, "src", l.client.source)
	return true
}

// replace ends the session at once, for a new one of the same client.
func (s *session) replace() {
	s.work.Lock()
	defer s.work.Unlock()
	s.end(CodeReplaced)
}
