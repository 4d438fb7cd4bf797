package socketio

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"signalbox/signal"
	"signalbox/signal/internal/object"
)

// rooms is the handler of one socket: it joins rooms by the events of one tutorial.
type rooms struct {
	hub *signal.Hub
	o   *Options
	t   *table
	row atomic.Pointer[row] // nil: it has joined by none

	in    []string        // rooms that the client has joined, the last one last; owned by Event
	seats map[string]bool // rooms of which it has heard that it is in; owned by Encode
}

func (r *rooms) Serves(string) bool { return false }

// current is the row whose events the client knows.
func (r *rooms) current() *row {
	if row := r.row.Load(); row != nil {
		return row
	}
	return r.t.relay
}

// Connected joins the room that the client has named as it connected.
func (r *rooms) Connected(s *Socket, _ string, auth []byte) {
	if room := s.said(auth, "room"); r.o.Relay && room != "" {
		r.join(s, r.t.relay, room, "")
	}
}

// Disconnected leaves all rooms.
func (r *rooms) Disconnected(s *Socket) {
	for _, room := range r.in {
		s.Leave(room) //nolint:errcheck // the operator may have taken it out already
	}
	r.in = nil
}

// Event does what the client's row says, or passes the event on. What has no effect is counted.
func (r *rooms) Event(s *Socket, p *Packet) {
	row := r.row.Load()
	if row != nil {
		if says := row.says[p.Event]; says != "" { // almost always
			r.say(s, row, says, p)
			return
		}
	}
	joins := r.t.byJoin[p.Event]
	switch {
	case joins != nil && (row == nil || row == joins):
		room, note := p.room(), p.note(joins.note)
		if room == "" {
			s.Refuse(errNoRoom)
			return
		}
		if len(note) > maxNote {
			s.Refuse(errNote)
			s.Emit("/", event("error", longNote))
			return
		}
		r.row.Store(joins) // before the hub tells of the room
		r.join(s, joins, room, note)
	case joins != nil:
		s.Refuse(signal.Refuse(signal.CodeNotInRoom, "the socket has joined otherwise"))
	case row != nil && p.Event == row.leave:
		r.leave(s, p.room())
	case r.t.server[p.Event]:
		s.Refuse(signal.Refuse(signal.CodeNotInRoom, "only the server says that"))
	case r.o.Relay && len(r.in) > 0 && (row == nil || !slices.Contains(row.ignores, p.Event)):
		room := r.in[len(r.in)-1]
		lent := s.Lend(len(eventStart) + len(p.Data))
		lent.Bytes = append(append(lent.Bytes, eventStart...), p.Data...)
		if err := r.tell(s, room, lent, p.Binary); err != nil {
			s.Refuse(err)
			return
		}
		s.Answer(p, []byte(`[{"peers":`+strconv.Itoa(s.Peers(room))+`}]`))
	default:
		s.Refuse(signal.Refuse(signal.CodeNotInRoom, "nobody hears that"))
	}
}

// maxNote is how many bytes the name may have that a client gives itself as it joins.
const maxNote = 1 << 10

// errNoRoom refuses what is no name of a room.
var errNoRoom = signal.Refuse(signal.CodeNoSuchRoom, "that is no name of a room")

// errNote refuses a name that is too long.
var errNote = signal.Refuse(signal.CodeTooLarge, longNote)

const longNote = "the name with which the client joins has more than 1024 bytes"

// room is the first argument, if that is a name of a room.
func (p *Packet) room() string {
	name, ok := object.Text(p.arg(0))
	if !ok || signal.CheckText("room", name, signal.MaxRoom) != nil {
		return ""
	}
	return name
}

// arg is an argument, or null, as which JavaScript would send it if there is none.
func (p *Packet) arg(i int) []byte {
	if i >= len(p.Args) {
		return []byte("null")
	}
	return p.Args[i]
}

// note is the argument at i that others are to know, if i is not 0.
func (p *Packet) note(i int) string {
	if i == 0 || len(p.Binary) > 0 {
		return ""
	}
	return string(p.arg(i))
}

