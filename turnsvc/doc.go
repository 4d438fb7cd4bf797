// Package turnsvc is the STUN and TURN server (RFC 8489, RFC 8656). It opens no listening socket:
// UDP sockets are handed to Server.ServePacket, connections to Server.ServeConn.
//
// # The way of a frame
//
//	front.go, stream.go   one look at each frame; whatever runs is recovered and counted
//	  a DTLS record       dtls.go: to pion/dtls, and what comes out of it as from a stream
//	  ChannelData, Send   lane.go: deadlines checked, straight to the relay socket; no lock that two clients share, no heap allocation
//	  Binding             stun.go: answered without state
//	  other requests      gate.go: challenged, authenticated, refused; what is authentic goes to the books
//	books.go              one goroutine: grants (allocate.go, permit.go), ends, ports, quotas; it asks the engine before it says yes
//	pion.go               pion/turn, behind a connection that carries nothing but requests built here
//	relay.go              relay sockets, ours alone; what they receive goes back through the lane
//
// # Why pion never hears a stranger
//
// pion/turn v4.1.4 is the engine and keeps the books of allocations, permissions and channels. Used
// plainly it can be crashed, hung and abused from outside. So it gets no byte that a stranger
// wrote: the gate decodes, authenticates and refuses; the books hand pion a canonical request that
// they built and signed themselves, and answer the client on their own. Since one goroutine makes
// all requests, and pion handles each in the goroutine of its read loop, it creates and deletes in
// one goroutine.
//
// There is one engine for all sockets, not one for each. pion tells clients apart by address only,
// so clients get numbers, which it takes for addresses: clients that share a source address on
// different sockets can't be merged, and one goroutine is enough, since the challenge and the
// authentication, which a flood would hit, run in the fronts, and the lane never waits for the
// books.
//
// # What pion/dtls hears
//
// DTLS is off by default. Where it is on, pion/dtls does get what strangers wrote, in goroutines of
// its own, where nothing of ours can recover a panic. So dtls_record.go lets through what looks
// right and is due: whole first ClientHellos, then so many datagrams of a handshake and no more,
// then encrypted records. Alerts in the clear, which pion would believe, never reach an established
// connection.
//
// A ClientHello without a cookie is not answered without state, since pion/dtls v3.1.5 has no hook
// for a cookie of ours and numbers its messages on its own. It costs one of the 256 places for
// handshakes, 22 KiB, and a key pair, a thousand times a second at most; a flood from spoofed
// sources makes handshakes fail that take longer than places last, and touches neither established
// connections nor other transports.
//
// # States
//
// An allocation is live until its clock runs out, its client refreshes it with lifetime 0, its
// stream ends, or the server does. Whoever ends it sets ended, which stops the lane at once; the
// books then take it out of the engine and give back its port and its place in the quotas, in one
// function, remove. Permissions and channels have deadlines of their own, which every packet is
// held against.
package turnsvc
