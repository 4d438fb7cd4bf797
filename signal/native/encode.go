package native

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"signalbox/signal"
)

// encode writes an event without its place in the session's order, so that one encoding serves all
// who get it. received is the client's last frame that was processed.
func encode(e signal.Event, received uint64) []byte {
	switch e := e.(type) {
	case signal.Signaled:
		return signaled(e)
	case signal.Broadcasted:
		return broadcasted(e)
	case signal.PeerJoined:
		return object("peer-joined", peerJoined{Room: e.Room, Peer: peer{member(e.Peer.Member), e.Peer.Polite}})
	case signal.PeerLeft:
		return object("peer-left", peerLeft{Room: e.Room, Peer: member(e.Peer), Reason: e.Reason})
	case signal.Joined:
		out := joined{Room: e.Room, Peers: make([]peer, 0, len(e.Peers)), Capacity: e.Capacity}
		for _, p := range e.Peers {
			out.Peers = append(out.Peers, peer{member(p.Member), p.Polite})
		}
		return object("joined", out)
	case signal.Left:
		return object("left", left{Room: e.Room})
	case signal.ICEUpdated:
		return object("ice", servers(e.ICE))
	case signal.Welcome:
		return object("welcome", welcome{
			PeerID:           e.ID,
			Name:             e.Name,
			User:             e.User,
			ResumeToken:      e.ResumeToken,
			ResumeSeconds:    int(e.Outlives / time.Second),
			HeartbeatSeconds: max(1, int(e.Heartbeat/time.Second)),
			ice:              servers(e.ICE),
			Protocol:         Protocol,
		})
	case signal.Resumed:
		return object("resumed", resumed{
			PeerID:         e.ID,
			Received:       received,
			ice:            servers(e.ICE),
			Rooms:          e.Rooms,
			AddressChanged: e.AddressChanged,
		})
	case signal.Ended:
		return object("error", failure{Code: e.Code, Message: e.Message})
	}
	return nil
}

func servers(in signal.ICE) ice {
	out := ice{ICEServers: in.Servers}
	if !in.Expires.IsZero() {
		out.ICEExpiresAt = in.Expires.UnixMilli()
	}
	return out
}

// object writes a message of some type.
func object(kind string, m any) []byte {
	var out bytes.Buffer
	out.Grow(256)
	out.WriteString(`{"type":"` + kind + `"`)
	head := out.Len()
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(m); err != nil {
		panic("native: a message of ours has no JSON: " + err.Error()) // strings, numbers and lists of them always have
	}
	out.Bytes()[head] = ',' // instead of the opening brace
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// signaled and broadcasted are written by hand: they are most of what a hub says. Their data is
// verbatim: json.Marshal would rewrite it, and those who exchange it may have agreed on its bytes.

func signaled(e signal.Signaled) []byte {
	out := make([]byte, 0, 128+len(e.From.ID)+len(e.From.Name)+len(e.From.User)+len(e.Room)+len(e.Data))
	out = append(out, `{"type":"signal","from":`...)
	out = appendString(out, e.From.ID)
	out = append(out, `,"fromName":`...)
	out = appendString(out, e.From.Name)
	if e.From.User != "" {
		out = append(out, `,"fromUser":`...)
		out = appendString(out, e.From.User)
	}
	if e.Room != "" {
		out = append(out, `,"room":`...)
		out = appendString(out, e.Room)
	} else { // in a call, where no peer-joined has told it
		out = append(out, `,"polite":`...)
		out = strconv.AppendBool(out, e.Polite)
	}
	return appendData(out, e.Data)
}

func broadcasted(e signal.Broadcasted) []byte {
	out := make([]byte, 0, 128+len(e.From.ID)+len(e.From.Name)+len(e.Room)+len(e.Data))
	out = append(out, `{"type":"broadcast","from":`...)
	out = appendString(out, e.From.ID)
	out = append(out, `,"fromName":`...)
	out = appendString(out, e.From.Name)
	out = append(out, `,"room":`...)
	out = appendString(out, e.Room)
	return appendData(out, e.Data)
}

func appendData(dst, data []byte) []byte {
	dst = append(dst, `,"data":`...)
	dst = append(dst, data...)
	return append(dst, '}')
}

// appendString appends a string in JSON, as encoding/json would without escaping for HTML.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			var out bytes.Buffer
			encoder := json.NewEncoder(&out)
			encoder.SetEscapeHTML(false)
			encoder.Encode(s) //nolint:errcheck // a string always has JSON
			return append(dst, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// number appends an encoded message as it leaves: with its seq.
func number(dst, body []byte, seq uint64) []byte {
	dst = append(dst, body[:len(body)-1]...)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	return append(dst, '}')
}

// Answers to the client's own frames.

func acknowledgment(id string) []byte {
	out := append(make([]byte, 0, 32+len(id)), `{"type":"ack","id":`...)
	return append(appendString(out, id), '}')
}

func pong() []byte { return []byte(`{"type":"pong"}`) }

func refusal(id string, why error) []byte {
	r := signal.RefusalOf(why)
	return object("error", failure{Code: r.Code, Message: r.Error(), ID: id})
}
