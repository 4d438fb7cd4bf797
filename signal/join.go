package signal

import (
	"cmp"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// Join asks for a seat in a room.
type Join struct {
	Room     string // as the dialect says it: see Terms.FullName
	Token    string // brings admission to this room, if the hello's is not enough
	Capacity int    // 0: as the session's Terms have it
	// Note is what the dialect's clients are to know of this member, besides what the hub knows:
	// the others hear it when it joins and when it leaves. It is for that dialect alone to read.
	Note string
}

// Join seats the session in a room, which its first member opens. Joined tells the session who is
// there, and PeerJoined tells the others. A session that is already in the room gets Joined again.
func (s *Session) Join(join Join) error {
	if err := s.mayAct(); err != nil {
		return err
	}
	if join.Room == "" {
		return Refuse(CodeBadFrame, "room is missing")
	}
	if err := CheckText("room", join.Room, MaxRoom); err != nil {
		return err
	}
	name := s.terms.FullName(join.Room)
	_, again := s.room(name)
	if limit := s.hub.opts.RoomsPerSession; !again && limit > 0 && len(s.rooms) >= limit {
		return Refuse(CodeRateLimited, "you are already in as many rooms as a session may enter")
	}
	if !again && !s.mayEnter() {
		return Refuse(CodeRateLimited, "you leave and join too often")
	}
	pass := s.pass
	if join.Token != "" {
		var err error
		if pass, err = s.admit(join.Token); err != nil {
			return err
		}
	}
	if err := mayJoin(&pass, name, time.Now()); err != nil && !again {
		return err
	}
	if !again && !s.hub.joins.Allow(s.client.Load().Source, time.Now()) {
		return Refuse(CodeRateLimited, "too many joins from your network address")
	}
	r, err := s.hub.join(name, s, &pass, cmp.Or(join.Capacity, s.terms.Capacity), join.Note)
	if err == nil && !again {
		s.rooms = append(s.rooms, r)
		s.left = max(s.left-1, 0)
	}
	// A pass that is not for this room has only been good for a seat that was there already.
	if now := time.Now(); err == nil && mayJoin(&pass, name, now) == nil && s.admitUntil(&pass, now) {
		s.endWithToken(now)
		s.send(ICEUpdated{s.issueICE(now)}) // what it has ends too soon
	}
	return err
}

// mayJoin judges what a pass admits to.
func mayJoin(pass *Pass, room string, now time.Time) error {
	switch {
	case !pass.Expires.IsZero() && !now.Before(pass.Expires):
		return errTokenExpired
	case pass.Rooms != nil && !pass.Rooms(room):
		return Refuse(CodeUnauthorized, "the token is not for that room")
	}
	return nil
}

// Leave gives the seat in a room back. Left tells the session, PeerLeft the others.
func (s *Session) Leave(room string) error {
	if err := s.mayAct(); err != nil {
		return err
	}
	name := s.terms.FullName(room)
	r, member := s.room(name)
	if !member {
		return Refuse(CodeNotInRoom, "")
	}
	s.drop(r, ReasonLeft)
	s.left++
	return nil
}

// mayEnter counts a join of a session that has left a room before: for the others in the room, each
// costs a connection. Who only enters rooms is limited by their number.
func (s *Session) mayEnter() bool {
	if s.left == 0 || s.hub.opts.Rate == 0 {
		return true
	}
	if s.returns == nil {
		s.returns = rate.NewLimiter(rate.Limit(s.hub.limits.Returns), returnsBurst)
	}
	return s.returns.Allow()
}

// drop gives the session's seat in a room back, and reports whether it had one. work is held.
func (s *Session) drop(r *room, why LeftReason) bool {
	i := slices.Index(s.rooms, r)
	if i < 0 {
		return false
	}
	s.rooms = slices.Delete(s.rooms, i, i+1)
	s.hub.leave(r, s, why)
	return true
}
