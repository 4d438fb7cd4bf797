// Package bench loads a TURN server or a signaling server, ours or another, and measures what it
// does to packets and messages.
//
// A run against a TURN server allocates relays (setup.go), then sends from clients to peers, from
// peers to clients or from relay to relay (sender.go, paced by pacer.go). One against a signaling
// server opens sessions (talk.go) and has pairs of them talk over WebSockets (talker.go). How it is
// measured is the same (measurement.go): the generator is at both ends; each payload carries the
// time at which it was sent (frame.go), and who receives it counts it and its latency (receiver.go,
// meter.go). What was sent counts for nothing but the loss. Datagrams go in and out in batches,
// where the system has that (batch_linux.go), so that the server is what is measured.
//
// Latency is one way, from before the system call that sends to after the one that receives: it
// includes the network, and the generator's own waking up. What that is worth at the time is seen
// on a few packets that go from us to us, past the server (rig.openControl, mirror.go).
package bench
