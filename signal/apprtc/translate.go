package apprtc

import (
	"encoding/json"
	"strconv"

	"signalbox/signal/internal/object"
	"signalbox/signal/internal/translate"
)

// What a message of AppRTC is called.
const (
	typeOffer     = "offer"
	typeAnswer    = "answer"
	typeCandidate = "candidate"
	typeBye       = "bye"
)

const bye = `{"type":"bye"}`

// own is the field of a signal's data in which members of this dialect find a message as its sender
// has written it. Members of others find it translated.
const own = "apprtc"

// message is what AppRTC's clients say to each other.
type message struct {
	Type      string `json:"type"`
	SDP       string `json:"sdp,omitempty"`
	Label     int    `json:"label"`
	ID        string `json:"id"`
	Candidate string `json:"candidate"`
}

// candidate is an RTCIceCandidateInit.
type candidate struct {
	Candidate string `json:"candidate"`
	Mid       string `json:"sdpMid"`
	Index     int    `json:"sdpMLineIndex"`
}

// leads says that this end makes every offer, and takes none.
func leads() []byte {
	said := translate.Said{Leads: true}
	return said.Data()
}

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
	var m message
	var said *translate.Said
	if json.Unmarshal([]byte(text), &m) == nil {
		switch m.Type {
		case typeOffer:
			*offers++
			said = &translate.Said{Link: *offers, Leads: true, Description: m.description()}
		case typeAnswer:
			said = &translate.Said{Description: m.description()}
		case typeCandidate:
			// Texts and a number always have JSON.
			c, _ := json.Marshal(candidate{m.Candidate, m.ID, m.Label})
			said = &translate.Said{Link: *offers, Candidates: []json.RawMessage{c}}
		}
	}
	var data object.Object
	if said != nil {
		said.Put(&data)
	}
	data.SetText(own, text)
	return data.JSON()
}

func (m *message) description() *translate.Description {
	return &translate.Description{Type: m.Type, SDP: m.SDP}
}

// fromHub are the messages that a signal is for a client. There are none for what AppRTC has no
// word for.
func fromHub(body []byte) (texts []string) {
	data, err := object.Parse(body)
	if err != nil {
		return nil
	}
	if text, ok := data.Text(own); ok {
		return []string{text}
	}
	said, ok := translate.Read(data)
	if !ok {
		return nil
	}
	if said.Want.Anew {
		return []string{bye} // at which it begins anew
	}
	if is := said.Description; is != nil && (is.Type == typeOffer || is.Type == typeAnswer) {
		texts = append(texts, string(is.JSON()))
	}
	for _, text := range said.Candidates {
		var c candidate
		// An empty one is the end of candidates, which apps don't parse.
		if json.Unmarshal(text, &c) != nil || c.Candidate == "" {
			continue
		}
		if c.Mid == "" {
			c.Mid = strconv.Itoa(c.Index)
		}
		m, _ := json.Marshal(message{Type: typeCandidate, Label: c.Index, ID: c.Mid, Candidate: c.Candidate})
		texts = append(texts, string(m))
	}
	return texts
}
