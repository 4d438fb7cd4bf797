package signal

import (
	"bytes"
	"slices"
	"strings"
	"time"
)

// Signal is a message to one other session.
type Signal struct {
	To   string // a peer id, or "@" and a user's name to call
	Room string // how the two know each other, as the dialect says it; empty: by whatever there is
	Data []byte // what they agree on; natively JSON. Not nil
}

// Broadcast is a message to the members of a room.
type Broadcast struct {
	Room string // as the dialect says it
	Data []byte // as in Signal
	Echo bool   // the sender gets it, too, in the room's order

	// Frames, if not nil, are what Encode makes of the message for sessions with an equal Encoding:
	// who has just made them spares the receivers that. Data and Frames are then the hub's, and may
	// share memory: nobody may change them.
	Frames   []Frame
	Encoding any
	// Lent, if not nil, has that memory, all of it (Session.Lend).
	Lent *Lent
}

// Broadcast sends a message to the others in a room of the session's. They get a Broadcasted.
func (s *Session) Broadcast(b Broadcast) error {
	defer b.Lent.done()
	if err := s.mayAct(); err != nil {
		return err
	}
	if b.Data == nil {
		return Refuse(CodeBadFrame, "data is missing")
	}
	r, member := s.calledRoom(b.Room)
	if !member {
		return Refuse(CodeNotInRoom, "")
	}
	s.claim(b.Data) // of other protocols, many say what is for one to all
	var p *parcel
	e := Broadcasted{From: s.self, Room: r.name, Data: b.Data}
	if b.Frames == nil {
		e.Data = bytes.Clone(b.Data)
		p = shared(e)
	} else {
		p = sharedAs(e, b.Encoding, b.Frames, b.Lent)
	}
	err := r.broadcast(s, b.Echo, p)
	if err == nil {
		s.hub.stats.broadcasts.Add(1)
	}
	return err
}

// Signal sends a message to a peer that shares a room or a call with the session; to "@" and a
// user's name it opens the call, with all sessions of the user. The first of them that signals back
// has it, and the others get a PeerLeft. The peer gets a Signaled.
func (s *Session) Signal(m Signal) error {
	if err := s.mayAct(); err != nil {
		return err
	}
	switch {
	case m.To == "":
		return Refuse(CodeBadFrame, "to is missing")
	case m.Data == nil:
		return Refuse(CodeBadFrame, "data is missing")
	}
	s.claim(m.Data)
	err := s.relay(&m)
	if err == nil {
		s.hub.stats.signals.Add(1)
	}
	return err
}

// relay finds out how the two know each other: by the room that the signal names, a call, or the
// first room that they share. The receiver is told which.
func (s *Session) relay(m *Signal) error {
	out := Signaled{From: s.self, Data: bytes.Clone(m.Data)}
	switch {
	case m.To == s.self.ID:
		return Refuse(CodeNoSuchPeer, "")
	case m.Room != "":
		r, member := s.calledRoom(m.Room)
		if !member {
			return Refuse(CodeNotInRoom, "")
		}
		out.Room = r.name
		return r.deliver(m.To, out, sender{session: s})
	}

	if user, call := strings.CutPrefix(m.To, "@"); call {
		return s.call(Visible(user), out)
	}
	if target := s.hub.partner(s, m.To); target != nil {
		return s.say(target, out)
	}
	for _, r := range s.rooms {
		out.Room = r.name
		if r.has(m.To) {
			return r.deliver(m.To, out, sender{session: s})
		}
	}
	return Refuse(CodeNoSuchPeer, "")
}

// call sends a message to those of a user's sessions with which there is a call; if there is none,
// it calls them all. It fails if none of them gets it. Who does not get what begins a call is not
// called: otherwise that could be hung up again, which tells the other end without being paid for.
func (s *Session) call(user string, out Signaled) error {
	targets, fresh, err := s.hub.ring(s, user, out.Data)
	if err != nil {
		return err
	}
	heard := false
	for _, target := range targets {
		if err = s.say(target, out); err == nil {
			heard = true
		} else if fresh {
			s.hub.unring(s, target)
		}
	}
	if heard {
		return nil
	}
	return err
}

// say sends a message to the other end of a call.
func (s *Session) say(target *Session, out Signaled) error {
	polite, stranger, err := s.hub.said(s, target, out.Data)
	if err != nil {
		return err
	}
	out.Polite = polite
	return target.deliver(out, sender{s, stranger})
}

// HangUp ends the call with a peer, who gets a PeerLeft; with "@" and a user's name, the calls with
// those sessions of the user that have not answered.
func (s *Session) HangUp(peer string) error { return s.HangUpWith(peer, nil) }

