// Package peerjs speaks the protocol of PeerServer, so that pages with PeerJS find each other by
// the box:
//
//	for pattern, handler := range peerjs.New(hub, peerjs.Options{}).Routes() {
//		mux.Handle(pattern, handler)
//	}
//
// and in the page new Peer(id, {host: "box.example.org", secure: true, path: "/"}), with config:
// await (await fetch("/api/ice")).json() for the box's own TURN. path may be "/peerjs", too.
//
// A PeerJS id is the user "peerjs/" and the id, with a room of the same name in which it is alone:
// so bans, the admin page and a token's rooms hold for it, and who is taken out of that room has
// left. An OFFER opens the pair, as a call does;
// what else two say to each other, they say within it. What is for an id that is not there waits
// for five seconds, and then the sender gets one EXPIRE for it all. An id belongs to who shows the
// same token: a second connection with it takes over, without another OPEN.
//
// Where the hub asks for a token, it is the key: new Peer(id, {key: "<token>", path: "/peerjs"}),
// of each connection, also of one that takes over.
//
// Some things are better than in the original. Junk ends at most who sends it, but there the whole
// server. Nobody can send an EXPIRE in the server's name, or with another's src. A client that is
// gone without a goodbye is noticed at the hub's heartbeat, and at the latest when it has sent no
// HEARTBEAT for 90 s. One thing is not there: what a client sends to its own id goes nowhere, and
// expires like what is for an id that is not there.
package peerjs
