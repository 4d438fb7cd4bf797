// Package signal is the signaling hub: it introduces peers to each other, in rooms and by name,
// relays their messages until they have a connection of their own, and gives each of them its own
// ICE servers.
//
// A hub speaks no protocol and opens nothing by itself. That is the work of dialects: packages on
// top of this one, whose clients all meet in the same rooms, under the same limits. The hub's own
// dialect is package native, an http.Handler:
//
//	hub, err := signal.New(signal.Options{RoomCapacity: 8, ICE: issuer})
//	mux.Handle("GET /signal", native.New(hub))
//	...
//	hub.Drain()           // no new sessions
//	err = hub.Close(ctx)  // and none at all
//
// # Structure
//
// A Session (session.go) is a client over all its connections, whatever carries and encodes its
// frames. A client's requests are its verbs (hello.go, join.go, relay.go, say.go, ice.go, watch.go,
// resume.go). What happens to it are events (event.go). A Dialect (dialect.go) turns frames into
// verbs, and events into frames; each session has its own value. One whose server speaks first is
// an Opener; one that acts upon an event does so soon (Session.Soon). The dialect's Terms
// (terms.go) say whether the session outlives its connection, whether its client confirms, and how
// its rooms are named. The table in refusal.go says why a client is refused, and whether it should
// come back. The Guard (guard.go) decides who may enter, and the Door (door.go), which may take its
// time, has the last word.
//
// The operator's programs act on the hub from outside: they keep rooms and end them, and take
// members out of one (keep.go), speak to clients (speak.go), and read in the Journal (journal.go)
// what happens.
//
// A Link (link.go) is one connection. A Carrier (carrier.go) is what the link needs of it: package
// ws has one for WebSockets, package native one for server-sent events. All carriers write by the
// same pump (pump.go). What a session sends waits in its outbox (outbox.go) as parcels (parcel.go),
// numbered and bounded; its connection has a feed (feed.go) that takes from there (outbox_feed.go).
// If its client confirms, a parcel stays there until it is confirmed. An event is encoded when it
// is written, by the writer of its connection, once for all receivers with the same encoding. The
// memory of a message that its sender's dialect has encoded already is used again when all
// receivers have it (lent.go).
//
// # States
//
//	           connected --hello--> greeted --connection lost--> waiting --time over--> ended
//	               |                 ^   |                       ^   |                    ^
//	               |                 +---|----resume, attach-----|---+                    |
//	               +---------------------+-- bye, a refusal, a kick --------------------->+
//	Hub.Open: a hello without a connection ----------------------+
//
// A connected session counts against the limits, but nobody knows it. A greeted one is in the
// directory: it can be called and can join rooms. So is a waiting one: others don't notice that it
// has no connection (resume.go). A resume, or an attach, takes the connection of a session that
// nobody knows and gives it to a waiting one, or to one that still has a connection, which it then
// loses. To end a session, close its outbox with a code; the first code stays. Then the reader of
// its connection, or the expiry of a waiting session, calls end (end.go). That is the only way out:
// it takes the session out of the directory, its rooms and its calls.
//
// A user may have several sessions, as far as tokens prove that they are the same user's
// (directory.go). A call rings in all of them, until one has answered (calls.go).
//
// # Goroutines
//
// A connection has a reader and a writer; its carrier owns them, and its doc says so. Where the
// writer goes when there is nothing to write (Link.PumpOnDemand), a wake of the feed starts the
// next one: there is never a second. A panic in either ends the session, and only that. A waiting
// session has a timer, and one that watches the relay (watch.go) a goroutine. One goroutine at a
// time makes room when the store is full. Hub.running counts connections and the rest until nothing
// of theirs runs, and Close waits for that.
//
// # Order and locks
//
// Every event in a room is put into its members' outboxes under the room's mutex, so every member
// sees the same order. Putting never blocks and encodes nothing: a client that doesn't read in time
// loses its connection as slow, and nobody waits for it. Of a client that is away, or far behind,
// the news that somebody has come is taken back if it still waits when that one leaves: who comes
// and goes fills nobody's outbox. What sessions say to each other is put only where its sender has
// room left (share.go). If not, the sender is refused, and whoever should get it doesn't pay: a
// session never ends for what others say while it is connected.
//
// All that is held for clients, what waits for them, what is being read of them, and what rooms
// and dialects keep of them (Session.Hold), counts in one store (store.go). When it is more than
// 48 MiB, sessions lose what they could be resumed from, and if that is not enough, those that hold
// most, of the lines (source.Line) that do, end; the log names the first.
//
// Lock order: Session.work, then Hub.mu or room.mu, then callBook.mu, outbox.mu or Journal.mu.
// Hub.mu and room.mu are never held together, nor are any two of the others. If the work of two
// sessions is held, the one that nobody knows comes first, as it resumes or replaces the other.
// voice.mu is held while a session's dialect encodes, and within it the lock of one encoding of one
// event, for which only those wait who get the same; neither is ever held with one of the locks
// above. Nothing foreign (ICEIssuer, Guard, Door, Watcher, the log) is called under a lock except
// the session's own work, with two documented exceptions: Members, and what Kick is to match. A
// dialect's Opened, Receive and Ended are called under work, its Encode and Encoding under
// voice.mu. The only network calls under locks set deadlines, to wake a blocked reader or writer; a
// Door may make some, for which its own client alone waits.
package signal
