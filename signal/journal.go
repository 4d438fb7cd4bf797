package signal

import (
	"sync"
	"time"
)

// Kind says what a Happening is.
type Kind string

// The kinds of what happens.
const (
	KindRoomOpened  Kind = "room-opened"
	KindPeerJoined  Kind = "peer-joined"
	KindPeerLeft    Kind = "peer-left"
	KindRoomClosed  Kind = "room-closed"
	KindCallStarted Kind = "call-started"
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{KindRoomOpened, KindPeerJoined, KindPeerLeft, KindRoomClosed, KindCallStarted}
}

// Happening is an entry of a Journal. Those of one room are in the order in which its members see
// them.
type Happening struct {
	Number uint64 // 1, 2, 3 ... without a gap, unless entries were lost
	At     time.Time
	Kind   Kind
	Room   string     // the full name; empty for KindCallStarted
	Peer   Member     // who joins, leaves or calls; zero for KindRoomOpened and KindRoomClosed
	Callee Member     // for KindCallStarted; of several sessions of a user, the first
	Reason LeftReason // for KindPeerLeft
}

// Journal is a bounded queue of what happens in a hub, for one reader, who may take its time: the
// hub never waits for it. When it is full, the oldest entry is lost, and the reader finds a gap in
// the numbers. The zero Journal notes nothing; see Note.
type Journal struct {
	mu     sync.Mutex
	limit  int
	kinds  map[Kind]bool
	queue  []Happening
	number uint64
	lost   uint64
	ready  chan struct{} // has a token while there may be something to take
}

// NewJournal returns a journal in which so many entries may wait.
func NewJournal(limit int) *Journal { return &Journal{limit: limit, ready: make(chan struct{}, 1)} }

// Note says which kinds are noted from now on. What waits is kept, unless it is none at all.
func (j *Journal) Note(kinds ...Kind) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.kinds = make(map[Kind]bool, len(kinds))
	for _, k := range kinds {
		j.kinds[k] = true
	}
	if len(kinds) == 0 {
		j.queue = nil
	}
}

// put notes what happens. It never blocks, so it may be called under the locks that decide an
// order.
func (j *Journal) put(what Happening) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.kinds[what.Kind] {
		return
	}
	j.number++
	what.Number, what.At = j.number, time.Now()
	if len(j.queue) >= j.limit {
		j.queue = j.queue[1:]
		j.lost++
	}
	j.queue = append(j.queue, what)
	select {
	case j.ready <- struct{}{}:
	default:
	}
}

// Take takes the oldest entries, at most n.
func (j *Journal) Take(n int) []Happening {
	j.mu.Lock()
	defer j.mu.Unlock()
	n = min(n, len(j.queue))
	batch := j.queue[:n:n]
	if j.queue = j.queue[n:]; len(j.queue) == 0 {
		j.queue = nil
	}
	return batch
}

// Ready has something to receive after an entry was put.
func (j *Journal) Ready() <-chan struct{} { return j.ready }

// Waiting is how many entries wait, and how many were lost since the start.
func (j *Journal) Waiting() (n int, lost uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.queue), j.lost
}
