package rooms

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"signalbox/internal/admission"
	"signalbox/signal"
	"signalbox/signal/native"
)

// operation is one row of the table of what the API can do.
type operation struct {
	method, path string
	may          Right
	query        []string    // names of parameters behind the path
	in           any         // the type of the body; nil: none
	out          map[int]any // the types of the answers, by status; nil: no body
	fails        []int       // the other statuses, besides those that every operation has
	serve        func(*call) (status int, out any, err error)
}

// everyFailure has the statuses with which any operation may fail.
func everyFailure() []int {
	return []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests,
		http.StatusInternalServerError}
}

const room = "/api/rooms/{room}"

// operations is the table.
func operations() []operation {
	const badRequest, tooLarge, goingDown = http.StatusBadRequest, http.StatusRequestEntityTooLarge,
		http.StatusServiceUnavailable
	return []operation{
		{method: "GET", path: "/api/rooms", may: Read, query: []string{"after", "limit"},
			out: map[int]any{200: List{}}, fails: []int{badRequest}, serve: list},
		{method: "POST", path: "/api/rooms", may: Keep, in: Plan{},
			out: map[int]any{200: Room{}, 201: Room{}}, fails: []int{badRequest, tooLarge, goingDown}, serve: keep},
		{method: "GET", path: room, may: Read, out: map[int]any{200: Room{}}, serve: show},
		{method: "DELETE", path: room, may: Keep, out: map[int]any{204: nil}, serve: end},
		{method: "POST", path: room + "/kick", may: Kick, in: Whom{},
			out: map[int]any{200: Kicked{}}, fails: []int{badRequest, tooLarge}, serve: kick},
		{method: "POST", path: room + "/send", may: Send, in: Message{},
			out: map[int]any{204: nil}, fails: []int{badRequest, tooLarge}, serve: sendRoom},
		{method: "POST", path: "/api/send", may: Send, in: Letter{},
			out: map[int]any{204: nil}, fails: []int{badRequest, tooLarge}, serve: send},
		{method: "POST", path: "/api/tokens", may: Tokens, in: TokenRequest{},
			out: map[int]any{200: admission.Token{}}, fails: []int{badRequest, tooLarge}, serve: mint},
	}
}

// Limits of requests.
const (
	maxBody    = 64 << 10 // bytes
	maxUsers   = 1000     // of a plan
	maxRooms   = 100      // of a token
	maxCap     = 10_000   // members
	maxPage    = 1000     // rooms
	stdPage    = 100
	stdKept    = 24 * time.Hour
	maxKept    = 30 * 24 * time.Hour
	stdToken   = time.Hour
	maxToken   = 365 * 24 * time.Hour
	frameExtra = 1 << 10
)

// List is a page of rooms, by name.
type List struct {
	Rooms []Room `json:"rooms"`
	Next  string `json:"next,omitempty"` // if there may be more: ask for those after this name
}

// Room is a room and its members.
type Room struct {
	Room     string        `json:"room"`
	Capacity int           `json:"capacity"`          // 0: no limit
	Policy   signal.Policy `json:"policy,omitempty"`  // of a room that the API has made
	Users    []string      `json:"users,omitempty"`   // under the policy invited
	Expires  int64         `json:"expires,omitempty"` // Unix milliseconds
	Members  []Member      `json:"members"`           // in the order of joining
}

// Member is a session in a room.
type Member struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	User  string `json:"user,omitempty"`
	Since int64  `json:"since"`          // when it joined, in Unix milliseconds
	Away  bool   `json:"away,omitempty"` // its connection was lost, and it may come back
}

func roomOf(s *signal.RoomSnapshot) Room {
	out := Room{Room: s.Room, Capacity: s.Capacity, Policy: s.Policy, Users: s.Users, Expires: s.Expires,
		Members: make([]Member, len(s.Members))}
	for i, m := range s.Members {
		out.Members[i] = Member{ID: m.ID, Name: m.Name, User: m.User, Since: m.Since, Away: m.Away}
	}
	return out
}

func list(c *call) (int, any, error) {
	query := c.r.URL.Query()
	limit := stdPage
	if s := query.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxPage {
			return 0, nil, badRequest("limit is not a whole number from 1 to %d", maxPage)
		}
		limit = n
	}
	page := c.api.hub.Rooms(query.Get("after"), limit, c.key.covers)
	out := List{Rooms: []Room{}}
	for i := range page {
		out.Rooms = append(out.Rooms, roomOf(&page[i]))
	}
	if len(page) == limit {
		out.Next = page[limit-1].Room
	}
	return http.StatusOK, out, nil
}

