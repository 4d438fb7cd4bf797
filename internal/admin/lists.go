package admin

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/status"
	"signalbox/signal"
)

// The long lists: rooms with who is in them, sessions and allocations, each in pages, searched and
// sorted here. All who ask within a second are answered from one snapshot.

// Page says which part of a list an answer has.
type Page struct {
	Total  int `json:"total"` // entries that the search has found
	Offset int `json:"offset"`
}

// AllocationRow is an allocation with whose it is.
type AllocationRow struct {
	status.Allocation
	Name string `json:"name,omitempty"` // of the session for which its credential is
	Room string `json:"room,omitempty"` // the first of that session
	Rate Rate   `json:"rate"`
}

// AllocationList is a page of allocations.
type AllocationList struct {
	Page
	Allocations []AllocationRow `json:"allocations"`
}

// Person is a session in a room, with its allocations.
type Person struct {
	signal.MemberSnapshot
	Rate        Rate            `json:"rate"`
	Allocations []AllocationRow `json:"allocations"`
}

// Room is a room with its members.
type Room struct {
	Room     string        `json:"room"`
	Capacity int           `json:"capacity"` // 0: no limit
	Policy   signal.Policy `json:"policy,omitempty"`
	Expires  int64         `json:"expires,omitempty"` // Unix milliseconds
	Rate     Rate          `json:"rate"`
	// People are at most maxPeople of those whom the search has found; Members counts all.
	People  []Person `json:"people"`
	Members int      `json:"members"`
}

// RoomList is a page of rooms.
type RoomList struct {
	Page
	Rooms []Room `json:"rooms"`
}

// SessionRow is a session of the hub.
type SessionRow struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"` // empty: it is in no room
	User        string     `json:"user,omitempty"`
	Source      netip.Addr `json:"source"`
	Rooms       []string   `json:"rooms"`
	Allocations int        `json:"allocations"`
	Rate        Rate       `json:"rate"`
}

// SessionList is a page of sessions.
type SessionList struct {
	Page
	Sessions []SessionRow `json:"sessions"`
}

// MaxPage is how many entries of a list an answer has at most.
const MaxPage = 500

const (
	stdPage   = 50
	maxPeople = 100
)

// shot is the status at one moment, and how fast each allocation was until then.
type shot struct {
	at     time.Time
	status status.Status
	rows   []AllocationRow
	byPeer map[string][]AllocationRow // by the peer id of the credential
	// sessions are looked at once somebody asks for them: the hub stands still meanwhile.
	sessions func() []SessionRow
}

// shots makes one a second at most, and another one after each change of Changed: whoever was told
// that it is done sees it done.
type shots struct {
	changes atomic.Uint64

	mu   sync.Mutex
	last *shot
	seen uint64 // what changes was before the last one was made
	// Its rates are measured from since, liveEvery before at least, however many changes there are;
	// next is what comes after that.
	since, next moment
}

// moment is what had been relayed until a time.
type moment struct {
	at   time.Time
	rows []AllocationRow
}

// rateWithin is how old a snapshot may be to tell a rate.
const rateWithin = 30 * time.Second

// Changed says that somebody was put out or a room was closed: the next list is made anew.
func (a *API) Changed() { a.shots.changes.Add(1) }

func (a *API) shot() *shot {
	a.shots.mu.Lock()
	defer a.shots.mu.Unlock()
	now, last, changes := time.Now(), a.shots.last, a.shots.changes.Load()
	young := last != nil && now.Sub(last.at) < liveEvery
	if young && changes == a.shots.seen {
		return last
	}
	due := now.Sub(a.shots.next.at) >= liveEvery
	if due {
		a.shots.since = a.shots.next
	}
	since := a.shots.since
	s := &shot{at: now, status: a.o.Status(), byPeer: map[string][]AllocationRow{}}
	before := map[string]*status.Allocation{}
	if now.Sub(since.at) < rateWithin {
		for i := range since.rows {
			before[since.rows[i].ID] = &since.rows[i].Allocation
		}
	}
	names, rooms := whoIsWhere(s.status.Signal.Rooms)
	for _, al := range s.status.TURN.Allocations {
		peer := peerOf(al.User)
		row := AllocationRow{Allocation: al, Name: names[peer]}
		if in := rooms[peer]; len(in) > 0 {
			row.Room = in[0]
		}
		if b := before[al.ID]; b != nil {
			row.Rate = rateOf(al.FromClientBytes-b.FromClientBytes, al.ToClientBytes-b.ToClientBytes, now.Sub(since.at))
		}
		s.rows = append(s.rows, row)
		s.byPeer[peer] = append(s.byPeer[peer], row)
	}
	s.sessions = sync.OnceValue(func() (rows []SessionRow) {
		for _, k := range a.sessions(func(signal.Kicked) bool { return true }) {
			rows = append(rows, SessionRow{ID: k.ID, Name: names[k.ID], User: k.User, Source: k.Source,
				Rooms: append([]string{}, rooms[k.ID]...), Allocations: len(s.byPeer[k.ID]), Rate: sum(s.byPeer[k.ID])})
		}
		return rows
	})
	if due {
		a.shots.next = moment{now, s.rows}
	}
	a.shots.last, a.shots.seen = s, changes
	return s
}

