package native

import (
	"bytes"
	"encoding/json"
	"iter"
	"strconv"

	"signalbox/signal"
	"signalbox/signal/internal/object"
)

// decode reads one frame. It fills the message as far as it can read it, so that a refusal can name
// its id.
func decode(frame []byte) (clientMessage, error) {
	var m clientMessage
	if !object.Valid(frame) {
		return m, broken("it is not JSON in UTF-8")
	}
	text := bytes.TrimLeft(frame, " \t\r\n")
	if text[0] != '{' {
		return m, broken("it is not a JSON object")
	}
	first := strict(text)
	if first == errDeep {
		return m, first
	}
	for key, value := range members(text) { // all of them: the id may come last
		if err := m.set(key, value); first == nil {
			first = err
		}
	}
	if first == nil && m.Type == "" {
		first = broken("type is missing")
	}
	return m, first
}

// set takes one field of the frame. JSON's null is an absent field, except in data, where it is the
// client's own matter.
func (m *clientMessage) set(key string, value []byte) error {
	text := func(field *string, limit int) error {
		s, ok := jsonString(value)
		if !ok {
			return broken(key + " is not a string")
		}
		if err := signal.CheckText(key, s, limit); err != nil {
			return err
		}
		*field = s
		return nil
	}
	number := func(field *uint64) error {
		n, err := strconv.ParseUint(string(value), 10, 64)
		if err != nil || n > maxSeq {
			return broken(key + " is not a whole number")
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
		return text(&m.Name, signal.MaxName)
	case "user":
		return text(&m.User, signal.MaxUser)
	case "to":
		return text(&m.To, maxTo)
	case "room":
		return text(&m.Room, signal.MaxRoom)
	case "token":
		return text(&m.Token, maxToken)
	case "test":
		return text(&m.Test, maxID)
	case "users":
		if json.Unmarshal(value, &m.Users) != nil {
			return broken("users is no list of strings")
		}
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
		return word(value[1 : len(value)-1]), true
	}
	var s string
	err := json.Unmarshal(value, &s)
	return s, err == nil
}

// word is a text. Those that are in most frames take no memory.
func word(text []byte) string {
	for _, known := range [...]string{"type", "signal", "broadcast", "to", "room", "data", "id", "seq", "received"} {
		if string(text) == known {
			return known
		}
	}
	return string(text)
}

// members walks the fields of a valid JSON object in their order. Names are case-sensitive, which
// encoding/json's aren't ("Type" is not "type"), and values keep every byte.
func members(text []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for i := skipSpace(text, 1); text[i] != '}'; i = skipSpace(text, i) {
			if text[i] == ',' {
				i = skipSpace(text, i+1)
			}
			keyEnd := stringEnd(text, i)
			key, _ := jsonString(text[i:keyEnd])
			start := skipSpace(text, skipSpace(text, keyEnd)+1) // over the colon
			i = valueEnd(text, start)
			if !yield(key, text[start:i:i]) {
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

// stringEnd is the index behind the string that starts at i, which is valid.
func stringEnd(text []byte, i int) int { return object.StringEnd(text, i) }

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

// broken refuses a frame that is not what the protocol says.
func broken(detail string) error { return signal.Refuse(signal.CodeBadFrame, detail) }
