package signal

import (
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// protocol is the native protocol's name: the WebSocket subprotocol and the welcome's word.
const protocol = "signalbox.v1"

// Limits of what clients write, in characters (Unicode code points).
const (
	maxID   = 64
	maxName = 64
	maxUser = 64
	maxRoom = 128
	maxTo   = 1 + maxUser // "@user"
	// maxToken is generous: a signed token with many claims has some hundred characters.
	maxToken = 4096

	// maxDepth bounds the nesting of a frame. What a client relays is parsed by clients whose
	// parsers recurse.
	maxDepth = 64
	// maxSeq is the largest integer that every JSON parser keeps exact (RFC 8259 §6).
	maxSeq = 1<<53 - 1
)

// clientMessage is what a client asks for: the fields of all its frame types, absent ones empty.
// Unknown fields are ignored, so that clients may be newer than the hub.
type clientMessage struct {
	Type string
	ID   string
	Seq  uint64
	Name string
	User string
	To   string
	Room string

	Token    string // of a hello or a join: admission; of a resume: which session
	Replaces string // the resume token of a session that a hello takes the place of
	Received uint64 // the hub's frame that the client has processed last

	// as the client wrote it, valid and not too deep; aliases the frame, so it is good until the
	// next one
	Data json.RawMessage
}

// serverMessage is what the hub says. Fields are in the order of the wire.
type serverMessage interface{ kind() string }

type member struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	User string `json:"user,omitempty"`
}

// peer is a member as one other member sees it.
type peer struct {
	member
	Polite bool `json:"polite"` // the role of whoever reads this, towards that peer
}

type welcome struct {
	PeerID           string      `json:"peerId"`
	Name             string      `json:"name"`
	User             string      `json:"user,omitempty"`
	ResumeToken      string      `json:"resumeToken"`
	ResumeSeconds    int         `json:"resumeSeconds"`
	HeartbeatSeconds int         `json:"heartbeatSeconds"`
	ICEServers       []ICEServer `json:"iceServers"`
	ICEExpiresAt     int64       `json:"iceExpiresAt"`
	Protocol         string      `json:"protocol"`
}

type resumed struct {
	PeerID         string      `json:"peerId"`
	Received       uint64      `json:"received"` // the client's frame that was processed last
	ICEServers     []ICEServer `json:"iceServers"`
	ICEExpiresAt   int64       `json:"iceExpiresAt"`
	Rooms          []string    `json:"rooms"` // in the order of joining
	AddressChanged bool        `json:"addressChanged,omitempty"`
}

type iceUpdate struct {
	ICEServers   []ICEServer `json:"iceServers"`
	ICEExpiresAt int64       `json:"iceExpiresAt"` // Unix milliseconds; 0 = never
}

type joined struct {
	Room     string `json:"room"`
	Peers    []peer `json:"peers"` // in the order of their joining
	Capacity int    `json:"capacity"`
}

type peerJoined struct {
	Room string `json:"room"`
	Peer peer   `json:"peer"`
}

type left struct {
	Room string `json:"room"`
}

type peerLeft struct {
	Room   string     `json:"room,omitempty"` // empty: the far end of a call is gone
	Peer   member     `json:"peer"`
	Reason leftReason `json:"reason"`
}

type leftReason string

const (
	reasonLeft   leftReason = "left"
	reasonLost   leftReason = "lost"
	reasonKicked leftReason = "kicked"
)

type relayedSignal struct {
	From     string `json:"from"`
	FromName string `json:"fromName"`
	FromUser string `json:"fromUser,omitempty"`
	Room     string `json:"room,omitempty"`   // how the two know each other; empty: by a call
	Polite   *bool  `json:"polite,omitempty"` // in a call, where no peer-joined has told it
	data     json.RawMessage
}

type relayedBroadcast struct {
	From     string `json:"from"`
	FromName string `json:"fromName"`
	Room     string `json:"room"`
	data     json.RawMessage
}

type pong struct{}

type ack struct {
	ID string `json:"id"`
}

type failure struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	ID      string `json:"id,omitempty"`
}

func (welcome) kind() string          { return "welcome" }
func (resumed) kind() string          { return "resumed" }
func (iceUpdate) kind() string        { return "ice" }
func (joined) kind() string           { return "joined" }
func (peerJoined) kind() string       { return "peer-joined" }
func (left) kind() string             { return "left" }
func (peerLeft) kind() string         { return "peer-left" }
func (relayedSignal) kind() string    { return "signal" }
func (relayedBroadcast) kind() string { return "broadcast" }
func (pong) kind() string             { return "pong" }
func (ack) kind() string              { return "ack" }
func (failure) kind() string          { return "error" }

// sequenced tells whether a message counts in the session's order. Answers that a client can ask
// for again don't.
func sequenced(m serverMessage) bool {
	switch m.(type) {
	case welcome, resumed, ack, pong, failure:
		return false
	}
	return true
}

// checkText refuses what doesn't belong into a name of anything: other people's pages and terminals
// will show it.
func checkText(field, s string, limit int) *refusal {
	if utf8.RuneCountInString(s) > limit {
		return refuse(CodeBadFrame, fmt.Sprintf("%s is longer than %d characters", field, limit))
	}
	for _, r := range s {
		if unicode.IsControl(r) || reordersText(r) {
			return refuse(CodeBadFrame, field+" has a control character in it")
		}
	}
	return nil
}

// reordersText finds the characters that break lines or turn the direction of what follows: with
// them one name is displayed as another ("Trojan Source").
func reordersText(r rune) bool {
	return r == '\u2028' || r == '\u2029' || '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}
