// Package signal is the signaling hub: it introduces peers to each other, in rooms and by name, relays what they have to
// tell each other until they have a connection of their own, and hands each of them its own ICE servers.
//
// The protocol, signalbox.v1, is described in PROTOCOL.md for those who write clients. A Hub is an http.Handler and opens
// nothing by itself:
//
//	hub, err := signal.New(signal.Options{RoomCapacity: 8, ICE: issuer})
//	mux.Handle("GET /signal", hub)
//	...
//	hub.Drain()           // no new sessions
//	err = hub.Close(ctx)  // and none at all
//
// # Structure
//
// A session (session.go) is a client, whatever carries and spells its frames. A transport carries them (transport_ws.go),
// a codec spells them (codec.go). What a session has to say waits in its outbox (outbox.go), numbered and bounded; what a
// client may ask for is the table in dispatch.go. Why a client is refused, and whether it should come back, is the table
// in reason.go.
//
// # States
//
//	connected --hello--> greeted --> ended
//	    |                              ^
//	    +------------------------------+
//
// A connected session counts against the limits and is known to nobody. A greeted one is in the directory: it can be
// called, can join rooms and is Live. Whatever ends a session (its connection, a refusal, a full outbox, Close) closes the
// outbox with a code first, and the first code stays; then the reader of its transport calls end, the only way out, which
// takes it out of the directory, its rooms and its calls.
//
// # Goroutines
//
// Each connection has two: the one of its HTTP request reads, processes what it reads, and ends the session; it starts the
// writer and waits for it. Both are gone when ServeHTTP returns, and Close waits for that.
//
// # Order and locks
//
// All that happens in a room is put into its members' outboxes under the room's mutex, so every member sees it in the same
// order. Putting never blocks: a client that doesn't read in time ends as slow, and nobody waits for it.
//
// Lock order: Hub.mu or room.mu, then callBook.mu or outbox.mu. Hub.mu and room.mu are never held together, and
// neither are the other two. Nothing foreign (ICEIssuer, the log) is called under a lock, and of the network only
// deadlines are set there, to wake whoever waits.
package signal
