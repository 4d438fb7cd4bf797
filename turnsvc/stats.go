package turnsvc

import (
	"slices"
	"sync/atomic"
	"time"

	"signalbox/turnsvc/cred"
)

// drop names why a frame or packet went nowhere.
type drop uint8

const (
	dropMalformed    drop = iota // neither STUN nor ChannelData, or badly framed
	dropRateLimited              // unauthenticated requests of one source
	dropBusy                     // the grant queue was full
	dropNoAllocation             // ChannelData or Send without an allocation
	dropNoChannel                // ChannelData on an unbound or expired channel
	dropNoPermission             // a client's packet to a peer without permission
	dropPeerDenied               // an own address at a port that is no live relay
	dropPeerUnknown              // a peer's packet without permission
	dropTooLong                  // more data than a UDP datagram, or its framing, can carry
	dropSlowClient               // a stream's bounded queue was full
	dropWriteFailed              // the kernel refused the packet
	dropDTLS                     // a DTLS datagram that belongs to no connection, is out of place, or finds no room
	dropHandshake                // a DTLS handshake that failed or took too long
	dropBandwidth                // over a bandwidth limit
	dropPanic                    // a recovered panic: always a bug
	drops            = iota
)

var dropNames = [drops]string{
	"malformed", "rate-limited", "busy", "no-allocation", "no-channel", "no-permission", "peer-denied", "peer-unknown",
	"too-long", "slow-client", "write-failed", "dtls", "dtls-handshake", "bandwidth", "panic",
}

// refusalCodes are the error codes that the gate answers with, in the order in which they are
// counted.
var refusalCodes = [...]int{400, 401, 403, 420, 437, 438, 440, 441, 442, 443, 486, 508}

// counters count what is not an allocation's own. The packet path touches them only for what it
// drops.
type counters struct {
	drops    [drops]atomic.Uint64
	refusals [classes + 1][len(refusalCodes)]atomic.Uint64 // by class of credential; the last is of strangers
	bindings atomic.Uint64
}

func (c *counters) drop(d drop) { c.drops[d].Add(1) }

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

func (t *traffic) add(n int) {
	t.packets.Add(1)
	t.bytes.Add(uint64(n))
}

// Snapshot is the state of a Server at one moment. Times are Unix milliseconds.
type Snapshot struct {
	Allocations []Allocation `json:"allocations"`
	// Bindings counts answered STUN Binding requests.
	Bindings uint64 `json:"bindings"`
	// Drops counts frames and packets that went nowhere, by reason.
	Drops map[string]uint64 `json:"drops"`
	// Refusals counts error answers, by code.
	Refusals map[int]uint64 `json:"refusals"`
	// RefusalsByClass counts them by class of credential, too: static, hub, ice, shared, and none
	// for strangers.
	RefusalsByClass map[string]map[int]uint64 `json:"refusalsByClass"`
	// Transfer is what has been relayed this month, TransferLimit what may be; 0: no limit.
	Transfer      Transfer `json:"transfer"`
	TransferLimit int64    `json:"transferLimit"`
	// Relayed is what has been relayed since the start.
	Relayed Relayed `json:"relayed"`
	// RelayPorts are those of each family that is relayed on.
	RelayPorts []RelayPorts `json:"relayPorts"`
	// Counts are the numbers of live allocations of every kind there is, for those who want no list
	// of them.
	Counts []Count `json:"-"`
}

// Count is how many live allocations there are of a kind.
type Count struct {
	Class     string // static, hub, ice or shared
	Transport string // udp, tcp, tls or dtls: the client's way here
	Family    string // ipv4 or ipv6: of the relayed transport address
	N         int
}

// RelayPorts are the relay ports of one family.
type RelayPorts struct {
	Family string `json:"family"` // ipv4 or ipv6
	InUse  int    `json:"inUse"`  // with those that EVEN-PORT reserved
	Total  int    `json:"total"`
}