func show(c *call) (int, any, error) {
	shot, ok := c.api.hub.Room(c.room)
	if !ok {
		return 0, nil, signal.Refuse(signal.CodeNoSuchRoom, "")
	}
	return http.StatusOK, roomOf(&shot), nil
}

// Plan is a room that is to be made, or changed.
type Plan struct {
	Room     string        `json:"room"`
	Capacity int           `json:"capacity,omitempty"` // 0: signal.room_capacity
	Policy   signal.Policy `json:"policy,omitempty"`   // open, invited or locked; empty: open
	Users    []string      `json:"users,omitempty"`    // who may join under the policy invited
	TTL      string        `json:"ttl,omitempty"`      // how long it stands: "90m"; empty: a day
}

func keep(c *call) (int, any, error) {
	var in Plan
	if err := c.read(&in, maxBody); err != nil {
		return 0, nil, err
	}
	in.Room = signal.RoomName(in.Room)
	kept, err := duration("ttl", in.TTL, stdKept, maxKept)
	switch {
	case err != nil:
		return 0, nil, err
	case in.Room == "":
		return 0, nil, badRequest("room is missing")
	case !c.key.covers(in.Room):
		return 0, nil, forbidden("this key is not for that room")
	case in.Capacity < 0 || in.Capacity > maxCap:
		return 0, nil, badRequest("capacity is not a whole number from 0 to %d", maxCap)
	case len(in.Users) > maxUsers:
		return 0, nil, badRequest("users are more than %d", maxUsers)
	case in.Policy != signal.PolicyInvited && len(in.Users) > 0:
		return 0, nil, badRequest(`users are for the policy "invited" only`)
	}
	switch in.Policy = cmp.Or(in.Policy, signal.PolicyOpen); in.Policy {
	case signal.PolicyOpen, signal.PolicyInvited, signal.PolicyLocked:
	default:
		return 0, nil, badRequest("policy is none of open, invited, locked")
	}
	for _, user := range in.Users {
		if err := signal.CheckText("users", user, signal.MaxUser); err != nil {
			return 0, nil, err
		}
	}
	fresh, err := c.api.hub.Keep(signal.Plan{
		Room: in.Room, Capacity: in.Capacity, Policy: in.Policy, Users: in.Users, Expires: time.Now().Add(kept),
	})
	if err != nil {
		if signal.RefusalOf(err).Code == signal.CodeNoSuchRoom {
			err = signal.Refuse(signal.CodeRateLimited, "there are as many rooms as signal.rooms allows")
		}
		return 0, nil, err
	}
	status := http.StatusOK
	if fresh {
		status = http.StatusCreated
	}
	shot, _ := c.api.hub.Room(in.Room) // else it is over already, as was asked for
	shot.Room = in.Room
	return status, roomOf(&shot), nil
}

