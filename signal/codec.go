package signal

import (
	"bytes"
	"encoding/json"
	"iter"
	"strconv"
	"unicode/utf8"
)

// A codec speaks one dialect. It keeps no state: all sessions of a dialect share it, from many
// goroutines.
type codec interface {
	// decode reads one frame. The message is filled as far as it was readable, so that a refusal
	// can name its id.
	decode(frame []byte) (clientMessage, *refusal)
	// encode is a message without its place in a session's order, so that one encoding serves all
	// who get it.
	encode(serverMessage) []byte
	// appendFrame appends an encoded message as it leaves: with its seq, unless that is 0.
	appendFrame(dst, body []byte, seq uint64) []byte
}

// parcel is one message for several sessions, encoded once for all that speak the same dialect.
// It belongs to the goroutine that hands it out.
type parcel struct {
	message serverMessage
	codec   codec
	body    []byte
}

func (p *parcel) encodedFor(c codec) []byte {
	if p.codec != c {
		p.codec, p.body = c, c.encode(p.message)
	}
	return p.body
}

// nativeCodec is signalbox.v1: one JSON object a frame.
type nativeCodec struct{}

func (nativeCodec) decode(frame []byte) (clientMessage, *refusal) {
	var m clientMessage
	// encoding/json would replace broken UTF-8 in silence.
	if !utf8.Valid(frame) || !json.Valid(frame) {
		return m, refuse(CodeBadFrame, "it is not JSON in UTF-8")
	}
	object := bytes.TrimLeft(frame, " \t\r\n")
	if object[0] != '{' {
		return m, refuse(CodeBadFrame, "it is not a JSON object")
	}
	if depth(object) > maxDepth {
		return m, refuse(CodeBadFrame, "it is nested too deeply")
	}

	var first *refusal // later fields are read nevertheless: the id may be among them
	seen := make(map[string]bool, 8)
	for key, value := range members(object) {
		bad := m.set(key, value)
		if seen[key] {
			bad = refuse(CodeBadFrame, "a field is there twice")
		}
		seen[key] = true
		if first == nil {
			first = bad
		}
	}
	if first == nil && m.Type == "" {
		first = refuse(CodeBadFrame, "type is missing")
	}
	return m, first
}

// set takes one field of the frame. JSON's null is an absent field, except in data, where it is the
// client's own matter.
func (m *clientMessage) set(key string, value []byte) *refusal {
	text := func(field *string, limit int) *refusal {
		s, ok := jsonString(value)
		if !ok {
			return refuse(CodeBadFrame, key+" is not a string")
		}
		if bad := checkText(key, s, limit); bad != nil {
			return bad
		}
		*field = s
		return nil
	}
	number := func(field *uint64) *refusal {
		n, err := strconv.ParseUint(string(value), 10, 64)
		if err != nil || n > maxSeq {
			return refuse(CodeBadFrame, key+" is not a whole number")
		}
		*field = n
		return nil
	}
	if key == "data" {
		m.Data = value
		return nil
	}
	if string(value) == "null" {
		return nil
	}
	switch key {
	case "type":
		return text(&m.Type, maxID)
	case "id":
		return text(&m.ID, maxID)
	case "name":
		return text(&m.Name, maxName)
	case "user":
		return text(&m.User, maxUser)
	case "to":
		return text(&m.To, maxTo)
	case "room":
		return text(&m.Room, maxRoom)
	case "token":
		return text(&m.Token, maxToken)
	case "replaces":
		return text(&m.Replaces, maxToken)
	case "seq":
		return number(&m.Seq)
	case "received":
		return number(&m.Received)
	}
	return nil
}

func jsonString(value []byte) (string, bool) {
	if value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), true
	}
	var s string
	err := json.Unmarshal(value, &s)
	return s, err == nil
}

// depth is how deeply arrays and objects are nested in valid JSON.
func depth(text []byte) int {
	deepest, open := 0, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = stringEnd(text, i) - 1
		case '{', '[':
			open++
			deepest = max(deepest, open)
		case '}', ']':
			open--
		}
	}
	return deepest
}

// members walks the fields of a valid JSON object as they are written: names are exact, as
// encoding/json's aren't ("Type" is not "type"), and values keep every byte.
func members(object []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for i := skipSpace(object, 1); object[i] != '}'; i = skipSpace(object, i) {
			if object[i] == ',' {
				i = skipSpace(object, i+1)
			}
			keyEnd := stringEnd(object, i)
			key, _ := jsonString(object[i:keyEnd])
			start := skipSpace(object, skipSpace(object, keyEnd)+1) // over the colon
			i = valueEnd(object, start)
			if !yield(key, object[start:i:i]) {
				return
			}
		}
	}
}

func skipSpace(text []byte, i int) int {
	for text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n' {
		i++
	}
	return i
}

// stringEnd is the index behind the string that starts at i.
func stringEnd(text []byte, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd is the index behind the value that starts at i, inside an object.
func valueEnd(text []byte, i int) int {
	for open := 0; ; i++ {
		switch text[i] {
		case '"':
			i = stringEnd(text, i) - 1
		case '{', '[':
			open++
		case '}', ']':
			if open == 0 {
				return i // the end of the object around a bare number or word
			}
			open--
		case ',', ' ', '\t', '\r', '\n':
			if open == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if open == 0 {
			return i + 1
		}
	}
}

func (nativeCodec) encode(m serverMessage) []byte {
	var data json.RawMessage
	switch m := m.(type) {
	case relayedSignal:
		data = m.data
	case relayedBroadcast:
		data = m.data
	}
	var out bytes.Buffer
	out.Grow(256 + len(data))
	out.WriteString(`{"type":"` + m.kind() + `"`)
	head := out.Len()

	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(m); err != nil {
		panic("signal: a message of ours has no JSON: " + err.Error()) // strings, numbers and lists of them always have
	}
	body := bytes.TrimSuffix(out.Bytes(), []byte("}\n"))
	if len(body) == head+1 { // the message has no fields
		body = body[:head]
	} else {
		body[head] = ',' // instead of its opening brace
	}
	if data != nil {
		// Verbatim: json.Marshal would rewrite it, and the members of a room may have agreed on its
		// bytes.
		body = append(body, `,"data":`...)
		body = append(body, data...)
	}
	return append(body, '}')
}

func (nativeCodec) appendFrame(dst, body []byte, seq uint64) []byte {
	if seq == 0 {
		return append(dst, body...)
	}
	dst = append(dst, body[:len(body)-1]...)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	return append(dst, '}')
}
