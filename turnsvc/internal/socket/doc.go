// Package socket is how the relay reads and writes the network, and what the kernel may hold of
// that: the UDP sockets of clients and of relays, and the TCP connections of clients.
//
// A Relay (relay.go) is the socket of one relayed transport address, on a port of a Pool (pool.go).
// Readers read all relays (readers_linux.go): a few goroutines that watch many sockets each
// (watch_linux.go), of which none is to have much more to do than another (balance_linux.go). Read
// (read.go) reads a socket of clients. Both read many datagrams at a time (receiver_linux.go), and
// tell Faults of errors. A Pulse (pulse.go) shows that a goroutine which serves many goes on.
//
// An Outlet (outlet.go) sends to the clients of a socket. It and a relay send single datagrams
// (send_linux.go), or a run of them in one system call (runs_linux.go), through a descriptor of
// their own (descriptor_linux.go) or a socket of package net (direct_unix.go). Neighbors
// (neighbors.go, crowd.go) keep hosts that are gone from filling send buffers. fragment.go and
// broadcast_unix.go set what package net would set otherwise.
//
// Sending (tcp.go) bounds what the kernel holds for a client on TCP.
//
// What a file _linux.go has is for Linux, most of it for the 64-bit architectures whose structs it
// knows. Elsewhere the file _unix.go or _other.go does the same by package net, or nothing.
package socket