var (
	transportNames = [...]string{"udp", "tcp", "tls", "dtls"}
	familyNames    = [...]string{"ipv4", "ipv6"}
)

// Allocation describes one allocation. Bytes and packets are application data.
type Allocation struct {
	ID                string   `json:"id"`
	User              string   `json:"user"`
	Class             string   `json:"class"`
	Client            string   `json:"client"`
	Transport         string   `json:"transport"`
	Relay             string   `json:"relay"`
	CreatedAt         int64    `json:"createdAt"`
	ExpiresAt         int64    `json:"expiresAt"`
	FromClientBytes   uint64   `json:"fromClientBytes"`
	FromClientPackets uint64   `json:"fromClientPackets"`
	ToClientBytes     uint64   `json:"toClientBytes"`
	ToClientPackets   uint64   `json:"toClientPackets"`
	Permissions       []string `json:"permissions"`
	Channels          int      `json:"channels"`
}

// Snapshot lists the live allocations and what was dropped and refused so far.
func (s *Server) Snapshot() Snapshot {
	all := s.books.list()
	snap := s.summary(all)
	now := s.clock.now()
	for _, a := range all {
		snap.Allocations = append(snap.Allocations, a.describe(now))
	}
	return snap
}

// Summary is Snapshot without the list of allocations, which are only counted: it costs little
// however many there are.
func (s *Server) Summary() Snapshot { return s.summary(s.books.list()) }

func (s *Server) summary(all []*allocation) Snapshot {
	snap := Snapshot{
		Allocations:     []Allocation{},
		Bindings:        s.counters.bindings.Load(),
		Drops:           make(map[string]uint64, drops),
		Refusals:        make(map[int]uint64, len(refusalCodes)),
		RefusalsByClass: make(map[string]map[int]uint64, classes+1),
		TransferLimit:   s.live.Load().Limits.TotalPerMonth,
		Counts:          countKinds(all),
	}
	for i, name := range dropNames {
		snap.Drops[name] = s.counters.drops[i].Load()
	}
	for class := range classes + 1 {
		name := "none"
		if class < classes {
			name = cred.Class(class).String()
		}
		byCode := make(map[int]uint64, len(refusalCodes))
		for i, code := range refusalCodes {
			n := s.counters.refusals[class][i].Load()
			byCode[code] = n
			snap.Refusals[code] += n
		}
		snap.RefusalsByClass[name] = byCode
	}
	snap.Transfer, snap.Relayed = s.books.budget.count(all, s.clock)
	for i, r := range s.relays.Load() {
		if r.Bind.IsValid() {
			total := int(s.books.maxPort) - int(s.books.minPort) + 1
			snap.RelayPorts = append(snap.RelayPorts, RelayPorts{familyNames[i], int(s.books.ports[i].Load()), total})
		}
	}
	return snap
}

// countKinds counts allocations of every kind, in a fixed order.
func countKinds(all []*allocation) []Count {
	var n [classes][len(transportNames)][len(familyNames)]int
	for _, a := range all {
		if t := slices.Index(transportNames[:], a.link.transport()); t >= 0 {
			n[a.class][t][familyIndex(a.relayed.Addr())]++
		}
	}
	var counts []Count
	for c := range n {
		for t := range n[c] {
			for f := range n[c][t] {
				counts = append(counts, Count{cred.Class(c).String(), transportNames[t], familyNames[f], n[c][t][f]})
			}
		}
	}
	return counts
}

// clock is monotonic: nanoseconds since the server was made. Deadlines of the packet path are in
// it.
type clock struct {
	start time.Time
	read  func() time.Time
}

func (c clock) now() int64 { return int64(c.read().Sub(c.start)) }

func (c clock) wall() time.Time { return c.read() }

// unixMilli converts a clock reading to Unix milliseconds.
func (c clock) unixMilli(t int64) int64 { return c.start.Add(time.Duration(t)).UnixMilli() }
