package turnsvc

import (
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Transfer is how many bytes of application data were relayed in a month, both directions together.
type Transfer struct {
	// Month is written 2006-01, in UTC.
	Month string `json:"month"`
	Bytes int64  `json:"bytes"`
}

// budget adds up the relayed bytes, per month and since the start. The packet path knows nothing of
// it: the books, once a second, and every reader add what the allocations' own counters have grown
// by. A spent budget refuses new allocations; running calls go on.
type budget struct {
	mu       sync.Mutex
	transfer Transfer
	relayed  Relayed
	retired  []retiredAllocation
	warned   bool
}

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

func newBudget(earlier Transfer, now time.Time) *budget {
	b := &budget{transfer: earlier}
	b.turnMonth(now)
	return b
}

// turnMonth begins a new month's count if it is time to. mu is held.
func (b *budget) turnMonth(now time.Time) {
	if month := now.UTC().Format("2006-01"); month != b.transfer.Month {
		b.transfer, b.warned = Transfer{Month: month}, false
	}
}

// count adds what was carried since the last time, and returns the sums. running are the
// allocations in the books.
func (b *budget) count(running []*allocation, c clock) (Transfer, Relayed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := c.wall() // under the lock: a month that has begun does not end again
	b.turnMonth(now)
	for _, a := range running {
		b.add(a)
	}
	for _, a := range b.retired {
		b.add(a.allocation)
	}
	b.retired = slices.DeleteFunc(b.retired, func(a retiredAllocation) bool { return now.Sub(a.at) >= lastPackets })
	return b.transfer, b.relayed
}

// add takes in one allocation. The allocation records what was taken in, so add may be called for
// it any number of times, from any list. mu is held.
func (b *budget) add(a *allocation) {
	carried := Relayed{
		FromClientBytes: a.fromClient.bytes.Load(), FromClientPackets: a.fromClient.packets.Load(),
		ToClientBytes: a.toClient.bytes.Load(), ToClientPackets: a.toClient.packets.Load(),
	}
	from, to := carried.FromClientBytes-a.counted.FromClientBytes, carried.ToClientBytes-a.counted.ToClientBytes
	b.transfer.Bytes += int64(from + to)
	b.relayed.FromClientBytes += from
	b.relayed.ToClientBytes += to
	b.relayed.FromClientPackets += carried.FromClientPackets - a.counted.FromClientPackets
	b.relayed.ToClientPackets += carried.ToClientPackets - a.counted.ToClientPackets
	a.counted = carried
}

// retire takes in an allocation that has ended, and has its counters looked at for some more time.
func (b *budget) retire(a *allocation, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(a)
	b.retired = append(b.retired, retiredAllocation{a, now})
}

// warn tells the operator once a month that little is left. limit is in bytes a month; 0 means
// none.
func (b *budget) warn(limit int64, log *slog.Logger) {
	b.mu.Lock()
	transfer := b.transfer
	due := limit > 0 && !b.warned && float64(transfer.Bytes) >= budgetWarning*float64(limit)
	b.warned = b.warned || due
	b.mu.Unlock()
	if due { // a log that is slow holds up nobody who asks what was relayed
		log.Warn("the monthly transfer budget runs out: once it is spent, the relay makes no new allocations", "month",
			transfer.Month,
			"bytes", transfer.Bytes, "budget", limit)
	}
}

// spent reports whether nothing is left of the budget.
func (b *budget) spent(limit int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return limit > 0 && b.transfer.Bytes >= limit
}
