package apprtc

import (
	"encoding/json"
	"strconv"
)

// What a message of AppRTC is called.
const (
	typeOffer     = "offer"
	typeAnswer    = "answer"
	typeCandidate = "candidate"
	typeBye       = "bye"
)

const bye = `{"type":"bye"}`

// message is what AppRTC's clients say to each other.
type message struct {
	Type      string `json:"type"`
	SDP       string `json:"sdp,omitempty"`
	Label     int    `json:"label"`
	ID        string `json:"id"`
	Candidate string `json:"candidate"`
}

// description is an RTCSessionDescription.
type description struct {
	Type string `json:"type"`
	SDP  string `json:"sdp"`
}

// candidate is an RTCIceCandidate; nil is the end of candidates.
type candidate struct {
	Candidate string `json:"candidate"`
	Mid       string `json:"sdpMid"`
	Index     int    `json:"sdpMLineIndex"`
}

// said is what the SDK says in a signal, as far as AppRTC has a word for it.
type said struct {
	Link        int          `json:"link,omitempty"`
	Leads       bool         `json:"leads,omitempty"`
	Description *description `json:"description,omitempty"`
	Candidates  []*candidate `json:"candidates,omitempty"`
	Want        *struct {
		Anew bool `json:"anew"`
	} `json:"want,omitempty"`
}

// data is the form in which the hub carries a message: translated, for members of other dialects,
// and as its sender has written it, for those of this one.
type data struct {
	Signalbox *said   `json:"signalbox,omitempty"`
	AppRTC    *string `json:"apprtc,omitempty"`
}

// encodeData is the form for the hub: JSON that every parser reads in the same way.
func encodeData(d data) []byte {
	text, _ := json.Marshal(d) // texts and numbers always have JSON
	return text
}

// leads says that this end makes every offer, and takes none.
func leads() []byte { return encodeData(data{Signalbox: &said{Leads: true}}) }

// typeOf is the type of a message, if it has one.
func typeOf(text string) string {
	var m struct {
		Type string `json:"type"`
	}
	if json.Unmarshal([]byte(text), &m) != nil {
		return ""
	}
	return m.Type
}

// toHub is a message of a client in the form for the hub. Every offer is of another connection: an
// AppRTC client begins anew where the SDK would go on. offers counts them.
func toHub(text string, offers *int) []byte {
	d := data{AppRTC: &text}
	var m message
	if json.Unmarshal([]byte(text), &m) == nil {
		switch m.Type {
		case typeOffer:
			*offers++
			d.Signalbox = &said{Link: *offers, Leads: true, Description: &description{m.Type, m.SDP}}
		case typeAnswer:
			d.Signalbox = &said{Description: &description{m.Type, m.SDP}}
		case typeCandidate:
			d.Signalbox = &said{Link: *offers, Candidates: []*candidate{{m.Candidate, m.ID, m.Label}}}
		}
	}
	return encodeData(d)
}

// fromHub are the messages that a signal is for a client. There are none for what AppRTC has no
// word for.
func fromHub(body []byte) (texts []string) {
	var d data
	if json.Unmarshal(body, &d) != nil {
		return nil
	}
	if d.AppRTC != nil {
		return []string{*d.AppRTC}
	}
	say := func(m any) {
		text, _ := json.Marshal(m) // texts and numbers always have JSON
		texts = append(texts, string(text))
	}
	in := d.Signalbox
	switch {
	case in == nil:
		return nil
	case in.Want != nil && in.Want.Anew:
		return []string{bye} // at which it begins anew
	}
	if is := in.Description; is != nil && is.SDP != "" && (is.Type == typeOffer || is.Type == typeAnswer) {
		say(is)
	}
	for _, c := range in.Candidates {
		if c == nil || c.Candidate == "" { // the end of candidates, which apps don't parse
			continue
		}
		if c.Mid == "" {
			c.Mid = strconv.Itoa(c.Index)
		}
		say(message{Type: typeCandidate, Label: c.Index, ID: c.Mid, Candidate: c.Candidate})
	}
	return texts
}