// whoIsWhere returns the names of members and the rooms that they are in, by peer id.
func whoIsWhere(rooms []signal.RoomSnapshot) (names map[string]string, in map[string][]string) {
	names, in = map[string]string{}, map[string][]string{}
	for _, r := range rooms {
		for _, m := range r.Members {
			names[m.ID] = m.Name
			in[m.ID] = append(in[m.ID], r.Room)
		}
	}
	return names, in
}

// peerOf is the peer id in the user name of a hub's credential, "<expiry>:<peer id>".
func peerOf(user string) string {
	_, peer, _ := strings.Cut(user, ":")
	return peer
}

func sum(rows []AllocationRow) (r Rate) {
	for i := range rows {
		r = r.plus(rows[i].Rate)
	}
	return r
}

func (r Rate) plus(other Rate) Rate {
	return Rate{r.FromClient + other.FromClient, r.ToClient + other.ToClient}
}

func (r Rate) both() float64 { return r.FromClient + r.ToClient }

func bytesOf(al *status.Allocation) uint64 { return al.FromClientBytes + al.ToClientBytes }

func (a *API) serveAllocations(w http.ResponseWriter, r *http.Request) {
	list(w, r, func(q query) any {
		var rows []AllocationRow
		for _, row := range a.shot().rows {
			if q.outside && row.Room != "" {
				continue
			}
			if q.finds(row.User, row.Name, row.Room, row.Client, row.Relay, row.ID) {
				rows = append(rows, row)
			}
		}
		slices.SortStableFunc(rows, func(a, b AllocationRow) int {
			switch q.sort {
			case "rate":
				return cmp.Compare(b.Rate.both(), a.Rate.both())
			case "age":
				return cmp.Compare(a.CreatedAt, b.CreatedAt)
			case "user":
				return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.User, b.User))
			}
			return cmp.Compare(bytesOf(&b.Allocation), bytesOf(&a.Allocation))
		})
		var out AllocationList
		out.Allocations, out.Page = cut(rows, q)
		return out
	}, append([]string{"outside"}, parameters...), "bytes", "rate", "age", "user")
}

func (a *API) serveRooms(w http.ResponseWriter, r *http.Request) {
	list(w, r, func(q query) any {
		s := a.shot()
		var rooms []Room
		for _, room := range s.status.Signal.Rooms {
			if found, ok := s.room(&room, q); ok {
				rooms = append(rooms, found)
			}
		}
		slices.SortStableFunc(rooms, func(a, b Room) int {
			switch q.sort {
			case "rate":
				return cmp.Compare(b.Rate.both(), a.Rate.both())
			case "members":
				return cmp.Compare(b.Members, a.Members)
			}
			return cmp.Compare(a.Room, b.Room)
		})
		var out RoomList
		out.Rooms, out.Page = cut(rooms, q)
		return out
	}, parameters, "name", "rate", "members")
}

// room returns a room, if it or somebody in it is what is searched for. If its name is, everybody
// in it is found.
func (s *shot) room(room *signal.RoomSnapshot, q query) (out Room, found bool) {
	out = Room{Room: room.Room, Capacity: room.Capacity, Policy: room.Policy, Expires: room.Expires,
		People: []Person{}, Members: len(room.Members)}
	whole := q.finds(room.Room)
	for _, m := range room.Members {
		rows := s.byPeer[m.ID]
		rate := sum(rows)
		out.Rate = out.Rate.plus(rate)
		if !whole && !q.finds(m.Name, m.User, m.ID, m.Source.String()) {
			continue
		}
		found = true
		if len(out.People) < maxPeople {
			rows = slices.SortedStableFunc(slices.Values(rows), func(a, b AllocationRow) int {
				return cmp.Compare(bytesOf(&b.Allocation), bytesOf(&a.Allocation))
			})
			out.People = append(out.People, Person{m, rate, append([]AllocationRow{}, rows...)})
		}
	}
	return out, found || whole
}

func (a *API) serveSessions(w http.ResponseWriter, r *http.Request) {
	list(w, r, func(q query) any {
		var rows []SessionRow
		for _, row := range a.shot().sessions() {
			if q.finds(append([]string{row.ID, row.Name, row.User, row.Source.String()}, row.Rooms...)...) {
				rows = append(rows, row)
			}
		}
		slices.SortFunc(rows, func(a, b SessionRow) int {
			byName := cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
			if q.sort == "rate" {
				return cmp.Or(cmp.Compare(b.Rate.both(), a.Rate.both()), byName)
			}
			return byName
		})
		var out SessionList
		out.Sessions, out.Page = cut(rows, q)
		return out
	}, parameters, "name", "rate")
}
