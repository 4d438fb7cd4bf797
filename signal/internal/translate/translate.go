// Package translate reads and writes what signalbox's pages say to each other in signals
// (../../PROTOCOL.md, "What browsers say in signals"), for dialects whose clients say the same in
// other words: so one of them can call a browser on /call, and be called.
package translate

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"signalbox/signal/internal/object"
)

// own is the field of a signal's data under which pages speak.
const own = "signalbox"

// What a Said says of its call.
const (
	Ring    = "ring"
	Accept  = "accept"
	Decline = "decline"
	Cancel  = "cancel"
	End     = "end"
	InCall  = "peer" // the ends of a call speak as peers in a room do
)

// Said is what one end says to the other. A client with no more than this is complete: pages take
// it for a simple one (PROTOCOL.md).
type Said struct {
	Call string `json:"call"` // Ring, Accept ...; empty: the two share a room
	ID   string `json:"id"`   // of the call

	Link  int  `json:"link"`  // the number of the connection that this is about; 0: the present one
	Leads bool `json:"leads"` // the sender makes all offers, each of another connection
	// Want asks for an offer, of another connection if it is Anew.
	Want struct {
		Anew bool `json:"anew"`
	} `json:"want"`

	Description *Description `json:"description"` // nil: none
	// Candidates are RTCIceCandidateInits as the other end has made them, and null after the last.
	Candidates Candidates `json:"candidates"`
}

// MaxCandidates is how many candidates one signal may have: dialects make a frame of each, which
// may be much larger. What has more is nothing that Read reads.
const MaxCandidates = 64

// Candidates are no more than MaxCandidates.
type Candidates []json.RawMessage

// UnmarshalJSON reads an array. It stops at one candidate too many.
func (c *Candidates) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if begin, err := d.Token(); err != nil || begin == nil { // null is none
		return err
	} else if begin != json.Delim('[') {
		return errors.New("candidates are no array")
	}
	*c = nil
	for d.More() {
		var one json.RawMessage
		if len(*c) == MaxCandidates {
			return errors.New("too many candidates in one signal")
		}
		if err := d.Decode(&one); err != nil {
			return err
		}
		*c = append(*c, one)
	}
	return nil
}

// Description is an RTCSessionDescription.
type Description struct {
	Type string `json:"type"` // "offer" or "answer"
	SDP  string `json:"sdp"`
}

// ReadDescription reads one; nil: it is none.
func ReadDescription(text []byte) *Description {
	var d Description
	if len(text) == 0 || json.Unmarshal(text, &d) != nil || d.Type == "" || d.SDP == "" {
		return nil
	}
	return &d
}

// JSON is the description's text.
func (d *Description) JSON() []byte {
	var o object.Object
	o.SetText("type", d.Type)
	o.SetText("sdp", d.SDP)
	return o.JSON()
}

// Read reads a signal's data. ok is false if no page speaks there, or one that says too much.
func Read(data object.Object) (said Said, ok bool) {
	text := data.Get(own)
	if text == nil || text[0] != '{' || json.Unmarshal(text, &said) != nil {
		return Said{}, false
	}
	if d := said.Description; d != nil && (d.Type == "" || d.SDP == "") {
		said.Description = nil
	}
	return said, true
}

// Strip takes what pages say out of a signal's data.
func Strip(data *object.Object) { data.Delete(own) }

// Put has a signal's data say something to pages, but what they want.
func (s *Said) Put(data *object.Object) {
	var o object.Object
	for _, f := range []struct{ name, text string }{{"call", s.Call}, {"id", s.ID}} {
		if f.text != "" {
			o.SetText(f.name, f.text)
		}
	}
	if s.Link != 0 {
		o.Set("link", strconv.AppendInt(nil, int64(s.Link), 10))
	}
	if s.Leads {
		o.Set("leads", json.RawMessage("true"))
	}
	if s.Description != nil {
		o.Set("description", s.Description.JSON())
	}
	if len(s.Candidates) > 0 {
		list := []byte{'['}
		for i, c := range s.Candidates {
			if i > 0 {
				list = append(list, ',')
			}
			list = append(list, c...)
		}
		o.Set("candidates", append(list, ']'))
	}
	data.Set(own, o.JSON())
}

// Data is a signal's data that says nothing else.
func (s *Said) Data() []byte {
	var o object.Object
	s.Put(&o)
	return o.JSON()
}
