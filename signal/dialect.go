package signal

// A Dialect is the way in which one session and its client talk: the frames of one protocol on one
// side, the session's verbs and the hub's events on the other. Each session has a value of its own,
// which may keep state. What a dialect has to do for all of its sessions, it does in a package of
// its own; package native is an example.
type Dialect interface {
	// Terms are asked for once, when the session begins.
	Terms() Terms

	// Receive processes one frame of the client: it calls the session's verbs and queues what the
	// client is answered, by Reply or Refuse. over, if not nil, is a Refusal: the frame is over the
	// session's limits, so it must have no effect but that it is refused. The body is good until
	// Receive returns. One call at a time, and none after another connection has taken the session
	// over.
	Receive(s *Session, f Frame, over error)

	// Encode appends the frames that tell the client of an event, if the client is to be told.
	// Events come in the order in which they happened to the session, one call at a time, but
	// from other goroutines than Receive's, and while Receive runs. It must not block.
	Encode(dst []Frame, e Event) []Frame
	// Encoding is called with each event before Encode. It names what Encode makes of an event
	// that goes to many: sessions that return equal values, which must be comparable, share the
	// frames that Encode makes for one of them. nil shares with nobody.
	Encoding(e Event) any

	// Ended is called once, when the session is over and gone from the hub. It must not block and
	// not call the session.
	Ended(s *Session)
}
