// Package turnsvc is the STUN and TURN server (RFC 8489, RFC 8656). It opens no listening socket:
// its caller passes UDP sockets to Server.ServePacket and connections to Server.ServeConn.
//
// # The way of a packet
//
// Application data takes this way, with no lock that two clients share and no heap allocation. No
// file comes twice:
//
//	internal/socket/read.go             a UDP socket is read; read errors are counted and bounded
//	internal/socket/watch_linux.go      relay sockets by a few goroutines, in turns
//	internal/socket/balance_linux.go    of which none has most of the work for long
//	internal/socket/receiver_linux.go   what has come, many datagrams at a time
//	stream_tls.go                       or a TCP connection, which may turn out to carry TLS
//	stream_read.go                      and is cut into frames, as TLS and DTLS connections are
//	internal/wire/run.go                what one flow carries stays together
//	front.go                            one look at the frame; a panic is recovered and counted
//	clients.go                          which allocation the client has
//	lane.go                             ChannelData or Send
//	internal/wire/data.go               what the frame says
//	allocation.go                       the deadlines of allocation, channel and permission
//	pace.go                             bandwidth
//	internal/socket/relay.go            out to the peer; or, in process, to another allocation
//	internal/socket/outlet.go           out to a client on UDP
//	internal/socket/runs_linux.go       a run leaves in one system call
//	stream_straight.go                  or over TCP, if nothing waits there
//	outbox.go                           or into the queue of a client on a stream
//	stream_write.go                     from where the stream's writer takes it
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
//	strangers.go, allowance.go  a limited number of refusals and challenges
//	challenge.go                nonces, which are checked and not kept
//	keyring.go                  whose key that is; the books look once more when they have granted
//	queue.go                    users and sources take turns
//	books.go                    one goroutine from here on: retransmission, which method
//	reply.go                    recent answers, for requests that are repeated
//	allocate.go, permit.go      what is granted, by method
//	quota.go, budget.go         what users, sources and the month have left (usage.go: have used)
//	judge.go, host.go           what a permission for a peer allows; this host's own addresses
//	policy.go                   the operator's lists, and what a credential's class may reach
//	rooms.go, seats.go          what a session's rooms open
//	seen.go, linger.go          at which addresses, and for how long
//	internal/socket/pool.go     a relay port
//	internal/engine/engine.go   pion/turn enters it into its books
//	internal/wire/build.go      the answer
//
// watch.go shows what happens on this way to a client that tests it, and to nobody else.
// request.go holds what gate and books share: the request, and how it is refused.
//
// # Who owns what
//
// Every part gets the core: the clock, the counters and the log (core.go). Gate and books also get
// the keyring and the judge, which holds the settings in force, the rooms and this host's
// addresses. None of them knows the Server, which only wires them.
//
// The goroutine that reads a socket or connection owns its inlet: buffers to decode and answer one
// frame. The books' goroutine, Server.Run, owns the engine, the ports, the quotas and the replies.
// It alone creates and removes allocations. It also owns the few goroutines that read all relay
// sockets, the one that follows this host's addresses, and that of Neighbors, and waits for them. A
// caller of ServeConn owns that stream's reader, which owns the writer. A caller of ServePacket
// owns that socket's reader, which owns its DTLS connections and the sockets through which its
// clients are sent to.
//
// Who takes a right away (a reload, a ban, the end of a session, draining) first does so and then
// ends the allocations that it was for. The books first enter an allocation and then look whether
// its right still stands. So none is left over, whichever comes first.
//
// An allocation runs until its deadline passes, its client refreshes it with lifetime 0, its stream
// ends, somebody kicks it, or the server stops. books.end may be called from anywhere and stops the
// lane at once. Then books.remove takes the allocation out of the engine and gives back its port
// and its place in the quotas. Permissions and channels have their own deadlines; every packet is
// checked against them.
//
// A permission is for an address; only those for this host's own addresses, and for others of which
// the operator has named ports, are for some ports. What it allows is judged when it is asked for,
// each time that it is refreshed, and when the rooms, the lists, or this host's addresses or routes
// change. The judge asks the kernel for the route to a peer, some 5 µs, in the goroutine that
// grants; the packet path only reads what was judged. While the kernel can't be asked, new peers
// outside are refused (403), and the log says so; a permission keeps what it had, within the lists
// and the rooms, and is judged again when the kernel answers, by the next review, as below. Only
// where it can't be asked from the start does the judge make do with the addresses of interfaces.
//
// Who changes the lists or the relay addresses reviews all permissions; a goroutine of its own does
// when addresses or routes of this host have come, within 250 ms (10 s where the kernel can't be
// asked). A review asks the kernel once for each peer of some 65,000 permissions, and lets others
// judge every half millisecond, so no answer is older than that. For 64,000 permissions it takes
// 0.1 s if they are for 1,000 peers, and 0.7 s if each is for another. Routes that change on and on
// cost at most a fifth of a core: a review rests for four times as long as it took. So an address
// that becomes this host's own while there are that many permissions is closed after 0.8 s or 5 s
// at the latest. That a local route shows because a narrower one has gone is found when the
// permission is refreshed, within 5 minutes.
//
// Locks are taken in this order, and none is held while something waits:
//
//	judge.reviews, rooms.mu, allocation.mu, netaddr.Routes's
//	judge.looks, books.mu
//	books.mu, budget.mu
//	queue.mu
//	lineLimit.mu
//	watches.mu
//	streams.mu, source.Crowd's
//	dtls: Front.mu, handshakes.mu, source.Crowd's
//	socket: Neighbors.mu, Outlet.closing
//	socket: relaySocket.mu, watch.mu
//	socket: Pool.mu
//
// # Nobody waits in a write
//
// A UDP datagram is sent at once or not at all: for clients, for peers, for strangers, for DTLS.
// What finds a send buffer full is dropped and counted (send-buffer-full). On Windows, where
// package net has no such write, it waits for the system to take the datagram. A machine without
// free memory makes everybody wait, in these system calls as elsewhere; see receiver_linux.go. Over
// TCP, who brings data writes what the kernel takes at once; what is left, and all that may wait,
// is for the stream's own writer.
//
// A buffer can be full for long. Linux keeps a datagram for an address of an own network at which
// nobody answers for three seconds, up to 208 KiB for each such address, on the account of the
// socket that sent it; two of them fill one. Anybody can name such addresses: a client its peers, a
// stranger on that network the source of a request, and clients leave a Wi-Fi without a word. So:
//
//   - Each relay port has a send buffer of its own. What a client sends to peers who are missing
//     takes room from that client's other peers only.
//   - On Linux, datagrams to clients leave through sockets of their own, two for each socket that
//     is served: one for clients whose key is known, one for what strangers can make the server
//     send.
//   - When one of these is full, Neighbors read the kernel's table of neighbors within
//     milliseconds. The full one is replaced by a fresh one at the same address, and hosts that
//     have been asked for for 100 ms without an answer get no more datagrams (counted as absent)
//     but two a second, so that the kernel goes on asking. One that answers is sent to again within
//     200 ms.
//   - A full buffer of a relay port makes Neighbors look, too, but replaces nothing.
//   - Where 192 hosts of one network are missing, hosts there that the table has no answer of get
//     ten datagrams a second together, and those that it knows to be missing ten others, in turn.
//     Otherwise the kernel, which remembers some hundred neighbors (gc_thresh2, usually 512), would
//     forget those that are there: a network of IPv6 has any number of addresses to name. It is
//     over when fewer are missing, without those who have been for 15 s, and fewer than 15 were
//     found missing in three seconds: at most 21 s after nobody names such addresses any more.
//   - What is a network, the kernel's routes say: all to which no router leads. A host belongs to
//     the one with the longest prefix. So clients of a VPN or behind a router are sent everything,
//     also if their addresses lie in a network where many are missing. Rules (ip rule) are not
//     read: where tables differ about one prefix, the main one counts.
//
// What this costs is bounded. What was replaced keeps up to 416 KiB of kernel memory for three
// seconds. Each of the sockets is replaced at once four times, then once in 250 ms, so 16 times in
// three seconds: it never holds more than 7 MiB, and a server no more than 14 MiB for each socket
// that it serves. Reading the table, and the routes where many are missing, takes at most a tenth
// of the time, since Neighbors rest for ten times as long as the last look took, but 5 ms at least.
// So all of the above is slower where the table has many thousands of entries, where many are
// missing and there are hundreds of thousands of routes, and where ever new hosts that are missing
// fill a buffer more than four times a second.
//
// Where a socket of its own can't be had, clients share the buffer of the one that is served; while
// the table can't be read, nothing is replaced and nobody else is known to be missing; while the
// routes can't, no other network is known to be one where many are. The log says all three.
//
// Under each of these attacks, a call's packets are on their way within 100 ms (p99), and a
// newcomer is answered within 200 ms: a client that sends 20,000 datagrams to 4 missing peers, or
// over IPv6 to 1,000; 1,500 requests a second in the name of 6 or 150 missing hosts of an own
// network, or over IPv6 of another one each, be it a network of a route only, or the call one with
// somebody behind a router in it; clients of an own network that leave while they receive.
// scripts/lab has the tests, with send buffers of 208 KiB. It is not guaranteed for clients of an
// own network that the kernel has not known before, while many are missing there: they are answered
// when they ask again. Nor is it while others fill the kernel's table of neighbors, and not on
// other systems than Linux on amd64, arm64, riscv64 and loong64, where nobody waits but all share
// the socket's buffer.
//
// # What a stream may cost
//
// Media that comes late is of no use. For a client on TCP or TLS it waits in one queue for at most
// 200 ms, and in at most 48 KiB; then the oldest is dropped (slow-client). Answers go first and are
// not dropped; while half of 8 KiB of them wait, or of 2 KiB without an allocation, nothing more is
// read of their client, and for 200 ms at most, or 5 s in a call: then it is shown out (unread).
// The kernel is written to when it has sent nearly all it has (TCP_NOTSENT_LOWAT), and holds at
// most 112 KiB of what is sent to a client, 8 KiB of a stranger. With what waits in process that is
// less than 256 KiB a client, to it.
//
// What a client sends is read without a pause, but while answers wait, and while a request that has
// no key yet waits for its turn: up to 5 s. Of what is not yet read the kernel holds at most 128
// KiB a client, 16 KiB of a stranger, and one packet.
//
// For a client that is too slow, the kernel holds less: what its path takes in twice its time there
// and back, and 150 ms (fit.go). That time is not taken for longer because of what waits on the
// path, nor is a stall after lost packets taken for slowness. With 1 Mbit/s and seconds of buffers
// on the path, media is 0.33 s old. When the way of a call of 500 kbit/s grows from 20 to 400 ms
// and loses 1 %, 76 to 89 % arrive; without this bound it is 79 to 96 %. By calculation, 112 KiB
// allow some 1.8 Mbit/s at 400 ms.
//
// A client without an allocation is shown out after 15 seconds without a first frame, and after 30
// seconds in all (35, if its last request waits for its turn), whatever it says, also if it is
// there for STUN alone; one whose allocation has ended, after 90 seconds at most. When there are as
// many streams as there may be, one without an allocation makes room for the next (crowded-out): of
// the line (an IPv4 address, an IPv6 /48) that has most of these, the oldest, and first one that
// has not answered a nonce (guests.go). That takes some 3 µs with 20,000 streams. If all have an
// allocation, the next is refused (crowd).
//
// # What a flood takes from others
//
// Nothing, up to some thousands of packets a second in the name of one address, or from behind the
// same NAT. Strangers whose source may be spoofed share a budget of answers by source; those who
// came by a handshake, or have answered a nonce, have another; guesses at a key are counted by
// source and its wider IPv6 blocks, and by user, before they are looked at. Those at minted
// credentials, whose secret nobody guesses, have a budget of their own, 64 times as large. Right
// ones use nothing up, but for the one beyond the budget.
//
// Beyond each budget, every client (address and port) that has had nothing in a second gets one
// answer or guess, within a bound by source that keeps a reflection below some hundred KiB a
// second. So an Allocate of the address's owner is answered, at once as a rule. That ends where
// many ports take these, too: with the default limit at some 6,500 spoofed packets a second from
// random ports, or as many guesses at minted credentials from behind the same NAT; and for
// newcomers with a password from the configuration at 500 guesses a second at that user's, or 800
// at many users', from 400 ports behind it. They then have to try again.
//
// There is one more exception. Who can send in the name of an address, and knows the port from
// which its owner is about to ask over UDP, takes the one answer a second that is left for that
// port, as long as the flood lasts. That keeps out a client which has neither a nonce nor an
// allocation and which asks on from that very port. It gets in from another port, or over TCP or
// TLS. Nothing that it has can be taken so: requests with a nonce of ours and its running call go
// on.
//
// STUN Binding requests in datagrams have a budget of their own, so what a flood of them uses up
// nobody misses who wants to allocate: 200 a second of a source, and beyond that one a second of
// each client, 6,400 in all. An IPv6 /56 may have twice as many, a /48 four times. Over streams
// there is no limit: who does not read the answers is not read either.
//
// A user is whom a credential is for: a static user, the user of a room token, or the id that
// another program names. A room token that names no user may be for all guests of an event, so it
// counts by the token and the source of the session, or of the request to /api/ice: one guest has
// not another user's share for each session or credential, and guests at different places don't
// starve each other; those behind one NAT share one user's limits. Sessions and credentials that
// need no token are each a user; what all of them have together is limited by source.
//
// Users with credentials take turns at the books with other users, and sources with other sources,
// each weighed by what it asks for; so whoever floods waits for itself. Relay ports are limited by
// user, by source and its wider IPv6 blocks, and each group of credentials is guaranteed an eighth
// of them. Until an allocation has carried data in both directions, between its client and somebody
// else, it ends within FirstLifetime unless it is refreshed: ports that were only taken come back.
// Somebody else is another user, or a host outside. Of two sessions, or credentials of /api/ice,
// which anybody can have, it is only one of another line (an IPv4 address, an IPv6 /48).
//
// What remains: a crowd of anonymous addresses, of which each holds what a source may hold and goes
// on to refresh it, can still take all ports that its own group may have, which is three quarters
// of them if the others hold none. Then others of that group are refused (508). The eighths of the
// two other groups it can't take.
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
