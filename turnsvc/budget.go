package turnsvc

import (
	"log/slog"
	"sync"
	"time"
)

// Transfer is how many bytes of application data were relayed in a month, both directions together.
type Transfer struct {
	// Month is written 2006-01, in UTC.
	Month string `json:"month"`
	Bytes int64  `json:"bytes"`
}

// budget adds up what is relayed in a month. The packet path knows nothing of it: the books add up the allocations' own counters, once a
// second and when one ends. A spent budget refuses new allocations; running calls are not cut off.
type budget struct {
	mu       sync.Mutex
	transfer Transfer
	counted  map[*allocation]int64 // of the live ones, what is in transfer already
	warned   bool
}

// budgetWarning is the part of the budget at which the operator is told.
const budgetWarning = 0.8

func newBudget(earlier Transfer, now time.Time) *budget {
	b := &budget{transfer: earlier, counted: map[*allocation]int64{}}
	b.turnMonth(now)
	return b
}

// turnMonth begins a new month's count if it is time to. mu is held.
func (b *budget) turnMonth(now time.Time) {
	if month := now.UTC().Format("2006-01"); month != b.transfer.Month {
		b.transfer, b.warned = Transfer{Month: month}, false
	}
}

// count takes in what the allocations have carried since the last time. limit is the bytes a month; 0: none.
func (b *budget) count(live []*allocation, limit int64, now time.Time, log *slog.Logger) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turnMonth(now)
	for _, a := range live {
		b.add(a)
	}
	if limit > 0 && !b.warned && float64(b.transfer.Bytes) >= budgetWarning*float64(limit) {
		b.warned = true
		log.Warn("the monthly transfer budget runs out: at its end no new allocations are made", "month", b.transfer.Month,
			"bytes", b.transfer.Bytes, "budget", limit)
	}
}

// add takes in one allocation. mu is held.
func (b *budget) add(a *allocation) {
	total := int64(a.fromClient.bytes.Load() + a.toClient.bytes.Load())
	b.transfer.Bytes += total - b.counted[a]
	b.counted[a] = total
}

// ended takes in an allocation for the last time.
func (b *budget) ended(a *allocation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(a)
	delete(b.counted, a)
}

// spent reports whether nothing is left of the budget.
func (b *budget) spent(limit int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return limit > 0 && b.transfer.Bytes >= limit
}

// Transfer returns what has been relayed this month, for the next process to go on from.
func (s *Server) Transfer() Transfer {
	b := s.books.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.transfer
}
