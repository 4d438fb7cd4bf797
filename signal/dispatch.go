package signal

import (
	"cmp"
	"errors"
	"strings"
	"time"
)

const (
	typeResume = "resume"
	typeBye    = "bye"
)

// handler is what one type of client frame does. A handler answers by putting frames into outboxes;
// the ack, or the error of the refusal that it returns, follows after them.
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
		typeBye:     {run: (*session).onBye},
		"join":      {run: (*session).onJoin},
		"leave":     {run: (*session).onLeave},
		"signal":    {run: (*session).onSignal},
		"broadcast": {run: (*session).onBroadcast},
		"ice":       {run: (*session).onICE},
	}
}

func (s *session) onHello(m *clientMessage) *refusal {
	if s.greeted.Load() {
		return refuse(CodeBadFrame, "hello was said already")
	}
	pass, bad := s.admit(m.Token)
	if bad != nil {
		return bad
	}
	s.pass, s.name, s.user = pass, m.Name, m.User
	if pass.Attested {
		if m.User != "" && m.User != pass.User {
			return refuse(CodeUnauthorized, "the token is not for that user")
		}
		s.name, s.user = cmp.Or(pass.Name, m.Name), pass.User
	}
	s.inherit(m.Replaces)
	greeting := s.welcome(s.issueICE(time.Now()))
	old, bad := s.hub.register(s, greeting)
	for old != nil {
		old.replace()
		old, bad = s.hub.register(s, greeting)
	}
	if bad == nil {
		s.hub.log.Info("session opened", "peer", s.id, "user", s.user, "src", s.client.Load().source)
	}
	return bad
}

// inherit gives the session the peer id of the one that a resume token is for: if that is there, it
// has to be its latest token, or the one before, whose successor may have got lost with its
// welcome.
func (s *session) inherit(token string) {
	id, nonce, ok := s.hub.readToken(token)
	if !ok {
		return
	}
	if old := s.hub.find(id); old != nil && nonce != old.nonce && nonce != old.before {
		return
	}
	s.id, s.before = id, nonce
}

// welcome is the first thing that a client is told.
func (s *session) welcome(servers iceUpdate) []byte {
	return s.codec.encode(welcome{
		PeerID:           s.id,
		Name:             s.name,
		User:             s.user,
		ResumeToken:      s.hub.resumeToken(s),
		ResumeSeconds:    int(s.hub.opts.Resume / time.Second),
		HeartbeatSeconds: max(1, int(s.hub.opts.Heartbeat/time.Second)),
		ICEServers:       servers.ICEServers,
		ICEExpiresAt:     servers.ICEExpiresAt,
		Protocol:         protocol,
	})
}

// admit has the guard judge a token.
func (s *session) admit(token string) (Pass, *refusal) {
	if s.hub.opts.Guard == nil {
		return Pass{}, nil
	}
	pass, err := s.hub.opts.Guard.Admit(token, s.client.Load().source)
	if err == nil {
		return pass, nil
	}
	why, code := ErrUnauthorized, CodeUnauthorized
	if errors.Is(err, ErrTooManyGuesses) {
		why, code = ErrTooManyGuesses, CodeRateLimited
	}
	return pass, refuse(code, strings.TrimPrefix(err.Error(), why.Error()+": "))
}

// onBye does nothing more than any frame: receive ends the session after the ack.
func (s *session) onBye(*clientMessage) *refusal { return nil }

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
	pass := s.pass
	if m.Token != "" {
		var bad *refusal
		if pass, bad = s.admit(m.Token); bad != nil {
			return bad
		}
	}
	if bad := mayJoin(&pass, m.Room, time.Now()); bad != nil && !again {
		return bad
	}
	if !again && !s.hub.joins.allow(s.client.Load().source, time.Now()) {
		return refuse(CodeRateLimited, "too many joins from your network address")
	}
	r, bad := s.hub.join(m.Room, s, &pass)
	if bad == nil && !again {
		s.rooms = append(s.rooms, r)
	}
	return bad
}

// mayJoin judges what a pass admits to.
func mayJoin(pass *Pass, room string, now time.Time) *refusal {
	switch {
	case !pass.Expires.IsZero() && !now.Before(pass.Expires):
		return refuse(CodeUnauthorized, "the token has expired")
	case pass.Rooms != nil && !pass.Rooms(room):
		return refuse(CodeUnauthorized, "the token is not for that room")
	}
	return nil
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

// relay finds the way by which the two know each other: the room that the frame names, a call, or
// the first room that they share. The receiver is told which.
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
