package socketio

import (
	"fmt"

	"signalbox/signal"
)

// row is one tutorial's server: the events by which its clients join rooms and talk, and those that
// they are told.
type row struct {
	// join is the event that joins the room of its first argument. A socket's first one says of
	// which row it is.
	join     string
	note     int               // the argument of join that others are told; 0: none
	capacity int               // of a room; 0: Options.Capacity
	leave    string            // an event that leaves the room of its first argument; empty: none
	says     map[string]string // what members say, and as what the others hear it
	named    bool              // they say it with the room as the first argument
	data     string            // what others hear of clients of other protocols
	bye      string            // the data, in JSON, with which a member leaves; empty: none does
	own      bool              // went tells the client its own id
	ignores  []string          // events that are never answered
	server   []string          // events that only the server says, whatever members may

	// heard is what a sender is told of what it has said. The others are the events for a client:
	// full if there is no place for it, joined and left for itself, came and went for another one.
	// nil: nothing.
	heard  func(data []byte) []byte
	full   func(room, id string, others int) [][]byte
	joined func(room, id string, others int, again bool) [][]byte
	left   func(room, id string, why signal.LeftReason) [][]byte
	came   func(room, peer string, note []byte) [][]byte
	went   func(room, peer string, note []byte, id string) (events [][]byte)

	encodings [2]byte // whose addresses are what encoding returns
}

// encoding is what events to many are encoded alike for: the row's sockets of that version.
func (r *row) encoding(version int) any { return &r.encodings[version-3] }

// hears reports whether clients of the row hear an event of other members.
func (r *row) hears(name string) bool {
	if name == r.data {
		return true
	}
	for _, said := range r.says {
		if name == said {
			return true
		}
	}
	return false
}

// table is all rows.
type table struct {
	byJoin map[string]*row
	relay  *row
	server map[string]bool // what only the server says, in any row
}

func newTable() *table {
	t := &table{byJoin: make(map[string]*row), relay: relay(), server: map[string]bool{"ice": true, "error": true}}
	for _, r := range []*row{createOrJoin(), vJoin(), joinLeave(), joinRoom()} {
		t.byJoin[r.join] = r
		t.own(r)
	}
	t.own(t.relay)
	return t
}

// own adds what only the server says to a row.
func (t *table) own(r *row) {
	for _, name := range r.server {
		t.server[name] = true
	}
}

// createOrJoin is WebRTC's codelab and what came of it.
func createOrJoin() *row {
	return &row{
		join: "create or join", capacity: 2, says: map[string]string{"message": "message"}, data: "message",
		bye: `"bye"`, own: true, ignores: []string{"ipaddr"},
		server: []string{"log", "created", "joined", "join", "ready", "full"},
		heard:  func(data []byte) []byte { return logged(quote("Client said: "), data) },
		full: func(room, _ string, others int) [][]byte {
			return append(asked(room, others), event("full", room))
		},
		joined: func(room, id string, others int, again bool) [][]byte {
			did, answer := "created", "created"
			if others > 0 {
				did, answer = "joined", "joined"
			}
			events := append(asked(room, others), logged(quote("Client ID "+id+" "+did+" room "+room)),
				event(answer, room, id))
			if others > 0 && !again {
				events = append(events, event("ready"))
			}
			return events
		},
		left: func(_, _ string, why signal.LeftReason) [][]byte {
			if why != signal.ReasonKicked {
				return nil
			}
			return [][]byte{event("message", "bye")}
		},
		came: func(room, _ string, _ []byte) [][]byte {
			return [][]byte{event("join", room), event("ready")}
		},
		// Who remains is to begin with the next one.
		went: func(room, _ string, _ []byte, id string) [][]byte {
			return [][]byte{event("message", "bye"), event("created", room, id)}
		},
	}
}

// vJoin has a v before everything.
func vJoin() *row {
	return &row{
		join: "vjoin", note: 1, capacity: 2, leave: "vleave", says: map[string]string{"vdata": "vgetdata"}, named: true,
		data:   "vgetdata",
		server: []string{"vjoined", "vleft", "vfull", "votherjoined", "votherleft"},
		full:   func(room, _ string, _ int) [][]byte { return [][]byte{event("vfull", room)} },
		joined: func(room, _ string, _ int, _ bool) [][]byte { return [][]byte{event("vjoined", room)} },
		left:   func(room, _ string, _ signal.LeftReason) [][]byte { return [][]byte{event("vleft", room)} },
		came: func(room, _ string, note []byte) [][]byte {
			return [][]byte{array(quote("votherjoined"), quote(room), note)}
		},
		went: func(room, _ string, note []byte, _ string) [][]byte {
			return [][]byte{array(quote("votherleft"), quote(room), note)}
		},
	}
}

// joinLeave is a widespread course's.
func joinLeave() *row {
	return &row{
		join: "join", capacity: 2, leave: "leave", says: map[string]string{"message": "message"}, named: true,
		data:   "message",
		server: []string{"joined", "leaved", "otherjoin", "bye", "full"},
		full:   func(room, id string, _ int) [][]byte { return [][]byte{event("full", room, id)} },
		joined: func(room, id string, _ int, _ bool) [][]byte { return [][]byte{event("joined", room, id)} },
		left:   func(room, id string, _ signal.LeftReason) [][]byte { return [][]byte{event("leaved", room, id)} },
		came:   func(room, peer string, _ []byte) [][]byte { return [][]byte{event("otherjoin", room, peer)} },
		went: func(room, peer string, _ []byte, _ string) [][]byte {
			return [][]byte{event("bye", room, peer)}
		},
	}
}

// joinRoom tells who is there, and PeerJS does the rest.
func joinRoom() *row {
	return &row{
		join: "join-room", note: 1, data: "message",
		server: []string{"user-connected", "user-disconnected"},
		joined: func(string, string, int, bool) [][]byte { return nil },
		left:   func(string, string, signal.LeftReason) [][]byte { return nil },
		came: func(_, _ string, note []byte) [][]byte {
			return [][]byte{event1("user-connected", note)}
		},
		went: func(_, _ string, note []byte, _ string) [][]byte {
			return [][]byte{event1("user-disconnected", note)}
		},
	}
}

// relay is of sockets that have named a room as they connected.
func relay() *row {
	return &row{
		data:   "message",
		server: []string{"peer-joined", "peer-left"},
		joined: func(string, string, int, bool) [][]byte { return nil },
		left:   func(string, string, signal.LeftReason) [][]byte { return nil },
		came:   func(_, peer string, _ []byte) [][]byte { return [][]byte{event("peer-joined", peer)} },
		went: func(_, peer string, _ []byte, _ string) [][]byte {
			return [][]byte{event("peer-left", peer)}
		},
	}
}

// logged is what the codelab's server writes to its clients' consoles.
func logged(words ...[]byte) []byte {
	return event1("log", array(append([][]byte{quote("Message from server:")}, words...)...))
}

// asked is what it writes of a client that wants to join.
func asked(room string, others int) [][]byte {
	request := logged(quote("Received request to create or join room " + room))
	if others == unknown {
		return [][]byte{request}
	}
	return [][]byte{request, logged(quote(fmt.Sprintf("Room %s now has %d client(s)", room, others)))}
}
