package webhook

import (
	"encoding/json"

	"signalbox/signal"
)

// delivery is the body of a POST to webhook.url.
type delivery struct {
	Run    string  `json:"run"` // names the run of the box in which the numbers count
	Events []event `json:"events"`
}

type event struct {
	Number uint64      `json:"number"`
	Type   signal.Kind `json:"type"`
	At     int64       `json:"at"`               // Unix milliseconds
	Room   string      `json:"room,omitempty"`   // of all but call-started
	Peer   *peer       `json:"peer,omitempty"`   // who joins or leaves; of peer-joined and peer-left
	Reason string      `json:"reason,omitempty"` // of peer-left: left, lost or kicked
	From   *peer       `json:"from,omitempty"`   // the caller, of call-started
	To     *peer       `json:"to,omitempty"`     // the callee
}

type peer struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	User string `json:"user,omitempty"`
}

func newDelivery(run string, batch []signal.Happening) []byte {
	out := delivery{Run: run, Events: make([]event, len(batch))}
	for i, h := range batch {
		e := event{Number: h.Number, Type: h.Kind, At: h.At.UnixMilli(), Room: h.Room, Reason: string(h.Reason)}
		switch h.Kind {
		case signal.KindPeerJoined, signal.KindPeerLeft:
			e.Peer = peerOf(h.Peer)
		case signal.KindCallStarted:
			e.From, e.To = peerOf(h.Peer), peerOf(h.Callee)
		}
		out.Events[i] = e
	}
	body, _ := json.Marshal(out) // texts and numbers always have JSON
	return body
}

func peerOf(m signal.Member) *peer { return &peer{ID: m.ID, Name: m.Name, User: m.User} }
