package admin

import (
	"context"
	"encoding/json"
	"time"

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

// liveEvery is how often a Live is made.
const liveEvery = time.Second

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
