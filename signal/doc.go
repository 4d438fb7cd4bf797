// Package signal is the signaling hub: it introduces peers to each other, in rooms and by name,
// relays what they have to tell each other until they have a connection of their own, and hands
// each of them its own ICE servers.
//
// The protocol, signalbox.v1, is described in PROTOCOL.md for those who write clients. A Hub is an
// http.Handler and opens nothing by itself:
//
//	hub, err := signal.New(signal.Options{RoomCapacity: 8, ICE: issuer})
//	mux.Handle("GET /signal", hub)
//	mux.HandleFunc("GET /signal/events", hub.Events) // where WebSockets are blocked
//	mux.HandleFunc("POST /signal/send", hub.Send)
//	...
//	hub.Drain()           // no new sessions
//	err = hub.Close(ctx)  // and none at all
//
// # Structure
//
// A session (session.go) is a client, whatever carries and spells its frames, over all its
// connections. A link (link.go) is one connection; a transport carries its frames (transport_ws.go,
// transport_sse.go), a codec spells them (codec.go). What a session has to say waits in its outbox
// (outbox.go), numbered and bounded, and stays there until the client has confirmed it. What a
// client may ask for is the table in dispatch.go. Why a client is refused, and whether it should
// come back, is the table in reason.go. Who may enter is the Guard's matter (guard.go).
//
// # States
//
//	connected --hello--> greeted --connection lost--> waiting --time over--> ended
//	    |                 ^   |                         |                      ^
//	    |                 +---|--------resume-----------+                      |
//	    +---------------------+----------- bye, a refusal, a kick -------------+
//
// A connected session counts against the limits and is known to nobody. A greeted one is in the
// directory: it can be called and can join rooms. A waiting one is so, too: others don't notice
// that its connection is gone (resume.go). A resume gives a connection whose own session is known
// to nobody to one that is waiting, or takes it from the connection that it still has. What ends a
// session closes its outbox with a code, and the first code stays; then the reader of its
// connection, or the expiry of a waiting one, calls end, the only way out, which takes it out of
// the directory, its rooms and its calls.
//
// # Goroutines
//
// A WebSocket has two: the one of its HTTP request reads, processes what it reads, and ends the
// connection; it starts the writer and waits for it. An event stream has one, which writes; the
// requests of its POSTs read. A waiting session has a timer. All are counted in Hub.running, and
// Close waits for them.
//
// # Order and locks
//
// All that happens in a room is put into its members' outboxes under the room's mutex, so every
// member sees it in the same order. Putting never blocks: a client that doesn't read in time loses
// its connection as slow, and nobody waits for it.
//
// Lock order: session.work, then Hub.mu or room.mu, then callBook.mu or outbox.mu. Hub.mu and
// room.mu are never held together, and neither are the other two. Of two sessions' work, that of
// one which nobody knows comes first, as it resumes or replaces the other. Nothing foreign
// (ICEIssuer, Guard, the log) is called under a lock but the session's own work, with one
// exception: Members, which says so. Of the network only deadlines are set there, to wake whoever
// waits.
package signal
