// Package turnsvc is the STUN and TURN server (RFC 8489, RFC 8656). It opens no listening socket:
// its caller passes UDP sockets to Server.ServePacket and connections to Server.ServeConn.
//
// # The way of a packet
//
// Application data takes this way, with no lock that two clients share and no heap allocation. No
// file comes twice:
//
//	internal/socket/read.go             a UDP socket is read; read errors are counted and bounded
//	stream.go                           or a TCP, TLS or DTLS connection is cut into frames
//	front.go                            one look at the frame; a panic is recovered and counted
//	clients.go                          which allocation the client has
//	lane.go                             ChannelData or Send
//	internal/wire/data.go               what the frame says
//	allocation.go                       the deadlines of allocation, channel and permission
//	pace.go                             bandwidth
//	internal/socket/relay.go            out to the peer; or, in process, to another allocation
//	internal/socket/receiver_linux.go   what the peer sends, which comes back through the lane
//
// Two kinds of frame leave this way in front.go. A DTLS record goes to internal/dtls, and its
// decrypted contents come back as a stream. stun.go, stun_classic.go and stun_discovery.go answer a
// Binding request, without state.
//
// # The way of a request
//
// Allocate, Refresh, CreatePermission and ChannelBind take this way. No file comes twice:
//
//	front.go                    as above
//	internal/wire/message.go    the request is decoded
//	gate.go                     authenticated; who can't be is handed to the next
//	strangers.go                a limited number of refusals and challenges by source
//	challenge.go                nonces, which are checked and not kept
//	books.go                    one goroutine from here on: queue, retransmission, which method
//	reply.go                    recent answers, for requests that are repeated
//	allocate.go, permit.go      what is granted, by method
//	quota.go, budget.go         what users, sources and the month have left
//	judge.go                    what a permission for a peer allows
//	policy.go                   the operator's lists, and what a credential's class may reach
//	rooms.go                    what a session's rooms open
//	internal/socket/pool.go     a relay port
//	internal/engine/engine.go   pion/turn enters it into its books
//	internal/wire/build.go      the answer
//
// request.go holds what gate and books share: the request, and how it is refused.
//
// # Who owns what
//
// Every part gets the core: the clock, the counters and the log (core.go). Gate and books also get
// the judge, which holds the settings in force, the rooms and this host's addresses. Neither core
// nor judge knows the Server, which only wires them.
//
// The goroutine that reads a socket or connection owns its inlet: buffers to decode and answer one
// frame. The books' goroutine, Server.Run, owns the engine, the ports, the quotas and the replies.
// It alone creates and removes allocations. It also owns the goroutines that read relay sockets,
// and waits for them. A caller of ServeConn owns that stream's reader, which owns the writer. A
// caller of ServePacket owns that socket's reader, which owns its DTLS connections.
//
// An allocation runs until its deadline passes, its client refreshes it with lifetime 0, its stream
// ends, somebody kicks it, or the server stops. books.end may be called from anywhere and stops the
// lane at once. Then books.remove takes the allocation out of the engine and gives back its port
// and its place in the quotas. Permissions and channels have their own deadlines; every packet is
// checked against them.
//
// Locks are taken in this order, and none is held while something waits:
//
//	judge.reviews, rooms.mu, allocation.mu
//	books.mu, budget.mu
//	streams.mu, source.Crowd's
//	dtls: Front.mu, handshakes.mu, source.Crowd's
//
// # Why pion/turn never hears a stranger
//
// pion/turn v4.1.4 is the engine and keeps the books of allocations, permissions and channels.
// Strangers can crash, hang and abuse it when it is used directly. So it gets no byte that a
// stranger wrote. The gate decodes, authenticates and refuses. The books pass pion a canonical
// request that internal/engine built and signed, and answer the client themselves. One goroutine
// makes all requests, and pion handles each in the goroutine of its read loop, so it creates and
// deletes in one goroutine.
//
// There is one engine for all sockets, not one for each. pion tells clients apart only by address,
// so it gets made-up addresses, one number per client: clients that share a source address on
// different sockets can't be confused. One goroutine is enough. The readers of the sockets do the
// challenge and the authentication, which a flood would hit, and the lane never waits for the
// books.
//
// # What pion/dtls hears
//
// DTLS is off by default. If it is on, pion/dtls does get what strangers wrote, in its own
// goroutines, where we can't recover a panic. So internal/dtls lets through only what looks right
// and is due: whole first ClientHellos, then a bounded number of datagrams of a handshake, then
// encrypted records. An established connection never gets alerts in the clear, which pion would
// believe.
//
// We can't answer a ClientHello without a cookie statelessly: pion/dtls v3.1.5 has no hook for a
// cookie of ours and numbers its messages itself. Each one costs one of the 256 places for
// handshakes, 22 KiB, and a key pair, at most a thousand times a second. A flood from spoofed
// sources makes those handshakes fail that take longer than a place lasts. It harms neither
// established connections nor other transports.
package turnsvc
