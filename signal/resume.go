package signal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"
)

// A session outlives its connection by Terms.Outlives: it stays in its rooms, and its events wait.
// A client that comes back in time shows its resume token and gets what it has missed. A client
// that comes too late, or after a restart of the box, starts a new session, for which the token
// still gives it the old peer id.

// resumeToken is "<peer id>.<nonce>.<HMAC-SHA256 of both>".
func (h *Hub) resumeToken(id, nonce string) string {
	text := id + "." + nonce
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

// Resume asks for a session that has lost its connection, or is about to.
type Resume struct {
	Token  string
	Seq    uint64  // the last event that the client has got; 0: none
	Answer []Frame // the answer, sent after Resumed and the missed events
}

// Resume gives the connection of this session, which nobody knows yet and which is then forgotten,
// to the session that the token is for. That session gets Resumed, and then the events after Seq.
func (s *Session) Resume(resume Resume) error {
	if s.greeted.Load() {
		return Refuse(CodeBadFrame, "this connection already has a session")
	}
	id, nonce, ok := s.hub.readToken(resume.Token)
	target := s.hub.find(id)
	if !ok || target == nil || target.nonce != nonce || target.terms.Name != s.terms.Name {
		return Refuse(CodeResumeExpired, "")
	}
	if s.hub.banned(target.self.User, s.client.Load().Source) {
		return Refuse(CodeKicked, "")
	}
	if !target.takeOver(s, &resume) {
		return Refuse(CodeResumeExpired, "")
	}
	return nil
}

// Attach gives the connection of this session, which nobody knows yet and which is then forgotten,
// to another session, which goes on with what waits for it. The dialect decides which one. If the
// other still has a connection, that one is told that it was replaced.
func (s *Session) Attach(to *Session) error {
	switch {
	case s.greeted.Load():
		return Refuse(CodeBadFrame, "this connection already has a session")
	case !to.greeted.Load():
		return Refuse(CodeResumeExpired, "")
	case s.hub.banned(to.self.User, s.client.Load().Source):
		return Refuse(CodeKicked, "")
	case !to.takeOver(s, nil):
		return Refuse(CodeResumeExpired, "")
	}
	return nil
}

// takeOver lets the session go on over the connection of another one, which nobody knows; without a
// resume, with what waits. It fails if the session can't go on from the client's last event. The
// other's work is held: no other session waits for that.
func (s *Session) takeOver(other *Session, resume *Resume) bool {
	s.work.Lock()
	defer s.work.Unlock()
	l := other.link
	if s.over || l == nil {
		return false
	}
	was := s.client.Swap(&l.client)
	if !s.goOn(l, resume) {
		s.client.Store(was)
		return false
	}
	for _, answer := range other.out.release() {
		s.put(answer.parcel, false)
	}
	if s.expiry != nil && s.expiry.Stop() {
		s.hub.running.Done()
	}
	s.expiry = nil
	s.link, other.link = l, nil
	l.session.Store(s)
	if resume != nil {
		s.Reply(resume.Answer...)
		s.hub.stats.resumes.Add(1)
	}
	s.hub.moved(s, l)
	s.hub.log.Debug("session resumed", "peer", s.self.ID, "src", l.client.Source)
	return true
}

// goOn gives the session's outbox to another connection, if it can.
func (s *Session) goOn(l *Link, resume *Resume) bool {
	replaced := lastWord(Refuse(CodeReplaced, ""))
	if resume == nil {
		return s.out.attach(l.feed, replaced)
	}
	due := s.iceDue.Load()
	greeting := Resumed{
		ID:             s.self.ID,
		ICE:            s.issueICE(time.Now()),
		Rooms:          []string{},
		AddressChanged: s.heardAt != l.client.Source,
	}
	for _, r := range s.rooms {
		greeting.Rooms = append(greeting.Rooms, r.name)
	}
	if !s.out.resume(l.feed, resume.Seq, one(greeting), replaced) {
		s.iceDue.Store(due)
		return false
	}
	return true
}
