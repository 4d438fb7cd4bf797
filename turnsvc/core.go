package turnsvc

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/socket"
)

// core is what every part of a server shares.
type core struct {
	clock    clock
	counters *counters
	log      *slog.Logger
	shown    *shown // addresses, in these two
	refusals *refusals
	ends     *ends
	watches  *watches
	faults   *socket.Faults // of all UDP sockets
	// neighbors are those whom all UDP sockets send to; Server.Run runs them.
	neighbors *socket.Neighbors
}

func newCore(now func() time.Time, log *slog.Logger) *core {
	c := &core{
		clock: clock{start: now(), read: now}, counters: new(counters), log: log, neighbors: socket.NewNeighbors(log),
		watches: newWatches(),
	}
	c.shown = new(shown)
	c.shown.by(nil)
	c.refusals = &refusals{log: log, shown: c.shown, watches: c.watches, lines: lineLimit{
		log: log, clock: c.clock, more: RequestsRefused,
		ofSource: refusalsOfSource, ofAll: refusalsOfAll,
	}}
	c.ends = &ends{log: log, clock: c.clock, shown: c.shown, lines: lineLimit{
		log: log, clock: c.clock, more: "turn allocations ended: more than have a line each, or not used",
		ofSource: endsOfSource, ofAll: endsOfAll,
	}}
	c.faults = socket.NewFaults(func() { c.counters.drop(dropReadFailed) }, log)
	return c
}

// recovered must be deferred. It keeps a panic over one frame, stream or request from ending
// everybody's calls, and counts and logs it.
func (c *core) recovered(what string) {
	if v := recover(); v != nil {
		c.counters.drop(dropPanic)
		c.log.Error(what, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
}

// safely runs f, recovered.
func (c *core) safely(what string, f func()) {
	defer c.recovered(what)
	f()
}

// clock is monotonic: nanoseconds since the server was made. All deadlines use it, except those of
// net.Conn, which use the system's clock.
type clock struct {
	start time.Time
	read  func() time.Time
}

func (c clock) now() int64 { return int64(c.read().Sub(c.start)) }

func (c clock) wall() time.Time { return c.read() }

// unixMilli converts a clock reading to Unix milliseconds.
func (c clock) unixMilli(t int64) int64 { return c.start.Add(time.Duration(t)).UnixMilli() }

// drop names why a frame or packet went nowhere.
type drop uint8

const (
	dropMalformed    drop = iota // neither STUN nor ChannelData, or badly framed
	dropRateLimited              // unauthenticated requests of one source
	dropBindings                 // STUN Binding requests of one source, over UDP
	dropBusy                     // the grant queue was full
	dropNoAllocation             // ChannelData or Send without an allocation
	dropNoChannel                // ChannelData on an unbound or expired channel
	dropNoPermission             // a client's packet to a peer without permission
	dropPeerDenied               // to or from an own address at a port where no allocation relays
	dropPeerUnknown              // a peer's packet without permission
	dropTooLong                  // more data than a UDP datagram, or its framing, can carry
	dropSlowClient               // data for a client on a stream that is too slow for it
	dropUnread                   // an answer on a stream whose client reads none: the stream ends
	dropCrowd                    // a stream that found no room
	dropCrowdedOut               // a stream without an allocation that made room for another
	dropReadFailed               // the kernel had an error instead of a datagram
	dropWriteFailed              // the kernel refused the packet
	dropSendFull                 // a UDP socket's send buffer was full
	dropAbsent                   // to an address of an own network at which nobody answers
	dropDTLS                     // a DTLS datagram of no connection, out of place, or without room
	dropHandshake                // a DTLS handshake, or TLS on a plain port, that failed or took too long
	dropBandwidth                // over a bandwidth limit
	dropPanic                    // a recovered panic: always a bug
	drops            = iota
)

var dropNames = [drops]string{
	"malformed", "rate-limited", "binding-rate", "busy", "no-allocation", "no-channel", "no-permission", "peer-denied",
	"peer-unknown", "too-long", "slow-client", "unread", "crowd", "crowded-out", "read-failed", "write-failed",
	"send-buffer-full", "absent", "dtls", "dtls-handshake", "bandwidth", "panic",
}

// refusalCodes are the error codes of answers, in the order in which they are counted.
var refusalCodes = [...]int{400, 401, 403, 420, 437, 438, 440, 441, 442, 443, 486, 508}

// counters count what belongs to no allocation. The packet path touches them only for what it
// drops.
type counters struct {
	drops [drops]atomic.Uint64
	// By class of credential; the last is of strangers.
	refusals [classes + 1][len(refusalCodes)]atomic.Uint64
	limits   [limits]atomic.Uint64 // refusals, by the limit that was met
	bindings atomic.Uint64
}

func (c *counters) drop(d drop) { c.dropAll(d, 1) }

// dropAll counts n packets that went nowhere.
func (c *counters) dropAll(d drop, n int) { c.drops[d].Add(uint64(n)) }

// unsent counts n datagrams that were not sent, by the error of sending them; none if that is nil.
func (c *counters) unsent(n int, err error) {
	switch err {
	case nil:
	case socket.ErrFull:
		c.dropAll(dropSendFull, n)
	case socket.ErrAbsent:
		c.dropAll(dropAbsent, n)
	default:
		c.dropAll(dropWriteFailed, n)
	}
}

// classes counts the classes of credentials, which are numbered from 0.
const classes = int(cred.Shared) + 1

// refused counts an error answer to a stranger, refusedTo one to a holder of a credential.
func (c *counters) refused(code int) { c.countRefusal(classes, code) }

func (c *counters) refusedTo(class cred.Class, code int) { c.countRefusal(int(class), code) }

func (c *counters) countRefusal(class, code int) {
	if i := slices.Index(refusalCodes[:], code); i >= 0 {
		c.refusals[class][i].Add(1)
	}
}

// traffic counts what an allocation carried. Bytes are application data, without TURN framing.
type traffic struct{ packets, bytes atomic.Uint64 }

func (t *traffic) add(packets, bytes int) {
	t.packets.Add(uint64(packets))
	t.bytes.Add(uint64(bytes))
}

// Relayed is the application data, without TURN framing, that was relayed since the start, also by
// allocations that have ended. It is what was put on its way: nothing that was refused or found a
// send buffer full. Data for a client on a stream counts when it is queued, so what the client is
// too slow for is in ToClient, and in Transfer, too: Snapshot's Drops has the number of those
// packets, as slow-client.
type Relayed struct {
	FromClientBytes   uint64 `json:"fromClientBytes"`
	FromClientPackets uint64 `json:"fromClientPackets"`
	ToClientBytes     uint64 `json:"toClientBytes"`
	ToClientPackets   uint64 `json:"toClientPackets"`
}
