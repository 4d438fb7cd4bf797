// Package signal is the signaling hub: it introduces peers to each other, in rooms and by name,
// relays what they have to tell each other until they have a connection of their own, and hands
// each of them its own ICE servers.
//
// A hub speaks no protocol and opens nothing by itself. Dialects do: packages on top of this one,
// whose clients all meet in the same rooms, under the same limits. The hub's own is package native,
// an http.Handler:
//
//	hub, err := signal.New(signal.Options{RoomCapacity: 8, ICE: issuer})
//	mux.Handle("GET /signal", native.New(hub))
//	...
//	hub.Drain()           // no new sessions
//	err = hub.Close(ctx)  // and none at all
//
// # Structure
//
// A Session (session.go) is a client, whatever carries and spells its frames, over all its
// connections. What a client may ask for are its verbs (hello.go, join.go, relay.go, ice.go,
// resume.go). What happens to it are events (event.go). A Dialect (dialect.go), of which each
// session has a value of its own, makes verbs of frames, and frames of events; its Terms (terms.go)
// say whether the session outlives its connection, whether its client confirms, and how its rooms
// are named. Why a client is refused, and whether it should come back, is the table in refusal.go.
// Who may enter is the Guard's matter (guard.go).
//
// A Link (link.go) is one connection. A Carrier (carrier.go) is what the link needs of it: package
// ws has one for WebSockets, package native one for server-sent events. All of them write by the
// same pump (pump.go). What a session has to say waits in its outbox (outbox.go) as parcels
// (parcel.go), numbered and bounded, and stays there until the client has confirmed it, if it is
// to. An event is encoded when it is written: by the writer of the connection that it is for, once
// for all who get it in the same encoding.
//
// # States
//
//	           connected --hello--> greeted --connection lost--> waiting --time over--> ended
//	               |                 ^   |                       ^   |                    ^
//	               |                 +---|----resume, attach-----|---+                    |
//	               +---------------------+-- bye, a refusal, a kick --------------------->+
//	Hub.Open: a hello without a connection ----------------------+
//
// A connected session counts against the limits and is known to nobody. A greeted one is in the
// directory: it can be called and can join rooms. A waiting one is so, too: others don't notice
// that it has no connection (resume.go). A resume, or an attach, gives a connection whose own
// session is known to nobody to one that is waiting, or takes it from the connection that it still
// has. What ends a session closes its outbox with a code, and the first code stays; then the reader
// of its connection, or the expiry of a waiting one, calls end (end.go), the only way out, which
// takes it out of the directory, its rooms and its calls.
//
// # Goroutines
//
// A connection has one that reads and one that writes; they are its carrier's, which says so. A
// waiting session has a timer. All are counted in Hub.running, and Close waits for them.
//
// # Order and locks
//
// All that happens in a room is put into its members' outboxes under the room's mutex, so every
// member sees it in the same order. Putting never blocks, and nothing is encoded there: a client
// that doesn't read in time loses its connection as slow, and nobody waits for it.
//
// Lock order: Session.work, then Hub.mu or room.mu, then callBook.mu, outbox.mu or the bans' own.
// Hub.mu and room.mu are never held together, and neither are the others. Of two sessions' work,
// that of one which nobody knows comes first, as it resumes or replaces the other. voice.mu is held
// while a session's dialect encodes, and parcel.mu within it while it does so for others, too;
// neither is ever held with one of the locks above. Nothing foreign (ICEIssuer, Guard, the log) is
// called under a lock but the session's own work, with one exception: Members, which says so. A
// dialect's Receive and Ended are called under work, its Encode and Encoding under voice.mu. Of the
// network only deadlines are set under locks, to wake whoever waits.
package signal
