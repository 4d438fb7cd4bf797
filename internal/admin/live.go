package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"signalbox/internal/answer"
	"signalbox/internal/status"
	"signalbox/internal/trouble"
	"signalbox/signal"
)

// Live is the box in numbers. One is made each second for all readers of the feed, however many
// they are; nobody waits for one who reads slowly, and who then misses some.
type Live struct {
	At int64 `json:"at"` // Unix milliseconds
	// Status has no rooms and no allocations: they are only counted.
	Status      status.Status `json:"status"`
	Rooms       int           `json:"rooms"`
	Members     int           `json:"members"`
	Allocations int           `json:"allocations"`
	Rate        Rate          `json:"rate"`
	Bans        int           `json:"bans"`
	Limits      []Limit       `json:"limits"` // those that are set
	Lines       uint64        `json:"lines"`  // how many there have been of the log
	// Troubles are what the self-test has found.
	Troubles []Trouble `json:"troubles"`
}

// Trouble is a fault that the self-test has found, with the words of TROUBLES.md.
type Trouble struct {
	status.Fault
	What Words `json:"what"` // what is wrong
	Fix  Words `json:"fix"`  // what to do
}

// Words are a text in each language of the pages.
type Words struct {
	EN string `json:"en"`
	ZH string `json:"zh-CN"`
}

// Limit is a limit of the configuration and how much of it is used.
type Limit struct {
	Key  string `json:"key"`
	Used int64  `json:"used"`
	Max  int64  `json:"max"` // the key's unit: of bandwidth bytes a second
}

// Limits are those of the configuration that Live has; 0: no limit.
type Limits struct{ Allocations, Bandwidth, Sessions, Rooms int64 }

// Rate is what is relayed, in bytes a second.
type Rate struct {
	FromClient float64 `json:"fromClient"`
	ToClient   float64 `json:"toClient"`
}

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
	liveEvery    = time.Second
	livePerPoint = 10
	points       = 360
	maxReaders   = 32 // besides the owner's
	readersEach  = 8  // of one token
	// A reader that does not take an event within that time is gone.
	feedPatience = 10 * time.Second
	// Then a reader comes again, and shows again who it is.
	feedLife = 10 * time.Minute
)