// duration reads one; empty means std.
func duration(field, text string, std, most time.Duration) (time.Duration, error) {
	if text == "" {
		return std, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d > most {
		return 0, badRequest(`%s is not a duration from "1s" to "%.0fh": write "90m"`, field, most.Hours())
	}
	return d, nil
}

func end(c *call) (int, any, error) {
	if err := c.api.hub.CloseRoom(c.room); err != nil {
		return 0, nil, err
	}
	c.api.log.Info("room closed by the server API", "key", c.key.Name, "room", c.room)
	return http.StatusNoContent, nil, nil
}

// Whom names members of a room, by one of its fields.
type Whom struct {
	Peer string `json:"peer,omitempty"`
	User string `json:"user,omitempty"`
}

// Kicked counts those who had to leave.
type Kicked struct {
	Kicked int `json:"kicked"`
}

func kick(c *call) (int, any, error) {
	var in Whom
	if err := c.read(&in, maxBody); err != nil {
		return 0, nil, err
	}
	if (in.Peer == "") == (in.User == "") {
		return 0, nil, badRequest("name either a peer or a user")
	}
	user := signal.Visible(in.User)
	gone, err := c.api.hub.Evict(c.room, func(m signal.Member) bool {
		return in.Peer != "" && m.ID == in.Peer || user != "" && m.User == user
	})
	if err != nil {
		return 0, nil, err
	}
	if len(gone) == 0 {
		return 0, nil, signal.Refuse(signal.CodeNoSuchPeer, "")
	}
	c.api.log.Info("kicked from a room by the server API", "key", c.key.Name, "room", c.room, "peer", gone[0].ID,
		"user", gone[0].User)
	return http.StatusOK, Kicked{len(gone)}, nil
}

// Message is for a room.
type Message struct {
	To   string          `json:"to,omitempty"` // a member's peer id; empty: all members
	Data json.RawMessage `json:"data"`         // any JSON
}

// Letter is for one session.
type Letter struct {
	To   string          `json:"to"` // a peer id, or "@" and a user's name
	Data json.RawMessage `json:"data"`
}

func sendRoom(c *call) (int, any, error) {
	var in Message
	if err := c.read(&in, c.api.hub.MaxFrame()+frameExtra); err != nil {
		return 0, nil, err
	}
	err := checkData(in.Data, c.api.hub.MaxFrame())
	switch {
	case err != nil:
	case in.To == "":
		err = c.api.hub.TellRoom(c.room, in.Data)
	default:
		err = c.api.hub.TellMember(c.room, in.To, in.Data)
	}
	return http.StatusNoContent, nil, err
}

func send(c *call) (int, any, error) {
	var in Letter
	if err := c.read(&in, c.api.hub.MaxFrame()+frameExtra); err != nil {
		return 0, nil, err
	}
	err := checkData(in.Data, c.api.hub.MaxFrame())
	switch {
	case err != nil:
	case in.To == "":
		err = badRequest("to is missing")
	case len(c.key.Rooms) > 0:
		err = forbidden("this key is for some rooms only: send to a member with /api/rooms/{room}/send")
	case len(c.key.Users) > 0 && !c.key.speaksTo(in.To):
		err = forbidden("this key is not for that user, or a peer: send to \"@\" and a user's name")
	default:
		err = c.api.hub.Tell(in.To, in.Data)
	}
	return http.StatusNoContent, nil, err
}

// speaksTo reports whether a key for some users is for the one that a letter is to.
func (k *Key) speaksTo(to string) bool {
	user, named := strings.CutPrefix(to, "@")
	return named && k.coversUser(user)
}

// checkData refuses what a client might not send either: some could not read it.
func checkData(data []byte, limit int) error {
	switch {
	case len(data) == 0:
		return badRequest("data is missing")
	case len(data) > limit:
		return tooLarge("data is longer than signal.max_frame, %d bytes", limit)
	}
	return native.CheckData(data)
}

// TokenRequest describes a room token, as signalbox token does.
type TokenRequest struct {
	Rooms    []string `json:"rooms,omitempty"`         // names, as they are
	Patterns []string `json:"room_patterns,omitempty"` // names, in which * matches any characters
	User     string   `json:"user,omitempty"`          // makes its bearer "@user"
	Name     string   `json:"name,omitempty"`          // is shown to others
	Subject  string   `json:"sub,omitempty"`           // the bearer in the app's own words
	Capacity int      `json:"capacity,omitempty"`      // of a room that its bearer opens
	TTL      string   `json:"ttl,omitempty"`           // how long it is valid: "12h"; empty: an hour
}

func mint(c *call) (int, any, error) {
	var in TokenRequest
	if err := c.read(&in, maxBody); err != nil {
		return 0, nil, err
	}
	ttl, err := duration("ttl", in.TTL, stdToken, maxToken)
	switch {
	case err != nil:
		return 0, nil, err
	case len(in.Rooms)+len(in.Patterns) > maxRooms:
		return 0, nil, badRequest("rooms are more than %d", maxRooms)
	case len(in.Rooms)+len(in.Patterns) == 0 && len(c.key.Rooms) > 0:
		return 0, nil, forbidden("this key is for some rooms only: name them in rooms")
	case in.User != "" && !c.key.coversUser(in.User):
		return 0, nil, forbidden("this key is not for that user")
	}
	// What matches a pattern matches all that cover it.
	for _, room := range slices.Concat(in.Rooms, in.Patterns) {
		if !c.key.covers(room) {
			return 0, nil, forbidden("this key is not for that room")
		}
	}
	token, err := c.mint(admission.TokenRequest{
		Rooms: in.Rooms, Patterns: in.Patterns, User: in.User, Name: in.Name, Subject: in.Subject,
		Capacity: in.Capacity, TTL: ttl,
	})
	if err != nil {
		return 0, nil, badRequest("%v", err)
	}
	return http.StatusOK, token, nil
}