// HangUpWith is HangUp with a last word for the peer; nil: none. A caller gets it only from the
// last of a user's sessions: as long as others may answer, the call goes on. What there is no room
// for is left out.
func (s *Session) HangUpWith(peer string, word []byte) error {
	if err := s.mayAct(); err != nil {
		return err
	}
	h, said := s.hub, callWordIn(word)
	h.mu.RLock()
	defer h.mu.RUnlock()
	user, ringing := strings.CutPrefix(peer, "@")
	targets := []*Session{h.sessions[peer]}
	if ringing {
		targets = h.users[Visible(user)]
	}
	ended := false
	for _, target := range targets {
		was, told := h.calls.hangUp(s, target, ringing, said)
		if !was {
			continue
		}
		ended = true
		h.opts.Members.HungUp(s.self.ID, target.self.ID)
		if told {
			target.bidFarewell(s, ringing, word)
		}
	}
	if !ended {
		return Refuse(CodeNoSuchPeer, "")
	}
	return nil
}

// bidFarewell tells the session that the other end of a call has hung up. The other pays for its
// last word.
func (s *Session) bidFarewell(other *Session, stranger bool, word []byte) {
	e := PeerLeft{Peer: other.self, Reason: ReasonLeft, Data: bytes.Clone(word)}
	v := s.out.offer(one(e), true, sender{other, stranger})
	if v == unpaid {
		e.Data = nil
		v = s.out.put(one(e), true, sender{})
	}
	s.follow(v)
}

// partner finds the session at the other end of a call, by its peer id; nil: there is none.
func (h *Hub) partner(s *Session, id string) *Session {
	h.mu.RLock()
	defer h.mu.RUnlock()
	target := h.sessions[id]
	if !h.calls.between(target, s) {
		return nil
	}
	return target
}

// ring finds the sessions of a user that a signal of a session is for, and calls them if need be:
// fresh says so.
func (h *Hub) ring(s *Session, user string, data []byte) (targets []*Session, fresh bool, err error) {
	if !h.opts.Calls {
		return nil, false, Refuse(CodeNoSuchPeer, "")
	}
	if targets := h.inCall(s, user); len(targets) > 0 {
		return targets, false, nil
	}
	word := callWordIn(data)
	h.mu.Lock() // Members hear of the calls before anybody can end them
	defer h.mu.Unlock()
	devices := slices.DeleteFunc(slices.Clone(h.users[user]), func(d *Session) bool { return d == s })
	if len(devices) == 0 {
		return nil, false, Refuse(CodeNoSuchPeer, "")
	}
	targets, fresh, over, err := h.calls.ring(s, devices, word, time.Now())
	for _, c := range over {
		h.opts.Members.HungUp(c.from.self.ID, c.to.self.ID)
		c.from.send(PeerLeft{Peer: c.to.self, Reason: ReasonLeft})
		c.to.send(PeerLeft{Peer: c.from.self, Reason: ReasonLeft})
	}
	if fresh && err == nil {
		for _, target := range targets {
			h.opts.Members.Called(s.self.ID, target.self.ID)
		}
		h.opts.Journal.put(Happening{Kind: KindCallStarted, Peer: s.self, Callee: targets[0].self})
	}
	return targets, fresh, err
}

// inCall finds the sessions of a user with which a session has a call. Nearly all signals are in a
// call: they keep nobody else from the hub.
func (h *Hub) inCall(s *Session, user string) []*Session {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.calls.with(s, h.users[user])
}

// unring takes a call back of which the other end has not heard.
func (h *Hub) unring(s, target *Session) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if was, _ := h.calls.hangUp(s, target, true, callWord{}); was {
		h.opts.Members.HungUp(s.self.ID, target.self.ID)
	}
}

// said notes that a session says something to the other end of a call, and returns the role of the
// other, and whether the session is a stranger to it. With an answer, the other sessions of the
// user stop ringing. It fails if the call is over.
func (h *Hub) said(s, target *Session, data []byte) (polite, stranger bool, err error) {
	// Held until the end, so that a word that was not read is not taken for the answer to another
	// ring.
	h.mu.RLock()
	var word callWord
	if h.calls.awaits(s, target) {
		h.mu.RUnlock() // to read it takes longer than others should wait
		word = callWordIn(data)
		h.mu.RLock()
	}
	defer h.mu.RUnlock()
	polite, stranger, unanswered, err := h.calls.said(s, target, word, time.Now())
	for _, other := range unanswered {
		h.opts.Members.HungUp(target.self.ID, other.self.ID)
		other.send(PeerLeft{Peer: target.self, Reason: ReasonAnsweredElsewhere})
	}
	return polite, stranger, err
}
