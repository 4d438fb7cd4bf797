package turnsvc

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"signalbox/turnsvc/internal/wire"
)

// Transfer is how many bytes the relay has sent in a month, to clients and to peers together, with
// all headers: what a network's owner counts. A packet from one relay of this box to another is
// sent once. What did not get onto the wire counts only to clients on streams; see Relayed.
type Transfer struct {
	// Month is written 2006-01, in UTC.
	Month string `json:"month"`
	Bytes int64  `json:"bytes"`
}

// budget adds up the relayed bytes, per month and since the start. The packet path knows nothing of
// it: the books, once a second, and every reader add what the allocations' own counters have grown
// by. A spent budget refuses new allocations; running calls go on.
//
// Each month has a sum of its own. A clock that is set ahead or back, as at boot by NTP, goes on
// with the sum of the month that it shows then, one of the last four that it has shown. What is
// sent while the clock is wrong counts in the month that it shows.
type budget struct {
	mu      sync.Mutex
	months  []month // the current one, then those that were it before, the last one first
	relayed Relayed
	retired []retiredAllocation
	tabs    map[payer]*tab
}

type month struct {
	Transfer
	warned bool
}

// maxMonths bounds the sums that are kept: the current one, the one before it, and two of a clock
// that was wrong.
const maxMonths = 4

// retiredAllocation is an allocation that has ended. Its last packets may still be in the lane and
// be counted there.
type retiredAllocation struct {
	*allocation
	at time.Time
}

// lastPackets is how long the budget still reads a retired allocation's counters: far longer than a
// packet is in the lane.
const lastPackets = 3 * time.Second

// budgetWarning is the part of the budget at which the operator is told.
const budgetWarning = 0.8

// newBudget goes on from the sums of an earlier process, the current month's first.
func newBudget(earlier []Transfer, now time.Time) *budget {
	b := &budget{tabs: map[payer]*tab{}}
	b.addEarlier(earlier)
	b.turnMonth(now)
	return b
}

// addEarlier adds sums of an earlier process.
func (b *budget) addEarlier(earlier []Transfer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range earlier {
		if i := slices.IndexFunc(b.months, func(m month) bool { return m.Month == t.Month }); i >= 0 {
			b.months[i].Bytes += t.Bytes
		} else {
			b.months = append(b.months, month{Transfer: t})
		}
	}
	b.months = b.months[:min(len(b.months), maxMonths)]
}

// turnMonth goes on with the sum of the month that the clock shows. mu is held.
func (b *budget) turnMonth(now time.Time) {
	name := now.UTC().Format("2006-01")
	is := func(m month) bool { return m.Month == name }
	if len(b.months) > 0 && is(b.months[0]) {
		return
	}
	current := month{Transfer: Transfer{Month: name}}
	if i := slices.IndexFunc(b.months, is); i >= 0 {
		current = b.months[i]
		b.months = slices.Delete(b.months, i, i+1)
	}
	b.months = slices.Insert(b.months, 0, current)
	b.months = b.months[:min(len(b.months), maxMonths)]
}

// count adds what was carried since the last time, and returns the sums. running are the
// allocations in the books.
func (b *budget) count(running []*allocation, c clock) (Transfer, Relayed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := c.wall() // under the lock: who has read the clock earlier turns no month back
	b.turnMonth(now)
	for _, a := range running {
		b.add(a, c.now())
	}
	for _, a := range b.retired {
		b.add(a.allocation, a.counted.until)
	}
	b.retired = slices.DeleteFunc(b.retired, func(a retiredAllocation) bool {
		over := now.Sub(a.at) >= lastPackets
		if over && a.tab != nil {
			a.tab.holders--
		}
		return over
	})
	return b.months[0].Transfer, b.relayed
}

// account is what the budget has taken in of an allocation.
type account struct {
	Relayed
	sent  uint64 // bytes over the wire
	until int64  // clock
}

// add takes in one allocation, which has lasted until now. The allocation records what was taken
// in, so add may be called for it any number of times, from any list. mu is held.
func (b *budget) add(a *allocation, until int64) {
	now := account{a.carried(), a.sent(), max(until, a.counted.until)}
	b.months[0].Bytes += int64(now.sent - a.counted.sent)
	b.relayed.FromClientBytes += now.FromClientBytes - a.counted.FromClientBytes
	b.relayed.ToClientBytes += now.ToClientBytes - a.counted.ToClientBytes
	b.relayed.FromClientPackets += now.FromClientPackets - a.counted.FromClientPackets
	b.relayed.ToClientPackets += now.ToClientPackets - a.counted.ToClientPackets
	if a.tab != nil {
		a.tab.add(&now, &a.counted)
	}
	a.counted = now
}

// Headers of a packet, in bytes. A stream's packet counts as one segment and one record: what TCP
// puts together or sends again is the kernel's secret.
const (
	ipv4Header = 20
	ipv6Header = 40
	udpHeader  = 8
	tcpHeader  = 20 + 12     // with timestamps
	tlsRecord  = 5 + 1 + 16  // TLS 1.3: header, content type, tag
	dtlsRecord = 13 + 8 + 16 // DTLS 1.2: header, nonce, tag
)

// sent is how many bytes have left the box for the allocation, to its peers and to its client.
func (a *allocation) sent() uint64 {
	toClient := uint64(ipHeader(a.client.Addr()) + wire.ChannelHeader)
	switch a.link.transport() {
	case "tcp":
		toClient += tcpHeader
	case "tls":
		toClient += tcpHeader + tlsRecord
	case "dtls":
		toClient += udpHeader + dtlsRecord
	default:
		toClient += udpHeader
	}
	toPeer := uint64(ipHeader(a.relayed.Addr()) + udpHeader)
	return a.fromClient.bytes.Load() + a.fromClient.packets.Load()*toPeer +
		a.toClient.bytes.Load() + a.toClient.packets.Load()*toClient + a.extra.Load()
}

func ipHeader(ip netip.Addr) int {
	if ip.Is4() {
		return ipv4Header
	}
	return ipv6Header
}

// retire takes in an allocation that has ended, and has its counters looked at for some more time.
func (b *budget) retire(a *allocation, c clock) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(a, c.now())
	b.retired = append(b.retired, retiredAllocation{a, c.wall()})
}

// warn tells the operator once a month that little is left. limit is in bytes a month; 0 means
// none.
func (b *budget) warn(limit int64, log *slog.Logger) {
	b.mu.Lock()
	m := &b.months[0]
	transfer := m.Transfer
	due := limit > 0 && !m.warned && float64(transfer.Bytes) >= budgetWarning*float64(limit)
	m.warned = m.warned || due
	b.mu.Unlock()
	if due { // a log that is slow holds up nobody who asks what was relayed
		log.Warn("the monthly transfer budget runs out: once it is spent, the relay makes no new allocations",
			"month", transfer.Month, "bytes", transfer.Bytes, "budget", limit)
	}
}

// sums returns those of all months, the current one's first.
func (b *budget) sums() (list []Transfer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.months {
		list = append(list, m.Transfer)
	}
	return list
}

// spent reports whether nothing is left of the budget.
func (b *budget) spent(limit int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return limit > 0 && b.months[0].Bytes >= limit
}
