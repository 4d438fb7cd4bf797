package native

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"signalbox/signal"
)

// The hub's frames are written by hand, field by field in the order of the wire. Encoding is most
// of a hub's work, and encoding/json would need a deeper stack than an idle connection's writer
// should keep. testdata/messages has the text of each message.

// encode writes an event without its sequence number, so that one encoding serves all receivers.
// received is the client's last frame that was processed.
func encode(e signal.Event, received uint64) []byte {
	switch e := e.(type) {
	case signal.Signaled:
		return signaled(e)
	case signal.Broadcasted:
		return broadcasted(e)
	case signal.PeerJoined:
		return peerJoined(e)
	case signal.PeerLeft:
		return peerLeft(e)
	case signal.Joined:
		return joined(e)
	case signal.Left:
		return left(e)
	case signal.ICEUpdated:
		return message("ice", 256*len(e.ICE.Servers)).ice(e.ICE).end()
	case signal.Sighted:
		return message("sighted", len(e.Data)).text("test", e.Test).data(e.Data).end()
	case signal.Renewed:
		return message("token", 0).text("resumeToken", e.ResumeToken).end()
	case signal.Welcome:
		return welcome(e)
	case signal.Resumed:
		return resumed(e, received)
	case signal.Ended:
		return failure(e.Code, e.Message, "")
	}
	return nil
}

func signaled(e signal.Signaled) []byte {
	out := message("signal", len(e.Data)).text("from", e.From.ID).text("fromName", e.From.Name)
	if e.From.User != "" {
		out = out.text("fromUser", e.From.User)
	}
	if e.Room != "" {
		out = out.text("room", e.Room)
	} else if e.From.ID != signal.ServerID { // a call, where no peer-joined has told it
		out = out.truth("polite", e.Polite)
	}
	return out.data(e.Data).end()
}

func broadcasted(e signal.Broadcasted) []byte {
	out := message("broadcast", len(e.Data)).text("from", e.From.ID).text("fromName", e.From.Name)
	return out.text("room", e.Room).data(e.Data).end()
}

func peerJoined(e signal.PeerJoined) []byte {
	return message("peer-joined", 0).text("room", e.Room).key("peer").peer(e.Peer).end()
}

func peerLeft(e signal.PeerLeft) []byte {
	out := message("peer-left", 0)
	if e.Room != "" { // else the far end of a call is gone
		out = out.text("room", e.Room)
	}
	out = append(out.key("peer").member(e.Peer), '}').text("reason", string(e.Reason))
	if e.Data != nil {
		out = out.data(e.Data)
	}
	return out.end()
}

func left(e signal.Left) []byte {
	out := message("left", 0).text("room", e.Room)
	if e.Reason == signal.ReasonKicked { // the client did not ask for it
		out = out.text("reason", string(e.Reason))
	}
	return out.end()
}

func joined(e signal.Joined) []byte {
	out := append(message("joined", 128*len(e.Peers)).text("room", e.Room).key("peers"), '[')
	for i, p := range e.Peers {
		out = out.comma(i).peer(p)
	}
	return append(out, ']').number("capacity", int64(e.Capacity)).end()
}

func welcome(e signal.Welcome) []byte {
	out := message("welcome", 192+256*len(e.ICE.Servers)).text("peerId", e.ID).text("name", e.Name)
	if e.User != "" {
		out = out.text("user", e.User)
	}
	out = out.text("resumeToken", e.ResumeToken).number("resumeSeconds", int64(e.Outlives/time.Second))
	out = out.number("heartbeatSeconds", max(1, int64(e.Heartbeat/time.Second)))
	return out.ice(e.ICE).text("protocol", Protocol).end()
}

func resumed(e signal.Resumed, received uint64) []byte {
	out := message("resumed", 128+256*len(e.ICE.Servers)).text("peerId", e.ID).text("resumeToken", e.ResumeToken)
	out = append(out.number("received", int64(received)).ice(e.ICE).key("rooms"), '[')
	for i, room := range e.Rooms {
		out = out.comma(i).string(room)
	}
	out = append(out, ']')
	if e.AddressChanged {
		out = out.truth("addressChanged", true)
	}
	return out.end()
}

func acknowledgment(id string) []byte { return message("ack", 0).text("id", id).end() }

func pong() []byte { return message("pong", 0).end() }

// refusal encodes the error for the frame with that id; empty: it had none.
func refusal(id string, why error) []byte {
	r := signal.RefusalOf(why)
	return failure(r.Code, r.Error(), id)
}

func failure(code signal.Code, sentence, id string) []byte {
	out := message("error", 0).text("code", string(code)).text("message", sentence)
	if id != "" {
		out = out.text("id", id)
	}
	return out.end()
}

// number appends an encoded message as it leaves: with its seq.
func number(dst, body []byte, seq uint64) []byte {
	dst = append(dst, body[:len(body)-1]...)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	return append(dst, '}')
}

// written is a JSON object, as far as it is written.
type written []byte

// message begins one, with room for so many bytes more than a small one takes.
func message(kind string, more int) written {
	out := append(make(written, 0, 176+more), `{"type":"`...)
	return append(append(out, kind...), '"')
}

func (o written) end() []byte { return append(o, '}') }

func (o written) key(name string) written {
	o = append(o, ',', '"')
	return append(append(o, name...), '"', ':')
}

func (o written) comma(i int) written {
	if i > 0 {
		o = append(o, ',')
	}
	return o
}

func (o written) text(name, value string) written { return o.key(name).string(value) }

func (o written) number(name string, n int64) written { return strconv.AppendInt(o.key(name), n, 10) }

func (o written) truth(name string, b bool) written { return strconv.AppendBool(o.key(name), b) }

// data adds what a frame carries, verbatim: clients that exchange it may have agreed on its bytes.
func (o written) data(value []byte) written { return append(o.key("data"), value...) }

// member writes a member but for the closing brace.
func (o written) member(m signal.Member) written {
	o = append(o, `{"id":`...).string(m.ID).text("name", m.Name)
	if m.User != "" {
		o = o.text("user", m.User)
	}
	return o
}

func (o written) peer(p signal.Peer) written {
	return append(o.member(p.Member).truth("polite", p.Polite), '}')
}

func (o written) ice(ice signal.ICE) written {
	o = append(o.key("iceServers"), '[')
	for i, s := range ice.Servers {
		o = append(o.comma(i), `{"urls":[`...)
		for j, url := range s.URLs {
			o = o.comma(j).string(url)
		}
		o = append(o, ']')
		if s.Username != "" {
			o = o.text("username", s.Username)
		}
		if s.Credential != "" {
			o = o.text("credential", s.Credential)
		}
		o = append(o, '}')
	}
	expires := int64(0) // never
	if !ice.Expires.IsZero() {
		expires = ice.Expires.UnixMilli()
	}
	return append(o, ']').number("iceExpiresAt", expires)
}

// string encodes like encoding/json, without escaping for HTML.
func (o written) string(s string) written {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return append(o, quoted(s)...)
		}
	}
	return append(append(append(o, '"'), s...), '"')
}

func quoted(s string) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.Encode(s) //nolint:errcheck // a string always has JSON
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
