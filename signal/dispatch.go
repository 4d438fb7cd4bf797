package signal

import "time"

const typeResume = "resume"

// handler is what one type of client frame does. A handler answers by putting frames into outboxes; the ack, or the error
// of the refusal that it returns, follows after them.
type handler struct {
	run         func(*session, *clientMessage) *refusal
	beforeHello bool
}

// handlers is the table of all frames that a client may send.
func handlers() map[string]handler {
	return map[string]handler{
		"hello":     {run: (*session).onHello, beforeHello: true},
		typeResume:  {run: (*session).onResume, beforeHello: true},
		"ping":      {run: (*session).onPing, beforeHello: true},
		"join":      {run: (*session).onJoin},
		"leave":     {run: (*session).onLeave},
		"signal":    {run: (*session).onSignal},
		"broadcast": {run: (*session).onBroadcast},
		"ice":       {run: (*session).onICE},
	}
}

func (s *session) onHello(m *clientMessage) *refusal {
	if s.greeted {
		return refuse(CodeBadFrame, "hello was said already")
	}
	s.name, s.user = m.Name, m.User
	servers := s.issueICE(time.Now())
	greeting := welcome{
		PeerID:           s.id,
		Name:             s.name,
		User:             s.user,
		HeartbeatSeconds: max(1, int(s.hub.opts.Heartbeat/time.Second)),
		ICEServers:       servers.ICEServers,
		ICEExpiresAt:     servers.ICEExpiresAt,
		Protocol:         protocol,
	}
	if bad := s.hub.register(s, s.codec.encode(greeting)); bad != nil {
		return bad
	}
	s.greeted = true
	s.hub.log.Info("session opened", "peer", s.id, "user", s.user, "src", s.client.source)
	return nil
}

// onResume refuses: sessions end with their connection.
func (s *session) onResume(*clientMessage) *refusal { return refuse(CodeResumeExpired, "") }

func (s *session) onPing(*clientMessage) *refusal {
	s.send(pong{})
	return nil
}

func (s *session) onICE(*clientMessage) *refusal {
	s.send(s.issueICE(time.Now()))
	return nil
}

func (s *session) onJoin(m *clientMessage) *refusal {
	if m.Room == "" {
		return refuse(CodeBadFrame, "room is missing")
	}
	_, again := s.room(m.Room)
	if limit := s.hub.opts.RoomsPerSession; !again && limit > 0 && len(s.rooms) >= limit {
		return refuse(CodeRateLimited, "you are in as many rooms as a session may be")
	}
	r, bad := s.hub.join(m.Room, s)
	if bad == nil && !again {
		s.rooms = append(s.rooms, r)
	}
	return bad
}

func (s *session) onLeave(m *clientMessage) *refusal {
	for i, r := range s.rooms {
		if r.name == m.Room {
			s.rooms = append(s.rooms[:i], s.rooms[i+1:]...)
			s.hub.leave(r, s, reasonLeft)
			return nil
		}
	}
	return refuse(CodeNotInRoom, "")
}

func (s *session) onBroadcast(m *clientMessage) *refusal {
	if m.Data == nil {
		return refuse(CodeBadFrame, "data is missing")
	}
	r, member := s.room(m.Room)
	if !member {
		return refuse(CodeNotInRoom, "")
	}
	s.hub.stats.broadcasts.Add(1)
	r.broadcast(s, &parcel{message: relayedBroadcast{
		From:     s.id,
		FromName: s.name,
		Room:     r.name,
		data:     m.Data,
	}})
	return nil
}

func (s *session) onSignal(m *clientMessage) *refusal {
	switch {
	case m.To == "":
		return refuse(CodeBadFrame, "to is missing")
	case m.Data == nil:
		return refuse(CodeBadFrame, "data is missing")
	}
	if s.hub.opts.Claims {
		for _, addr := range claims(m.Data) {
			s.hub.opts.Members.Claimed(s.id, addr) // before the far end can act on it
		}
	}
	bad := s.relay(m)
	if bad == nil {
		s.hub.stats.signals.Add(1)
	}
	return bad
}

// relay finds the way by which the two know each other: the room that the frame names, a call, or the first room that they
// share. The receiver is told which.
func (s *session) relay(m *clientMessage) *refusal {
	out := relayedSignal{From: s.id, FromName: s.name, FromUser: s.user, data: m.Data}
	switch {
	case m.To == s.id:
		return refuse(CodeNoSuchPeer, "")
	case m.Room != "":
		r, member := s.room(m.Room)
		if !member {
			return refuse(CodeNotInRoom, "")
		}
		out.Room = r.name
		if !r.deliver(s, m.To, out) {
			return refuse(CodeNoSuchPeer, "")
		}
		return nil
	}

	target, bad := s.hub.partner(s, m.To)
	if bad != nil {
		return bad
	}
	if target != nil {
		polite, _ := s.hub.calls.polite(target, s)
		out.Polite = &polite
		if !target.send(out) {
			return refuse(CodeNoSuchPeer, "")
		}
		return nil
	}
	for _, r := range s.rooms {
		out.Room = r.name
		if r.has(m.To) && r.deliver(s, m.To, out) {
			return nil
		}
	}
	return refuse(CodeNoSuchPeer, "")
}
