package signal

// A Dialect translates between one session and its client: the frames of one protocol on one side,
// the session's verbs and the hub's events on the other. Each session has its own value, which may
// keep state. What all sessions of a dialect share is in its package; package native is an example.
type Dialect interface {
	// Terms are asked for once, when the session begins.
	Terms() Terms

	// Receive processes one frame of the client: it calls the session's verbs and queues the
	// answer, by Reply or Refuse. over, if not nil, is a Refusal: the frame exceeds the session's
	// limits, so it must have no effect except to be refused. The body is valid until Receive
	// returns. Calls come one at a time, and none after another connection has taken over the
	// session.
	Receive(s *Session, f Frame, over error)

	// Encode appends the frames that tell the client of an event, if it should hear of it. Events
	// come in the order in which they happened to the session, one call at a time, but from other
	// goroutines than Receive's, and while Receive runs. Encode must not block.
	Encode(dst []Frame, e Event) []Frame
	// Encoding is called with each event before Encode. It identifies the frames that Encode makes
	// of an event to many: sessions that return equal values, which must be comparable, share the
	// frames that Encode makes for one of them. nil shares with nobody.
	Encoding(e Event) any

	// Ended is called once, when the session is over and gone from the hub. It must not block and
	// not call the session.
	Ended(s *Session)
}

// Opener is a Dialect that has something to do when a connection opens: the server speaks first, or
// the client need not say hello.
type Opener interface {
	// Opened is called once, as Receive is and before it, if there is a place for the connection.
	Opened(s *Session)
}