func (r *rooms) join(s *Socket, row *row, room, note string) {
	capacity := row.capacity
	if capacity == 0 {
		capacity = r.o.Capacity
	}
	if err := s.Join(signal.Join{Room: room, Capacity: capacity, Note: note}); err != nil {
		s.Refuse(err)
		r.turnAway(s, row, room, err)
		return
	}
	r.in = append(slices.DeleteFunc(r.in, func(in string) bool { return in == room }), room)
	if err := s.ICE(); err != nil {
		s.Refuse(err)
	}
}

// turnAway tells the client that it may not join. Pages of most rows know one word for that, full,
// and would wait in vain without it: they get it whatever the reason is. If there is another, or no
// such word, the event error has a sentence.
func (r *rooms) turnAway(s *Socket, row *row, room string, why error) {
	code := signal.RefusalOf(why).Code
	if row.full != nil {
		switch code {
		case signal.CodeRoomFull:
			shot, _ := r.hub.Room(Space + "/" + room)
			s.emitAll(row.full(room, s.ID(), len(shot.Members)))
			return
		// Who may not enter isn't told how many are in.
		case signal.CodeNoSuchRoom, signal.CodeUnauthorized:
			s.emitAll(row.full(room, s.ID(), unknown))
		}
	}
	s.Emit("/", event("error", why.Error()))
}

// unknown is a number of members that the client isn't told.
const unknown = -1

func (s *Socket) emitAll(events [][]byte) {
	for _, event := range events {
		s.Emit("/", event)
	}
}

func (r *rooms) leave(s *Socket, room string) {
	if err := s.Leave(room); err != nil {
		s.Refuse(err)
		return
	}
	r.in = slices.DeleteFunc(r.in, func(in string) bool { return in == room })
}

// say passes on what a member says, under the name that it has for the others.
func (r *rooms) say(s *Socket, row *row, name string, p *Packet) {
	room, quoted, data := "", []byte(nil), p.arg(0)
	if row.named {
		room, quoted = r.named(p)
		data = p.arg(1)
	} else if len(r.in) > 0 {
		room = r.in[len(r.in)-1]
	}
	if room == "" {
		s.Refuse(errNoRoom)
		return
	}
	if row.heard != nil && s.Peers(room) < 0 {
		s.Refuse(signal.Refuse(signal.CodeNotInRoom, ""))
		return
	}
	if row.heard != nil {
		s.Emit("/", row.heard(data), p.Binary...)
	}
	if row.bye != "" && string(data) == row.bye {
		r.leave(s, room) // which tells the others
		return
	}
	lent := s.Lend(len(eventStart) + len(`["",,]`) + len(name) + len(quoted) + len(data))
	text := object.AppendQuote(append(lent.Bytes, eventStart+"["...), name)
	if row.named {
		text = append(append(text, ','), quoted...)
	}
	lent.Bytes = append(append(append(text, ','), data...), ']')
	if err := r.tell(s, room, lent, p.Binary); err != nil {
		s.Refuse(err)
	}
}

// named is the room that the first argument names, and its name in JSON: one that the socket has
// joined, mostly.
func (r *rooms) named(p *Packet) (room string, quoted []byte) {
	quoted = p.arg(0)
	if bytes.IndexByte(quoted, '\\') < 0 {
		for _, in := range r.in {
			if len(quoted) == len(in)+2 && quoted[0] == '"' && string(quoted[1:1+len(in)]) == in {
				return in, quoted
			}
		}
	}
	room = p.room()
	return room, quote(room)
}

// tell says an event to the others in a room, given as the packet that they get if there are no
// binary values and they are of the same row.
func (r *rooms) tell(s *Socket, room string, packet *signal.Lent, binary [][]byte) error {
	event := packet.Bytes[len(eventStart):]
	if len(binary) > 0 {
		return s.Broadcast(signal.Broadcast{Room: room, Data: toRoom(event, binary), Lent: packet})
	}
	return s.Broadcast(signal.Broadcast{
		Room: room, Data: event, Frames: []signal.Frame{{Body: packet.Bytes}},
		Encoding: r.current().encoding(s.Version), Lent: packet,
	})
}

