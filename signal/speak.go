package signal

import (
	"bytes"
	"slices"
	"strings"
)

// ServerID is the id, and the name, under which clients get what the operator's own programs say.
// No session has it, so nobody can answer there.
const ServerID = "server"

// Tell sends a message to a peer id, or to all sessions of a user, named by "@" and the name, as a
// Signaled from ServerID. Like what any one session says, no more than its share may wait for a
// receiver. It fails with a Refusal if nobody gets it.
func (h *Hub) Tell(to string, data []byte) error {
	err := Refuse(CodeNoSuchPeer, "")
	told := false
	e := Signaled{From: h.server.self, Data: bytes.Clone(data)}
	for _, target := range h.addressees(to) {
		if err = target.deliver(e, sender{session: h.server}); err == nil {
			told = true
		}
	}
	if !told {
		return err
	}
	h.stats.signals.Add(1)
	return nil
}

func (h *Hub) addressees(to string) []*Session {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if user, ok := strings.CutPrefix(to, "@"); ok {
		return slices.Clone(h.users[Visible(user)])
	}
	if target := h.sessions[to]; target != nil {
		return []*Session{target}
	}
	return nil
}

// TellRoom sends a message to all members of a room, as a Broadcasted from ServerID. While one of
// them has no room for more of that, it goes to nobody. It fails with a Refusal.
func (h *Hub) TellRoom(room string, data []byte) error {
	r := h.findRoom(room)
	if r == nil {
		return errNoRoomOfThatName
	}
	e := Broadcasted{From: h.server.self, Room: r.name, Data: bytes.Clone(data)}
	err := r.broadcast(h.server, false, shared(e))
	if err == nil {
		h.stats.broadcasts.Add(1)
	}
	return err
}

// TellMember sends a message to one member of a room, as a Signaled from ServerID in that room. It
// fails with a Refusal.
func (h *Hub) TellMember(room, to string, data []byte) error {
	r := h.findRoom(room)
	if r == nil {
		return errNoRoomOfThatName
	}
	e := Signaled{From: h.server.self, Room: r.name, Data: bytes.Clone(data)}
	err := r.deliver(to, e, sender{session: h.server})
	if err == nil {
		h.stats.signals.Add(1)
	}
	return err
}