// Run makes the feed and the history until ctx is done, and then ends the feed.
func (a *API) Run(ctx context.Context) {
	defer a.feed.close()
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	var feed, history pace
	for n := 0; ; n++ {
		point := n%livePerPoint == 0
		if point || a.feed.watched() {
			now, v := time.Now(), a.o.Vitals()
			l := a.live(now, v)
			l.Rate = feed.rate(now, v)
			l.Limits = l.limits(a.o.Limits())
			if point {
				a.shot() // from which whoever asks next gets rates
				r := history.rate(now, v)
				a.history.add(Point{l.At, r.FromClient + r.ToClient, l.Allocations, v.Hub.Sessions})
			}
			if text, err := json.Marshal(l); err == nil { // always: it has numbers and texts only
				a.feed.publish(text)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *API) live(now time.Time, v *status.Vitals) *Live {
	l := &Live{At: now.UnixMilli(), Status: v.Status, Rooms: v.Hub.Rooms, Members: v.Hub.Members,
		Bans: len(a.o.Bans.List(now)), Lines: a.o.Lines.last(), Troubles: troubles(v.SelfTest.Faults)}
	for _, c := range v.TURN.Counts {
		l.Allocations += c.N
	}
	h := &v.Hub
	l.Status.Signal = signal.Snapshot{Connections: h.Connections, Sessions: h.Sessions, Users: h.Users,
		Rooms: []signal.RoomSnapshot{}, Counters: h.Counters, Refusals: h.Refusals, Draining: h.Draining,
		Dialects: h.Dialects}
	return l
}

func troubles(faults []status.Fault) []Trouble {
	out := []Trouble{}
	for _, f := range faults {
		t, _ := trouble.Of(f.Code)
		out = append(out, Trouble{f, Words{t.EN.What, t.ZH.What}, Words{t.EN.Fix, t.ZH.Fix}})
	}
	return out
}

// limits tells how much is used of what is limited.
func (l *Live) limits(m Limits) []Limit {
	out := []Limit{}
	for _, limit := range []Limit{
		{"turn.limits.allocations", int64(l.Allocations), m.Allocations},
		{"turn.limits.total_bandwidth", int64(l.Rate.FromClient + l.Rate.ToClient), m.Bandwidth},
		{"signal.sessions", int64(l.Status.Signal.Sessions), m.Sessions},
		{"signal.rooms", int64(l.Rooms), m.Rooms},
	} {
		if limit.Max > 0 {
			out = append(out, limit)
		}
	}
	return out
}

// pace makes rates of what has been relayed since the start.
type pace struct {
	at       time.Time
	from, to uint64
}

func (p *pace) rate(now time.Time, v *status.Vitals) (r Rate) {
	from, to := v.TURN.Relayed.FromClientBytes, v.TURN.Relayed.ToClientBytes
	if !p.at.IsZero() {
		r = rateOf(from-p.from, to-p.to, now.Sub(p.at))
	}
	*p = pace{now, from, to}
	return r
}

func rateOf(from, to uint64, in time.Duration) Rate {
	if in <= 0 {
		return Rate{}
	}
	return Rate{float64(from) / in.Seconds(), float64(to) / in.Seconds()}
}

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
	after, err := afterOf(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, BadRequest, err.Error())
		return
	}
	answer.JSON(w, http.StatusOK, History{livePerPoint * int(liveEvery/time.Second), a.history.after(after)})
}

// feed hands events to its readers.
type feed struct {
	mu sync.Mutex
	// By whose token each reads. A channel holds the last event that its reader has not taken.
	readers map[chan []byte]string
	over    bool
}

func (f *feed) watched() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.readers) > 0
}

// join returns where events come, or nil if there are too many readers: nobody takes the owner's
// places, nor all of the others'.
func (f *feed) join(token string) chan []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	others, own := 0, 0
	for _, whose := range f.readers {
		if whose == token {
			own++
		}
		if whose != owner {
			others++
		}
	}
	if f.over || own >= readersEach || token != owner && others >= maxReaders {
		return nil
	}
	if f.readers == nil {
		f.readers = map[chan []byte]string{}
	}
	events := make(chan []byte, 1)
	f.readers[events] = token
	return events
}

func (f *feed) leave(events chan []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readers, events)
}

func (f *feed) publish(text []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for events := range f.readers {
		select {
		case <-events: // not taken yet, and old now
		default:
		}
		events <- text // there is room: nobody else sends
	}
}

func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	for events := range f.readers {
		close(events)
	}
	f.readers = nil
}

// serveEvents sends Lives as server-sent events.
func (a *API) serveEvents(w http.ResponseWriter, r *http.Request) {
	token, _ := r.Context().Value(visitor{}).(*Token)
	events := a.feed.join(token.Name)
	if events == nil {
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, TooManyPages, "the feed has too many readers")
		return
	}
	defer a.feed.leave(events)
	// The HTTP server's timeouts are for requests and answers that end soon.
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Time{}) //nolint:errcheck // where there are no deadlines, none ends it
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Accel-Buffering", "no") // nginx would gather events otherwise
	over := time.NewTimer(feedLife)
	defer over.Stop()
	page, paged := a.sessionOf(r)
	paged = paged && answer.Bearer(r) == ""
	for {
		select {
		case <-r.Context().Done():
			return
		case <-over.C:
			return
		case text, open := <-events:
			if !open || a.find(func(t Token) bool { return t == *token }) == nil || // it was taken back
				paged && a.ended.has(page) {
				return
			}
			control.SetWriteDeadline(time.Now().Add(feedPatience)) //nolint:errcheck // as above
			if _, err := w.Write(append(append([]byte("data: "), text...), "\n\n"...)); err != nil {
				return
			}
			if control.Flush() != nil {
				return
			}
		}
	}
}
