package signal

import "bytes"

// Say is a message to whoever else is in a room, or comes.
type Say struct {
	Room string // as the dialect says it
	Data []byte // as in Signal
}

// Say signals to the others in a room of the session's: each gets a Signaled. While there is nobody
// else, what is said waits for the next member, who gets it behind its Joined, if the session is
// still there. A quarter of what an outbox takes may wait so; more is refused.
func (s *Session) Say(say Say) error {
	if err := s.mayAct(); err != nil {
		return err
	}
	if say.Data == nil {
		return Refuse(CodeBadFrame, "data is missing")
	}
	r, member := s.calledRoom(say.Room)
	if !member {
		return Refuse(CodeNotInRoom, "")
	}
	s.claim(say.Data)
	err := r.say(s, shared(Signaled{From: s.self, Room: r.name, Data: bytes.Clone(say.Data)}))
	if err == nil {
		s.hub.stats.signals.Add(1)
	}
	return err
}

// claim tells of the candidates in what is signaled, before the far end can act on it.
func (s *Session) claim(data []byte) {
	if s.hub.live.Load().claims {
		for _, addr := range claims(data) {
			s.hub.opts.Members.Claimed(s.self.ID, addr)
		}
	}
}

// Take returns what waits for a session without a connection, as frames, for a dialect that answers
// its client by another way. They are then the client's: they don't wait for a connection any more,
// even if the client should confirm them. It may be called from anywhere.
func (s *Session) Take() []Frame {
	var all, scratch []Frame
	for _, it := range s.out.takeWaiting() {
		all = append(all, s.voice.encode(it.parcel, &scratch)...)
	}
	return all
}

// words are what a member has said while it was alone.
type words struct {
	parcels []*parcel
	bytes   int
}

// say puts a message into the outbox of every other member, or keeps it for the next one.
func (r *room) say(from *Session, p *parcel) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := r.members[from.self.ID]
	switch {
	case own == nil || own.session != from:
		return Refuse(CodeNotInRoom, "")
	case len(r.members) > 1:
		return r.tell(from, false, p)
	}
	limits, w := &from.hub.limits, &own.words
	if n := len(w.parcels); n > 0 && (n >= limits.Backlog/shareOf || w.bytes+p.size > limits.Bytes/shareOf) {
		return Refuse(CodeRateLimited, "too much waits for the next who joins")
	}
	w.parcels, w.bytes = append(w.parcels, p), w.bytes+p.size
	from.Hold(p.memory())
	return nil
}

// drop forgets a member's words, and returns them. The room's mu is held.
func (a *seat) drop() []*parcel {
	said := a.words.parcels
	for _, p := range said {
		a.session.Hold(-p.memory())
	}
	a.words = words{}
	return said
}
