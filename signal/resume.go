package signal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// A session outlives its connection by Terms.Outlives: it stays in its rooms, and its events wait.
// A client that comes back in time shows its resume token and gets what it has missed. A client
// that comes too late, or after a restart of the box, starts a new session, for which the token
// still gives it the old peer id.
//
// A resume gives the client a newer token. The one before is good until the hub knows that the
// newer one has arrived, since it may be lost with its connection; older ones are good for nothing
// while the session is there. So of two who have tokens of one peer id, the one with the newest has
// it: a copy in another tab, or in somebody's backup, does not. What nobody has renewed for a day
// is worth nothing either.

// maxTokenAge is how long a token is good for the peer id of a session that is not there any more.
const maxTokenAge = 24 * time.Hour

// mark tells a resume token from others of the same peer id.
type mark struct {
	nonce string // of the session
	age   uint64 // how many tokens of the peer id came before it, of this session and former ones
}

// resumeToken is "<peer id>.<nonce>.<age>.<issue time>.<HMAC-SHA256 of these>", the numbers in base
// 36, the time in Unix seconds.
func (h *Hub) resumeToken(id string, m mark, now time.Time) string {
	text := id + "." + m.nonce + "." + strconv.FormatUint(m.age, 36) + "." + strconv.FormatInt(now.Unix(), 36)
	return text + "." + h.resumeMAC(text)
}

// issueToken makes the session's newest token.
func (s *Session) issueToken(m *marks) string {
	return s.hub.resumeToken(s.self.ID, m.latest, m.issued)
}

func (h *Hub) resumeMAC(text string) string {
	mac := hmac.New(sha256.New, h.opts.ResumeKey)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// readToken tells whose session a token was for, if it is one of ours.
func (h *Hub) readToken(token string) (id string, m mark, issued time.Time, ok bool) {
	end := strings.LastIndexByte(token, '.')
	if end < 0 || !hmac.Equal([]byte(token[end+1:]), []byte(h.resumeMAC(token[:end]))) {
		return "", m, issued, false
	}
	parts := strings.Split(token[:end], ".")
	if len(parts) != 4 { // of a former version
		return "", m, issued, false
	}
	age, wrong := strconv.ParseUint(parts[2], 36, 64)
	at, wrongTime := strconv.ParseInt(parts[3], 36, 64)
	return parts[0], mark{parts[1], age}, time.Unix(at, 0), wrong == nil && wrongTime == nil
}

// marks are those of a session's tokens. They are immutable.
type marks struct {
	latest mark // of the newest token
	before mark // of the one before, good until its client has the newest; zero: there is none
	// inherited is of the token with which the session's hello has got it its peer id, until its
	// client has the welcome; zero: there is none.
	inherited mark
	issued    time.Time // the latest
}

// take reports whether a token with that mark resumes the session.
func (m *marks) take(shown mark) bool { return shown == m.latest || shown == m.before }

// yield reports whether a hello with such a token replaces the session. A token after which more
// have come than the session knows does, too: its own peer id came with a copy.
func (m *marks) yield(shown mark) bool {
	return m.take(shown) || shown.age > m.latest.age || m.inherited != mark{} && shown.age >= m.inherited.age
}

// resumed are the marks after a resume with such a token. If its client shows the one before, the
// newest has been lost on its way, and goes out again.
func (m *marks) resumed(shown mark, now time.Time) *marks {
	if shown != m.latest {
		return &marks{latest: m.latest, before: m.before, issued: now}
	}
	return &marks{latest: mark{shown.nonce, shown.age + 1}, before: shown, issued: now}
}

// hasToken notes that the client has the newest token: no other is good from now on.
func (s *Session) hasToken() {
	if m := s.marks.Load(); m.before != (mark{}) || m.inherited != (mark{}) {
		s.marks.CompareAndSwap(m, &marks{latest: m.latest, issued: m.issued})
	}
}

// renewToken pushes a token that is as good as the newest, but not as old: a client that has not
// lost its connection for a day keeps its peer id, too.
func (s *Session) renewToken(now time.Time) {
	m := s.marks.Load()
	if s.terms.Outlives == 0 || now.Sub(m.issued) < s.hub.limits.Renew {
		return
	}
	next := *m
	next.issued = now
	if s.marks.CompareAndSwap(m, &next) { // else somebody resumes it just now, and gets one
		s.send(Renewed{s.issueToken(&next)})
	}
}

// Resume asks for a session that has lost its connection, or is about to.
type Resume struct {
	Token  string
	Seq    uint64  // the last event that the client has got; 0: none
	Answer []Frame // the answer, sent after Resumed and the missed events

	shown mark // of the token
}

// Resume gives the connection of this session, which nobody knows yet and which is then forgotten,
// to the session that the token is for. That session gets Resumed, and then the events after Seq.
func (s *Session) Resume(resume Resume) error {
	if s.greeted.Load() {
		return Refuse(CodeBadFrame, "this connection already has a session")
	}
	id, shown, _, ok := s.hub.readToken(resume.Token)
	target := s.hub.find(id)
	if !ok || target == nil || !target.marks.Load().take(shown) || target.terms.Name != s.terms.Name {
		return Refuse(CodeResumeExpired, "")
	}
	if s.hub.banned(target, s.client.Load().Source) {
		return Refuse(CodeKicked, "")
	}
	resume.shown = shown
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
	case s.hub.banned(to, s.client.Load().Source):
		return Refuse(CodeKicked, "")
	case !to.takeOver(s, nil):
		return Refuse(CodeResumeExpired, "")
	}
	return nil
}

// MayAttach judges a token for the connection of this session, which nobody knows yet, where a
// dialect asks for one before Attach, too: it must admit to a hello of the other session's user,
// and to a room, as the dialect says it.
func (s *Session) MayAttach(to *Session, token, room string) error {
	pass, err := s.admit(token)
	switch now := time.Now(); {
	case err != nil:
		return err
	case pass.Attested && Visible(pass.User) != to.self.User:
		return Refuse(CodeUnauthorized, "the token is not for that user")
	case s.hub.opts.Bans.Concern("", pass.Key, s.client.Load().Source, now):
		return Refuse(CodeKicked, "")
	default:
		return mayJoin(&pass, s.terms.FullName(room), now)
	}
}

// takeOver lets the session go on over the connection of another one, which nobody knows; without a
// resume, with what waits. It fails if the session can't go on from the client's last event. The
// other's work is held: no other session waits for that.
func (s *Session) takeOver(other *Session, resume *Resume) bool {
	s.work.Lock()
	defer s.work.Unlock()
	l := other.link
	if s.over || l == nil || resume != nil && !s.marks.Load().take(resume.shown) {
		return false // somebody was faster
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
	s.unwatch()
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
	has := s.marks.Load().resumed(resume.shown, time.Now())
	greeting := Resumed{
		ID:             s.self.ID,
		ResumeToken:    s.issueToken(has),
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
	s.marks.Store(has)
	s.resumedAt = resume.Seq
	return true
}
