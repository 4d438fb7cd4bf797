// Package apprtc is a dialect of the hub: the room server of AppRTC, and Collider, its signaling
// server, for the apps and pages that are written for them.
//
// A client joins a room by POST /join (rest.go), which opens a session that no connection carries
// yet. It then registers over a WebSocket (collider.go), to which the session is attached, and
// says what it has to say there, or by POST. Clients that use Collider alone register with ids of
// their own: these open a session, too. The table of clients is in desk.go.
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
// waited for. A frame without a message does not repeat the one before. wshpp, wstls and ts in the
// query have no effect: a client is led to this box. debug=loopback is as in the original.
//
// As in the original, whoever knows a room and a client's id can say something in that client's
// name, and remove it. Nobody is told the ids that /join gives out but the client itself. What is
// posted is read for a client that is there, and counts against its rate.
//
// # Locks
//
// desk.mu is a leaf: nothing is called under it. What a client's value remembers is guarded by its
// session's work, or atomic.
package apprtc
