package bench

import "time"

// pacer says how many bursts are due. Who falls behind by more than the slack loses what was due
// before: a queue that the generator has made by itself would count as the server's latency.
type pacer struct {
	interval float64 // between two bursts, in nanoseconds; 0: there is always one due
	began    int64   // on the clock of the run, moved by what was lost
	done     int64   // bursts since then
}

const slack = 20 * time.Millisecond

func newPacer(perSecond float64, now int64) pacer {
	p := pacer{began: now}
	if perSecond > 0 {
		p.interval = float64(time.Second) / perSecond
	}
	return p
}

// next is when the next burst is due.
func (p *pacer) next() int64 { return p.began + int64(float64(p.done)*p.interval) }

// take reports whether a burst is due, and counts it as done.
func (p *pacer) take(now int64) bool {
	at := p.next()
	if p.interval == 0 || now < at {
		return p.interval == 0
	}
	if late := now - at; late > int64(slack) {
		p.began += late
	}
	p.done++
	return true
}