func (r *rooms) Encoding(s *Socket, e signal.Event) any {
	row := r.current()
	if _, left := e.(signal.PeerLeft); left && row.own {
		return nil // who remains hears its own id
	}
	return row.encoding(s.Version)
}

// Encode makes the events that the client's row has for what happens.
func (r *rooms) Encode(s *Socket, dst []signal.Frame, e signal.Event) []signal.Frame {
	row := r.current()
	var events [][]byte
	switch e := e.(type) {
	case signal.Joined:
		room := local(e.Room)
		if r.seats == nil {
			r.seats = make(map[string]bool)
		}
		events = row.joined(room, s.ID(), len(e.Peers), r.seats[room])
		r.seats[room] = true
	case signal.Left:
		delete(r.seats, local(e.Room))
		events = row.left(local(e.Room), s.ID(), e.Reason)
	case signal.PeerJoined:
		events = row.came(local(e.Room), e.Peer.ID, noteOf(e.Peer.Note, e.Peer.Name))
	case signal.PeerLeft:
		if e.Room != "" {
			events = row.went(local(e.Room), e.Peer.ID, noteOf(e.Note, e.Peer.Name), s.ID())
		}
	case signal.ICEUpdated:
		if len(r.seats) > 0 {
			events = [][]byte{iceEvent(e.ICE)}
		}
	case signal.Broadcasted:
		return r.heard(dst, s.Version, row, e.From.ID, e.Room, e.Data)
	case signal.Signaled:
		return r.heard(dst, s.Version, row, e.From.ID, e.Room, e.Data)
	}
	for _, event := range events {
		dst = frames(dst, s.Version, typeEvent, "/", "", event)
	}
	return dst
}

// heard makes what somebody has said an event: it is one that they may say, or the row's own for
// data.
func (r *rooms) heard(dst []signal.Frame, version int, row *row, from, room string, data []byte) []signal.Frame {
	name, event, binary, ok := fromRoom(data)
	if !ok || from != signal.ServerID && !r.mayHear(row, name) {
		binary = nil
		if !object.Valid(data) {
			data = quote(string(data))
		}
		event = event1(row.data, data)
		if row.named {
			event = array(quote(row.data), quote(local(room)), data)
		}
	}
	return frames(dst, version, typeEvent, "/", "", event, binary...)
}

// mayHear reports whether a client hears an event of another member: one of its row, or, with
// Options.Relay, any that is not the server's own.
func (r *rooms) mayHear(row *row, name string) bool {
	return row.hears(name) || r.o.Relay && !r.t.server[name]
}

// local is the name that a room of the hub's has here.
func local(room string) string { return strings.TrimPrefix(room, Space+"/") }

// noteOf is what others know of a member, as JSON. Who is not one of ours has a name, perhaps.
func noteOf(note, name string) []byte {
	switch {
	case note != "" && object.Valid([]byte(note)):
		return []byte(note)
	case name != "":
		return quote(name)
	}
	return []byte("null")
}

// iceEvent tells the client its ICE servers.
func iceEvent(ice signal.ICE) []byte {
	var body struct {
		Servers []signal.ICEServer `json:"iceServers"`
		Expires int64              `json:"iceExpiresAt,omitempty"`
	}
	body.Servers = ice.Servers
	if !ice.Expires.IsZero() {
		body.Expires = ice.Expires.UnixMilli()
	}
	text, _ := json.Marshal(body) // strings and a number always have JSON
	return event1("ice", text)
}

// event1 is an event with one argument, in JSON.
func event1(name string, argument []byte) []byte { return array(quote(name), argument) }

// event is an event whose arguments are strings.
func event(name string, arguments ...string) []byte {
	words := [][]byte{quote(name)}
	for _, a := range arguments {
		words = append(words, quote(a))
	}
	return array(words...)
}
