// Package apprtc is a dialect of the hub: the room server of AppRTC, and Collider, its signaling
// server, for the apps and pages that are written for them.
//
// A client joins a room by POST /join (rest.go), which opens a session that no connection carries
// yet, and answers with what the client needs (params.go, ice.go). It then registers over a
// WebSocket (collider.go), to which the session is attached, and says what it has to say there
// (client.go), or by POST. Clients that use Collider alone register with ids of their own: these
// open a session, too. The table of clients is in desk.go.
//
// A room is the hub's room apprtc/NAME and holds two. What the first one says is kept until the
// second one joins. Who is lost for ten seconds, says bye, leaves, is removed, or does not
// register within thirty seconds after joining has left, and the other gets {"type":"bye"}, at
// which AppRTC's clients begin anew as the initiator.
//
// Members of other dialects see the messages as signals of the SDK's form, and theirs reach
// AppRTC's clients as {"type", "sdp"} and {"type": "candidate"} (translate.go). Whoever joined
// first offers, in both.
//
// # Where it differs from the originals
//
// A WebSocket that its client closes with 1000 ends the session at once, and one that broke is
// waited for. A frame without a message does not repeat the one before. Sixteen unknown commands in
// a row end a connection, which the original leaves open. wshpp, wstls and ts in the query have no
// effect: a client is led to this box (Options.Origin). debug=loopback makes no second client: it
// only tells the client that is_loopback, and the seat is free for LOOPBACK_CLIENT_ID or anybody
// else. hd asks for the width and height as browsers do today, and is off unless it is said.
// room_link has no token: it is the client's own, and the link is for others. /status counts in
// openws connections that have not registered, too.
//
// As in the original, whoever knows a room and a client's id can say something in that client's
// name, and remove it. So an id that /join gives out has twenty digits instead of eight, which
// nobody finds by trying, and nobody is told it but the client itself. Clients that make up their
// ids do well to make them long; where the hub asks for a token, who takes over a session by such
// an id shows one, too. What is posted is read for a client that is there, and counts against its
// rate.
//
// # Locks
//
// desk.mu is a leaf: nothing is called under it. What a client's value remembers is guarded by its
// session's work, or atomic.
package apprtc
