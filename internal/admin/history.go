package admin

import (
	"net/http"
	"sync"
	"time"
)

// Point is the box at one moment of the last hour.
type Point struct {
	At          int64   `json:"at"`      // Unix milliseconds
	Relayed     float64 `json:"relayed"` // bytes a second, both ways, since the point before
	Allocations int     `json:"allocations"`
	Sessions    int     `json:"sessions"`
}

// History is the last hour, the oldest point first.
type History struct {
	Every  int     `json:"every"` // seconds between points
	Points []Point `json:"points"`
}

const (
	livePerPoint = 10  // of which one is a point
	points       = 360 // an hour
)

// history holds the last points.
type history struct {
	mu   sync.Mutex
	last []Point
}

func (h *history) add(p Point) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.last) == points {
		h.last = append(h.last[:0], h.last[1:]...)
	}
	h.last = append(h.last, p)
}

// after returns the points after a time in Unix milliseconds.
func (h *history) after(at int64) []Point {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []Point{}
	for _, p := range h.last {
		if p.At > at {
			out = append(out, p)
		}
	}
	return out
}

func (a *API) serveHistory(w http.ResponseWriter, r *http.Request) {
	goingOn(w, r, func(after int64) any {
		return History{livePerPoint * int(liveEvery/time.Second), a.history.after(after)}
	})
}
