package socketio

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"signalbox/signal"
	"signalbox/signal/internal/object"
	"signalbox/signal/socketio/engineio"
)

// The types of packets.
const (
	typeConnect     = '0'
	typeDisconnect  = '1'
	typeEvent       = '2'
	typeAck         = '3'
	typeError       = '4'
	typeBinaryEvent = '5'
	typeBinaryAck   = '6'
)

const (
	// maxAttachments is how many binary values a packet may have, and maxNamespace and maxAck how
	// long the name of a namespace and the number of an ack may be.
	maxAttachments = 32
	maxNamespace   = 128
	maxAck         = 15
)

// Packet is what the parts of a message say: "<type>[<n>-][<namespace>,][<ack>]<json>".
type Packet struct {
	Type        byte
	Namespace   string // "/" is the main one
	Ack         string // the number under which the client awaits an answer; empty: it awaits none
	Data        []byte // JSON; nil: none
	attachments int

	// Of an event: its name, its arguments, as JSON, and the binary values, for which the arguments
	// have places: {"_placeholder":true,"num":0}.
	Event  string
	Args   [][]byte
	Binary [][]byte

	few  [4][]byte // room for the elements of most events
	last string    // an event's name, to be used again: events repeat
}

// errPacket is a packet that is not what the protocol says.
var errPacket = errors.New("the packet is not what the protocol says")

// parse reads a packet. It may share memory with the text.
func (p *Packet) parse(text []byte) error {
	if len(text) == 0 || text[0] < typeConnect || text[0] > typeBinaryAck {
		return errPacket
	}
	*p = Packet{Type: text[0], Namespace: "/", last: p.last}
	text = text[1:]
	if p.Type >= typeBinaryEvent {
		dash := bytes.IndexByte(text, '-')
		n, err := strconv.ParseUint(string(text[:max(dash, 0)]), 10, 8)
		if err != nil || n > maxAttachments {
			return errPacket
		}
		p.attachments, text = int(n), text[dash+1:]
	}
	if len(text) > 0 && text[0] == '/' {
		namespace, rest, _ := bytes.Cut(text, []byte{','})
		if len(namespace) > maxNamespace {
			return errPacket
		}
		namespace, _, _ = bytes.Cut(namespace, []byte{'?'}) // clients 2.x add their query
		p.Namespace, text = string(namespace), rest
	}
	digits := 0
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		digits++
	}
	if digits > maxAck {
		return errPacket
	}
	p.Ack, text = string(text[:digits]), text[digits:]
	if len(text) > 0 {
		p.Data = text
	}
	return p.check()
}

// check reads a packet's data as its type wants it.
func (p *Packet) check() error {
	switch p.Type {
	case typeConnect:
		if p.Data != nil && (p.Data[0] != '{' || !object.Valid(p.Data)) {
			return errPacket
		}
	case typeDisconnect:
		if p.Data != nil {
			return errPacket
		}
	case typeError:
		return errPacket // the server's own
	default:
		items, ok := object.Elements(p.Data, p.few[:0])
		if !ok {
			return errPacket
		}
		if p.Type == typeEvent || p.Type == typeBinaryEvent {
			return p.name(items)
		}
	}
	return nil
}

// name takes the first element of an event as its name.
func (p *Packet) name(items [][]byte) error {
	if len(items) == 0 {
		return errPacket
	}
	raw := items[0]
	if p.last != "" && len(raw) == len(p.last)+2 && raw[0] == '"' && string(raw[1:len(raw)-1]) == p.last {
		p.Event, p.Args = p.last, items[1:]
		return nil
	}
	name, ok := object.Text(raw)
	if !ok || reserved(name) {
		return errPacket
	}
	p.Event, p.Args, p.last = name, items[1:], ""
	if len(name) <= maxLast && strings.IndexByte(name, '\\') < 0 {
		p.last = name
	}
	return nil
}

// maxLast is how long a name may be that is remembered.
const maxLast = 64

// reserved names are of what happens to a client by itself: no other may make it believe that.
func reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

// whole reports whether every place for a binary value has one: a client whose parser misses one
// would lose its connection.
func (p *Packet) whole() bool {
	var data any
	return json.Unmarshal(p.Data, &data) == nil && placesWithin(data, len(p.Binary))
}

func placesWithin(data any, n int) bool {
	switch data := data.(type) {
	case []any:
		for _, item := range data {
			if !placesWithin(item, n) {
				return false
			}
		}
	case map[string]any:
		if data["_placeholder"] == true {
			num, ok := data["num"].(float64)
			return ok && num >= 0 && num < float64(n) && num == float64(int(num))
		}
		for _, item := range data {
			if !placesWithin(item, n) {
				return false
			}
		}
	}
	return true
}

// array joins values to a JSON array.
func array(values ...[]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(values, []byte{','})...), ']')
}

// quote makes a JSON string.
func quote(s string) []byte { return object.Quote(s) }

// eventStart is what the packet of an event begins with that goes to the main namespace and has no
// binary values. The event's array follows.
const eventStart = string(engineio.Message) + string(typeEvent)

// frames makes a packet of a type with data, an ack's number and binary values.
func frames(dst []signal.Frame, version int, kind byte, namespace, ack string, data []byte,
	binary ...[]byte) []signal.Frame {
	if len(binary) == 0 && namespace == "/" { // almost always
		body := append(make([]byte, 0, 2+len(ack)+len(data)), engineio.Message, kind)
		return append(dst, signal.Frame{Body: append(append(body, ack...), data...)})
	}
	head := []byte{kind}
	if len(binary) > 0 {
		head[0] += typeBinaryEvent - typeEvent
		head = append(strconv.AppendInt(head, int64(len(binary)), 10), '-')
	}
	if namespace != "/" {
		head = append(append(head, namespace...), ',')
	}
	dst = append(dst, engineio.Text(append(append(head, ack...), data...)))
	for _, value := range binary {
		dst = append(dst, engineio.Binary(version, value))
	}
	return dst
}

// In a room of the hub, an event is its array, the name first; with binary values it is an object.
// So a client of another protocol can say it, too.

// binaryEvent is an event with binary values, in a room.
type binaryEvent struct {
	Event  json.RawMessage `json:"event"`
	Binary []string        `json:"binary"` // base64
}

// toRoom is how an event goes to the others in a room.
func toRoom(event []byte, binary [][]byte) []byte {
	if len(binary) == 0 {
		return event
	}
	e := binaryEvent{Event: event}
	for _, value := range binary {
		e.Binary = append(e.Binary, base64.StdEncoding.EncodeToString(value))
	}
	text, _ := json.Marshal(e) // valid JSON and strings always have JSON
	return text
}

// fromRoom is an event that has come so; ok is false if it is something else.
func fromRoom(data []byte) (name string, event []byte, binary [][]byte, ok bool) {
	if len(data) > 0 && data[0] == '{' {
		var e binaryEvent
		if json.Unmarshal(data, &e) != nil || len(e.Binary) == 0 || len(e.Binary) > maxAttachments {
			return "", nil, nil, false
		}
		for _, text := range e.Binary {
			value, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return "", nil, nil, false
			}
			binary = append(binary, value)
		}
		data = e.Event
	}
	p := Packet{Type: typeEvent, Data: data, Binary: binary}
	if p.check() != nil || len(binary) > 0 && !p.whole() {
		return "", nil, nil, false
	}
	return p.Event, data, binary, true
}
