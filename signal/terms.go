package signal

import (
	"strings"
	"time"
)

// Terms are what the hub must know of a session's dialect.
type Terms struct {
	// Name is the name of the dialect. A client can only resume a session of its own dialect.
	Name string
	// Space is the prefix, without the slash, under which the hub knows the dialect's rooms. Empty:
	// the dialect uses full names. It is a prefix, not a separate key, on purpose: clients of other
	// dialects may join by the full name, and bans, tokens and the admin see one kind of name.
	Space string
	// Capacity is how many members a room may have while a client of this dialect is, or was, in
	// it; 0: the hub's limit.
	Capacity int
	// Share is the part of a room that those of one line (source.Line) may take, while a client of
	// this dialect is, or was, in it: one of so many places, but at least eight; 0: all of it.
	Share int
	// Outlives is how long the session lasts without a connection: for a client that resumes it, or
	// until the dialect attaches another one; 0: not at all.
	Outlives time.Duration
	// Hello is how long a client may take from the connection to its hello, and Silence how long it
	// may be silent after that; 0: as the hub has it.
	Hello, Silence time.Duration
	// Confirms says that the client tells which events it has (Session.Confirm, Link.Confirm). The
	// hub keeps unconfirmed events and sends them again when the client resumes. A session whose
	// client doesn't confirm never waits for confirmations.
	Confirms bool
	// Number appends a frame with its number in the session's order. An event of a dialect that
	// numbers is one frame. nil: frames leave as they were encoded.
	Number func(dst, body []byte, seq uint64) []byte
}

// FullName is the name under which the hub knows a room of the dialect; see RoomName.
func (t Terms) FullName(room string) string {
	room = RoomName(room)
	if t.Space == "" {
		return room
	}
	return t.Space + "/" + room
}

// names reports whether a full name is FullName of a room, whose name is as RoomName has it.
func (t *Terms) names(fullName, room string) bool {
	if t.Space == "" {
		return fullName == room
	}
	local, ok := strings.CutPrefix(fullName, t.Space)
	return ok && len(local) == 1+len(room) && local[0] == '/' && local[1:] == room
}

// Room is the name that the dialect's clients have for a room; see FullName.
func (t Terms) Room(fullName string) string {
	if t.Space == "" {
		return fullName
	}
	return strings.TrimPrefix(fullName, t.Space+"/")
}

// Frame is what a carrier carries in one piece.
type Frame struct {
	Body   []byte
	Binary bool // text otherwise
}
