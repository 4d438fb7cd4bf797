package socketio

import (
	"encoding/json"
	"strings"
	"testing"

	"signalbox/signal"
)

func TestPackets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Packet{
		`0`:                    {Type: '0', Namespace: "/"},
		`0{"token":"x"}`:       {Type: '0', Namespace: "/", Data: []byte(`{"token":"x"}`)},
		`0/custom`:             {Type: '0', Namespace: "/custom"},
		`0/custom?a=b,{"x":1}`: {Type: '0', Namespace: "/custom", Data: []byte(`{"x":1}`)},
		`1`:                    {Type: '1', Namespace: "/"},
		`1/custom,`:            {Type: '1', Namespace: "/custom"},
		`2["a", 1 ,[2,"],"],{"b":[]}]`: {Type: '2', Namespace: "/", Event: "a",
			Args: [][]byte{{'1'}, []byte(`[2,"],"]`), []byte(`{"b":[]}`)}},
		`2/c,17["a\"\u0041"]`: {Type: '2', Namespace: "/c", Ack: "17", Event: `a"A`},
		`317[]`:               {Type: '3', Namespace: "/", Ack: "17"},
		`52-/c,3["a"]`:        {Type: '5', Namespace: "/c", Ack: "3", Event: "a", attachments: 2},
		`61-3[1]`:             {Type: '6', Namespace: "/", Ack: "3", attachments: 1},
	} {
		got, err := parse([]byte(text))
		if err != nil || got.Type != want.Type || got.Namespace != want.Namespace || got.Ack != want.Ack ||
			got.Event != want.Event || got.attachments != want.attachments || len(got.Args) != len(want.Args) ||
			want.Data != nil && string(got.Data) != string(want.Data) {
			t.Errorf("%s: got %+v, %v", text, got, err)
			continue
		}
		for i, arg := range want.Args {
			if string(got.Args[i]) != string(arg) {
				t.Errorf("%s: argument %d is %s", text, i, got.Args[i])
			}
		}
	}
}

func TestBrokenPackets(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	for name, text := range map[string]string{
		"empty": "", "no type": "abc", "type 7": "7", "event that is an object": "2{}", "event without JSON": "2abc[]",
		"event without a name": "2[]", "event with a number": "2[1]", "no array": `2"a"`, "nothing": "2",
		"cut":           `2["a"`,
		"reserved name": `2["disconnect"]`, "another": `2["connect_error",{}]`, "connect with a string": `0"x"`,
		"disconnect with data": "1[]", "an error": `4{"message":"x"}`, "no number of attachments": `5["a"]`,
		"2^31 attachments": `52147483648-["a"]`, "33 attachments": `533-["a"]`, "-1 attachments": `5-1-["a"]`,
		"20,000 levels": `2["a",` + deep + `]`, "long namespace": "0/" + strings.Repeat("x", 200),
		"long ack": `21234567890123456["a"]`, "something behind": `2["a"] x`, "no ack": `3{}`,
	} {
		if p, err := parse([]byte(text)); err == nil {
			t.Errorf("%s is taken as %+v", name, p)
		}
	}
}

// An event goes through a room and comes out the same; what else is in a room is no event.
func TestEventsInRooms(t *testing.T) {
	t.Parallel()
	const placed = `["a",{"_placeholder":true,"num":1},[{"_placeholder":true,"num":0}]]`
	_, event, binary, ok := fromRoom(toRoom([]byte(placed), [][]byte{{1, 2}, {}}))
	if !ok || string(event) != placed || len(binary) != 2 || string(binary[0]) != "\x01\x02" {
		t.Errorf("got %s %v %v", event, binary, ok)
	}
	for _, data := range []string{
		``, `1`, `"a"`, `{}`, `[]`, `[1]`, `["connect"]`, `[""]0`, `{"event":["a"],"binary":[]}`,
		`{"event":["a"],"binary":["!"]}`,
		`{"event":["a",{"_placeholder":true,"num":1}],"binary":["AA=="]}`, `{"event":{},"binary":["AA=="]}`,
		`{"event":["a",{"_placeholder":true,"num":-1}],"binary":["AA=="]}`, `{"description":{"type":"offer"}}`,
		`{"event":["a",{"_placeholder":true,"num":0,"num":"x"}],"binary":["AA=="]}`,
	} {
		if _, event, _, ok := fromRoom([]byte(data)); ok {
			t.Errorf("%s is the event %s", data, event)
		}
	}
}

// Whatever comes, parsing it ends, and an event that was taken is one for others, too.
func FuzzPacket(f *testing.F) {
	for _, seed := range []string{
		`0{"token":"x"}`, `2["a",1,{"b":[true]}]`, `2/c,17["a"]`, `52-/c,3["a",{"_placeholder":true,"num":0}]`,
		`1/custom,`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parse(text)
		if err != nil || p.Event == "" {
			return
		}
		for _, arg := range p.Args {
			if !json.Valid(arg) {
				t.Fatalf("%q has the argument %q", text, arg)
			}
		}
		_, event, _, ok := fromRoom(toRoom(p.Data, nil))
		if !ok {
			t.Fatalf("%q is no event in a room", text)
		}
		out := frames(nil, 4, typeEvent, "/", "", event)
		again, err := parse(out[0].Body[1:])
		if err != nil || again.Event != p.Event || len(again.Args) != len(p.Args) {
			t.Fatalf("%q becomes %q (%v)", text, out[0].Body, err)
		}
	})
}

// Whatever others in a room say, what clients are told is a packet.
func FuzzRoom(f *testing.F) {
	for _, seed := range []string{
		`["a",1]`, `{"event":["a",{"_placeholder":true,"num":0}],"binary":["AA=="]}`, `{"description":{}}`, `nonsense`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &rooms{o: &Options{Relay: true}, t: newTable()}
		out := r.heard([]signal.Frame{}, 4, vJoin(), "somebody", "sio/tea", data)
		if _, err := parse(out[0].Body[1:]); err != nil {
			t.Fatalf("%q becomes %q", data, out[0].Body)
		}
	})
}
