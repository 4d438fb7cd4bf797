package source

import (
	"net/netip"
	"sync"
	"time"
)

// Guesses limits wrong guesses at a secret, for each source and for each of its wider blocks; see
// Blocks. Once those have spent what they may, nobody's next one from there is looked at, not even
// a right one. What is right never counts.
//
// How many are looked at, at one time, has the same limit, since each may turn out wrong: so
// however many come at once, no more are looked at than may be wrong. The others wait for the first
// ones, and right ones, however many, all have their turn.
//
// A wide block may belong to one line, with a /64 for each guess, or to neighbors who share nothing
// else. So a /56 may have four times as much as a source and a /48 sixteen times, which bounds the
// guesses of a line. But who has just guessed wrong gets no more than the first half of a /56's and
// the first quarter of a /48's: neighbors who guess, each from its own /64, leave the rest to those
// who know the secret.
type Guesses struct {
	wrong *Limiter

	mu      sync.Mutex
	looking map[netip.Prefix]int    // how many are being looked at, by block
	queues  map[netip.Prefix]*queue // of those who come at one time, by source
}

// queue is those of one source whose guess is to be looked at, or is being looked at.
type queue struct {
	n     int           // guarded by Guesses.mu
	front chan struct{} // holds one: who is first, and waits for a place
	left  chan struct{} // holds one, if a place was given back since
}

const (
	guessesWiden = 2 // each wider block may have 4 times as much as the one before,
	againWiden   = 1 // but only twice as much for those who have just guessed wrong
)

// A guess waits for others no longer than lookWait. In a wide block other sources give places back,
// unheard: who is first looks for them every lookAgain.
const (
	lookWait  = time.Second
	lookAgain = 10 * time.Millisecond
)

// NewGuesses returns a limit of so many wrong guesses a second, and so many at once, both more than
// 0.
func NewGuesses(perSecond float64, burst int) *Guesses {
	l := NewLimiter(perSecond, burst)
	l.widen = guessesWiden
	return &Guesses{wrong: l, looking: map[netip.Prefix]int{}, queues: map[netip.Prefix]*queue{}}
}

// Look has try look at what a source has brought, and tell whether that was a wrong guess. It
// reports false, and has not looked, if the source has guessed wrong too often, or had no turn
// within a second. try must not wait for anything, since others of the source wait for it.
func (g *Guesses) Look(ip netip.Addr, try func() (wrong bool)) (looked bool) {
	q := g.join(ip)
	defer g.part(ip, q)
	if !g.enter(ip, q) {
		return false
	}
	wrong := true // if try panics
	defer func() { g.leave(ip, q, wrong) }()
	wrong = try()
	return true
}

func (g *Guesses) join(ip netip.Addr) *queue {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.queues[Of(ip)]
	if q == nil {
		q = &queue{front: make(chan struct{}, 1), left: make(chan struct{}, 1)}
		g.queues[Of(ip)] = q
	}
	q.n++
	return q
}

func (g *Guesses) part(ip netip.Addr, q *queue) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if q.n--; q.n == 0 {
		delete(g.queues, Of(ip))
	}
}

// enter waits until another one of the source may be looked at, and reports whether it may.
func (g *Guesses) enter(ip netip.Addr, q *queue) bool {
	late := time.NewTimer(lookWait)
	defer late.Stop()
	select {
	case q.front <- struct{}{}:
	case <-late.C:
		return false
	}
	defer func() { <-q.front }()
	for {
		spent, entered := g.tryEnter(ip)
		if spent || entered {
			return entered
		}
		select {
		case <-q.left:
		case <-time.After(lookAgain):
		case <-late.C:
			return false
		}
	}
}

func (g *Guesses) tryEnter(ip netip.Addr) (spent, entered bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	spent, full := g.room(ip, time.Now())
	if !full {
		for _, block := range Blocks(ip) {
			g.looking[block]++
		}
	}
	return spent, !full
}

// leave counts one that was looked at, if it was wrong.
func (g *Guesses) leave(ip netip.Addr, q *queue, wrong bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, block := range Blocks(ip) {
		if g.looking[block]--; g.looking[block] == 0 {
			delete(g.looking, block)
		}
	}
	if wrong {
		g.Wrong(ip, time.Now())
	}
	select {
	case q.left <- struct{}{}:
	default:
	}
}

// room reports whether wrong guesses have spent what the source may have, and whether together with
// those that are being looked at it has no place for one more. mu is held.
func (g *Guesses) room(ip netip.Addr, now time.Time) (spent, full bool) {
	at, widen := now.Sub(g.wrong.began), guessesWiden
	for i, block := range Blocks(ip) {
		used := g.wrong.used(block, at)
		if i == 0 && used > 0 {
			widen = againWiden
		}
		interval := g.wrong.intervalOf(i)
		most := g.wrong.tolerance >> ((guessesWiden - widen) * i)
		spent = spent || used+interval > most
		full = full || used+time.Duration(g.looking[block]+1)*interval > most
	}
	return spent, full
}

// Spent reports whether the source has guessed wrong too often. Whoever judges one at a time needs
// only Spent and Wrong.
func (g *Guesses) Spent(ip netip.Addr, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	spent, _ := g.room(ip, now)
	return spent
}

// Wrong counts a wrong guess of the source.
func (g *Guesses) Wrong(ip netip.Addr, now time.Time) { g.wrong.charge(ip, now) }
