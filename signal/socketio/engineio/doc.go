// Package engineio serves Engine.IO, on which Socket.IO stands: versions 4 (of clients 3.x and 4.x)
// and 3 (of 2.x), over HTTP polling and WebSockets, and the way from one to the other. There is no
// JSONP, no WebTransport, no compression and no cookie.
//
//	server := engineio.New(hub, engineio.Options{Open: open})
//	mux.Handle("/socket.io/", server)
//
// payload.go takes apart what clients post and makes what answers their polls. A socket (socket.go)
// is the Dialect of a session: packets become messages, of which a Conversation makes sense.
// Package ws carries sockets over WebSockets. For polling (polling.go) there is no connection, but
// to the hub all polls of a session are one link, which writes one answer at a time. A post
// (post.go) must be whole in the time that a frame may take; the session of one that isn't ends.
//
// A client that polls tries a WebSocket beside that (probe.go): a connection with a session of its
// own, that knows nothing but the probe. When the client is content, that connection is attached to
// the first session, in which nothing is lost, since nothing is taken from it but by a poll.
//
// # Goroutines
//
// Polls write in the goroutines of their requests, one at a time; posts receive in theirs. A timer
// ends a session whose client is silent, and what ends it otherwise starts one goroutine, which
// gives the last poll a moment and closes the link.
package engineio
