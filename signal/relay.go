package signal

import (
	"bytes"
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
}

// Broadcast sends a message to the others in a room of the session's. They get a Broadcasted.
func (s *Session) Broadcast(b Broadcast) error {
	if err := s.mayAct(); err != nil {
		return err
	}
	if b.Data == nil {
		return Refuse(CodeBadFrame, "data is missing")
	}
	r, member := s.room(s.terms.FullName(b.Room))
	if !member {
		return Refuse(CodeNotInRoom, "")
	}
	err := r.broadcast(s, b.Echo, shared(Broadcasted{From: s.self, Room: r.name, Data: bytes.Clone(b.Data)}))
	if err == nil {
		s.hub.stats.broadcasts.Add(1)
	}
	return err
}

// Signal sends a message to a peer that shares a room or a call with the session; to "@" and a
// user's name it opens the call. The peer gets a Signaled.
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
	if s.hub.opts.Claims {
		for _, addr := range claims(m.Data) {
			s.hub.opts.Members.Claimed(s.self.ID, addr) // before the far end can act on it
		}
	}
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
		r, member := s.room(s.terms.FullName(m.Room))
		if !member {
			return Refuse(CodeNotInRoom, "")
		}
		out.Room = r.name
		return r.deliver(m.To, out, sender{session: s})
	}

	target, err := s.hub.partner(s, m.To)
	if err != nil {
		return err
	}
	if target != nil {
		polite, stranger := s.hub.calls.said(s, target, time.Now())
		out.Polite = polite
		return target.deliver(out, sender{s, stranger})
	}
	for _, r := range s.rooms {
		out.Room = r.name
		if r.has(m.To) {
			return r.deliver(m.To, out, sender{session: s})
		}
	}
	return Refuse(CodeNoSuchPeer, "")
}

// HangUp ends the call with a peer, who gets a PeerLeft.
func (s *Session) HangUp(peer string) error {
	if err := s.mayAct(); err != nil {
		return err
	}
	h := s.hub
	h.mu.RLock()
	defer h.mu.RUnlock()
	target := h.sessions[peer]
	if target == nil || !h.calls.hangUp(s, target) {
		return Refuse(CodeNoSuchPeer, "")
	}
	h.opts.Members.HungUp(s.self.ID, peer)
	target.send(PeerLeft{Peer: s.self, Reason: ReasonLeft})
	return nil
}

// partner finds the session that a signal without a room is for: "@user" opens a call, a peer id
// answers one. It returns neither a partner nor a refusal for a peer id without a call.
func (h *Hub) partner(s *Session, to string) (*Session, error) {
	user, call := strings.CutPrefix(to, "@")
	user = Visible(user)
	h.mu.RLock()
	defer h.mu.RUnlock()
	if !call {
		target := h.sessions[to]
		if !h.calls.between(target, s) {
			return nil, nil
		}
		return target, nil
	}
	target, known := h.users[user]
	if !h.opts.Calls || !known || target == s {
		return nil, Refuse(CodeNoSuchPeer, "")
	}
	fresh, over, err := h.calls.open(s, target, time.Now())
	for _, c := range over {
		h.opts.Members.HungUp(c.from.self.ID, c.to.self.ID)
		c.from.send(PeerLeft{Peer: c.to.self, Reason: ReasonLeft})
		c.to.send(PeerLeft{Peer: c.from.self, Reason: ReasonLeft})
	}
	if fresh {
		h.opts.Members.Called(s.self.ID, target.self.ID)
		h.opts.Journal.put(Happening{Kind: KindCallStarted, Peer: s.self, Callee: target.self})
	}
	return target, err
}
