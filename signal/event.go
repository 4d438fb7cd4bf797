package signal

import "time"

// Event is something that happens to a session, as its dialect sees it: one of the types below.
// Numbered events count in the session's order; the present connection alone gets the others. An
// event may go to many, so nobody may change it.
type Event interface {
	Numbered() bool
	size() int // in memory, about, in bytes
}

// Member is a session as others see it.
type Member struct {
	ID   string // 128 random bits, safe in URLs and TURN user names
	Name string // for display, not unique
	User string // the handle by which it can be called, of one user alone; empty: none
}

// Peer is a member as one other member sees it.
type Peer struct {
	Member
	Polite bool   // the receiver's perfect-negotiation role towards that peer
	Note   string // see Join.Note
}

// ICE is a set of ICE servers with a credential of the session's own.
type ICE struct {
	Servers []ICEServer // never nil
	Expires time.Time   // zero: never
}

// Welcome answers Hello. It is the first that a session is told.
type Welcome struct {
	Member
	ResumeToken string
	Outlives    time.Duration // how long the session waits for its client to resume it
	Heartbeat   time.Duration
	ICE         ICE
}

// Resumed answers Resume. The events that the client has missed follow.
type Resumed struct {
	ID             string
	ResumeToken    string // from now on
	ICE            ICE
	Rooms          []string // full names, in the order of joining; never nil
	AddressChanged bool     // the client comes from another address than before
}

// Joined answers Join.
type Joined struct {
	Room     string // as in all events, the full name: see Terms.Room
	Peers    []Peer // the others, in the order of joining; never nil
	Capacity int    // 0 = no limit
}

// PeerJoined is another member of a room.
type PeerJoined struct {
	Room string
	Peer Peer
}

// Left answers Leave, or tells that the operator has ended the session's membership of a room.
type Left struct {
	Room   string
	Reason LeftReason // ReasonLeft or ReasonKicked
}

// PeerLeft is the end of another's membership of a room, or of a call.
type PeerLeft struct {
	Room   string // empty: of a call
	Peer   Member
	Note   string // see Join.Note
	Reason LeftReason
	Data   []byte // its last word, of a call, as it gave it; nil: none
}

// LeftReason is why somebody isn't there any more.
type LeftReason string

// The reasons for which somebody leaves.
const (
	ReasonLeft   LeftReason = "left"
	ReasonLost   LeftReason = "lost" // the connection ended, and nobody came back in time
	ReasonKicked LeftReason = "kicked"
	// ReasonAnsweredElsewhere ends a call with a session whose user has answered with another one.
	ReasonAnsweredElsewhere LeftReason = "answered-elsewhere"
)

// Signaled is a signal from another session.
type Signaled struct {
	From   Member
	Room   string // how the two know each other; empty: by a call
	Polite bool   // in a call, the receiver's role towards the other
	Data   []byte // as the sender gave it
}

// Broadcasted is a broadcast to a room.
type Broadcasted struct {
	From Member
	Room string
	Data []byte // as the sender gave it
}

// ICEUpdated has fresh ICE servers: the answer to ICE, or a push at half of the old ones' lifetime.
type ICEUpdated struct{ ICE }

// Sighted is something that the relay has seen of the session; see Session.Watch.
type Sighted struct {
	Test string
	Data []byte // a JSON object
}

// Renewed is a resume token in place of the last one, which is good still, but older.
type Renewed struct {
	ResumeToken string
}

// Ended is the last that a connection is told: why it, and mostly its session, is over.
type Ended struct {
	Code    Code
	Message string // for people
}

func (Welcome) Numbered() bool     { return false }
func (Resumed) Numbered() bool     { return false }
func (Joined) Numbered() bool      { return true }
func (PeerJoined) Numbered() bool  { return true }
func (Left) Numbered() bool        { return true }
func (PeerLeft) Numbered() bool    { return true }
func (Signaled) Numbered() bool    { return true }
func (Broadcasted) Numbered() bool { return true }
func (ICEUpdated) Numbered() bool  { return true }
func (Sighted) Numbered() bool     { return false } // a test whose connection broke begins anew
func (Renewed) Numbered() bool     { return false } // after a resume, there is a newer one
func (Ended) Numbered() bool       { return false }

// eventSize is about the size of an empty event: its struct, and its parcel.
const eventSize = 128

func (m Member) size() int { return len(m.ID) + len(m.Name) + len(m.User) }

func (i ICE) size() int {
	n := 0
	for _, s := range i.Servers {
		n += 64 + len(s.Username) + len(s.Credential)
		for _, url := range s.URLs {
			n += 16 + len(url)
		}
	}
	return n
}

func (e Welcome) size() int { return eventSize + e.Member.size() + len(e.ResumeToken) + e.ICE.size() }
func (e Resumed) size() int { return eventSize + len(e.ResumeToken) + e.ICE.size() + 64*len(e.Rooms) }

func (e Joined) size() int {
	n := eventSize
	for _, p := range e.Peers {
		n += 64 + p.Member.size() + len(p.Note)
	}
	return n
}

func (e PeerJoined) size() int  { return eventSize + e.Peer.Member.size() + len(e.Peer.Note) }
func (e Left) size() int        { return eventSize }
func (e PeerLeft) size() int    { return eventSize + e.Peer.size() + len(e.Note) + len(e.Data) }
func (e Signaled) size() int    { return eventSize + len(e.Data) }
func (e Broadcasted) size() int { return eventSize + len(e.Data) }
func (e ICEUpdated) size() int  { return eventSize + e.ICE.size() }
func (e Sighted) size() int     { return eventSize + len(e.Test) + len(e.Data) }
func (e Renewed) size() int     { return eventSize + len(e.ResumeToken) }
func (e Ended) size() int       { return eventSize }
