package native

import (
	"encoding/json"

	"signalbox/signal"
)

// Protocol is the name: the WebSocket subprotocol and the welcome's word.
const Protocol = "signalbox.v1"

// Limits of clients' texts, in characters (Unicode code points). The hub itself limits names.
const (
	maxID = 64
	maxTo = 1 + signal.MaxUser // "@user"
	// maxToken is generous: a signed token with many claims has some hundred characters.
	maxToken = 4096

	// maxDepth bounds the nesting of a frame: relayed data reaches clients whose parsers recurse.
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

	Test  string   // of a watch
	Users []string // likewise

	// as the client wrote it, valid and not too deep; aliases the frame, so it is valid until the
	// next one
	Data json.RawMessage
}
