package native

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox/signal"
)

var update = flag.Bool("update", false, "write the golden messages anew")

// token is what a resume token looks like.
const token = "wZ1lN9pQhT5sJb3vXk7mDg.VRhIz9TO67A.TlVHAmjz1jZN4qy-tGZ4rQTLkL7jJihyfRDD_NcdBFw"

// serverGolden is one of each message that the hub sends: the file's name, the message, its seq.
func serverGolden() map[string]outgoing {
	alice := signal.Member{ID: "wZ1lN9pQhT5sJb3vXk7mDg", Name: "Alice"}
	bob := signal.Member{ID: "cR8yU2eFoG4aLi6tSn0xKw", Name: "Bob \"the\" <builder> 工", User: "bob"}
	server := signal.Member{ID: signal.ServerID, Name: signal.ServerID}
	servers := []signal.ICEServer{
		{URLs: []string{"stun:box.example.org:3478"}},
		{
			URLs: []string{
				"turn:box.example.org:3478",
				"turn:box.example.org:3478?transport=tcp",
				"turns:box.example.org:8443?transport=tcp",
			},
			Username:   "1767229200:" + alice.ID,
			Credential: "dGhpcyBpcyBhIHNlY3JldA==",
		},
	}
	ice := signal.ICE{Servers: servers, Expires: time.UnixMilli(1767229200000)}
	welcome := signal.Welcome{Member: alice, ResumeToken: token, Outlives: time.Minute, Heartbeat: 25 * time.Second,
		ICE: ice}
	welcome.User = "alice"
	return map[string]outgoing{
		"welcome": {event: welcome},
		"resumed": {event: signal.Resumed{ID: alice.ID, ResumeToken: token, ICE: ice, Rooms: []string{"tea"}},
			received: 17},
		"resumed-elsewhere": {event: signal.Resumed{ID: alice.ID, ResumeToken: token,
			ICE: signal.ICE{Servers: servers[:1]}, Rooms: []string{}, AddressChanged: true}},
		"ice":   {event: signal.ICEUpdated{ICE: ice}, seq: 7},
		"token": {event: signal.Renewed{ResumeToken: token}},
		"sighted": {event: signal.Sighted{Test: "f3a9c2", Data: []byte(
			`{"kind":"allocated","transport":"udp","port":3478,"client":"198.51.100.7:51000",` +
				`"relay":"203.0.113.10:50000"}`)}},
		"joined": {event: signal.Joined{Room: "tea",
			Peers: []signal.Peer{{Member: alice, Polite: true}, {Member: bob, Polite: true}}, Capacity: 8}, seq: 1},
		"joined-empty":   {event: signal.Joined{Room: "tea", Peers: []signal.Peer{}}, seq: 1},
		"peer-joined":    {event: signal.PeerJoined{Room: "tea", Peer: signal.Peer{Member: bob}}, seq: 2},
		"left":           {event: signal.Left{Room: "tea"}, seq: 3},
		"left-kicked":    {event: signal.Left{Room: "tea", Reason: signal.ReasonKicked}, seq: 3},
		"peer-left":      {event: signal.PeerLeft{Room: "tea", Peer: bob, Reason: signal.ReasonLost}, seq: 4},
		"peer-left-call": {event: signal.PeerLeft{Peer: bob, Reason: signal.ReasonLost}, seq: 4},
		"peer-left-word": {event: signal.PeerLeft{Peer: bob, Reason: signal.ReasonLeft,
			Data: []byte(`"not now"`)}, seq: 10},
		"peer-left-answered": {event: signal.PeerLeft{Peer: alice, Reason: signal.ReasonAnsweredElsewhere}, seq: 10},
		"signal": {event: signal.Signaled{From: bob, Room: "tea",
			Data: []byte(`{"candidate": null, "<&>": 1.50}`)}, seq: 5},
		"signal-call": {event: signal.Signaled{From: alice, Polite: true,
			Data: []byte(`{"description":{"type":"offer","sdp":"v=0\r\n"}}`)}, seq: 6},
		"signal-server": {event: signal.Signaled{From: server, Data: []byte(`{"bell":3}`)}, seq: 8},
		"broadcast-server": {event: signal.Broadcasted{From: server, Room: "tea",
			Data: []byte(`{"bell":3}`)}, seq: 9},
		"broadcast": {event: signal.Broadcasted{From: bob, Room: "tea",
			Data: []byte(`"hi, all"`)}, seq: 9007199254740991},
		"pong":  {answer: pong()},
		"ack":   {answer: acknowledgment("17")},
		"error": {answer: refusal("17", signal.Refuse(signal.CodeRoomFull, ""))},
		"error-unasked": {event: signal.Ended{Code: signal.CodeShuttingDown,
			Message: signal.CodeShuttingDown.Sentence()}},
		"error-with-a-detail": {answer: refusal("18", signal.Refuse(signal.CodeBadFrame, "room is missing"))},
	}
}

type outgoing struct {
	event    signal.Event
	answer   []byte // instead of an event
	received uint64
	seq      uint64
}

// leaves is the message as it leaves.
func (out outgoing) leaves() []byte {
	body := out.answer
	if out.event != nil {
		body = encode(out.event, out.received)
	}
	if out.seq != 0 {
		return number(nil, body, out.seq)
	}
	return body
}

func clientGolden() map[string]clientMessage {
	bob := "cR8yU2eFoG4aLi6tSn0xKw"
	return map[string]clientMessage{
		"hello":       {Type: "hello", Name: "Alice", User: "alice", ID: "1", Seq: 1},
		"hello-empty": {Type: "hello"},
		"hello-again": {Type: "hello", Name: "Alice", Token: "correct horse", Replaces: token, ID: "1", Seq: 1},
		"resume":      {Type: "resume", Token: token, Seq: 41},
		"bye":         {Type: "bye"},
		"join":        {Type: "join", Room: "tea", ID: "17"},
		"leave":       {Type: "leave", Room: "tea"},
		"leave-call":  {Type: "leave", To: "cR8yU2eFoG4aLi6tSn0xKw", Data: json.RawMessage(`"not now"`), ID: "19"},
		"signal": {Type: "signal", To: bob, Room: "tea", Data: json.RawMessage(`{"candidate": null, "<&>": 1.50}`),
			Seq: 9007199254740991},
		"signal-call": {Type: "signal", To: "@bob",
			Data: json.RawMessage(`{"description":{"type":"offer","sdp":"v=0\r\n"}}`)},
		"broadcast": {Type: "broadcast", Room: "tea", Data: json.RawMessage(`"hi, all"`)},
		"ice":       {Type: "ice", ID: "a request id may be any text of 64 characters at most"},
		"watch":     {Type: "watch", Test: "f3a9c2", Users: []string{"alice"}, ID: "9"},
		"ping":      {Type: "ping", Received: 41},
	}
}

func goldenPath(from, name string) string {
	return filepath.Join("..", "testdata", "messages", from, name+".json")
}

func readGolden(t testing.TB, from, name string) string {
	t.Helper()
	text, err := os.ReadFile(goldenPath(from, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(text), "\n")
}

func TestServerMessages(t *testing.T) {
	t.Parallel()
	for name, out := range serverGolden() {
		if numbered := out.event != nil && out.event.Numbered(); numbered != (out.seq != 0) {
			t.Errorf("%s: sequenced %v, seq %d", name, numbered, out.seq)
		}
		got := string(out.leaves())
		if !json.Valid([]byte(got)) {
			t.Errorf("%s is not JSON: %s", name, got)
		}
		if *update {
			if err := os.WriteFile(goldenPath("server", name), []byte(got+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(readGolden(t, "server", name), got); diff != "" {
			t.Errorf("%s (-golden +got):\n%s", name, diff)
		}
	}
}

func TestClientMessages(t *testing.T) {
	t.Parallel()
	for name, want := range clientGolden() {
		got, err := decode([]byte(readGolden(t, "client", name)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Every golden file is used, every type of frame has one, and PROTOCOL.md shows each as it is.
func TestGoldenMessagesAreComplete(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	types := make(map[string]bool)
	for name := range serverGolden() {
		known[goldenPath("server", name)] = true
	}
	for name, m := range clientGolden() {
		known[goldenPath("client", name)] = true
		types[m.Type] = true
	}
	files, _ := filepath.Glob("../testdata/messages/*/*.json")
	for _, file := range files {
		if !known[file] {
			t.Errorf("%s is no test's", file)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(document), strings.TrimSpace(string(text))) {
			t.Errorf("PROTOCOL.md doesn't show %s", file)
		}
	}
	for kind := range verbs() {
		if !types[kind] {
			t.Errorf("no golden message of type %s", kind)
		}
	}
	for _, code := range signal.Codes() {
		number, sentence := code.WebSocket()
		row := "| `" + string(code) + "` | " + jsonNumber(number) + " | " + sentence
		if !strings.Contains(string(document), row) {
			t.Errorf("PROTOCOL.md has no row that starts with %s", row)
		}
	}
}

func jsonNumber(n int) string {
	text, _ := json.Marshal(n)
	return string(text)
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	wide := func(n int) string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf(`"a%d":{"a":"a","b":"a"}`, i)
		}
		return "{" + strings.Join(names, ",") + "}"
	}
	for name, test := range map[string]struct {
		frame string
		id    string // that is still known
	}{
		"nothing":               {frame: ""},
		"space":                 {frame: " \n"},
		"no JSON":               {frame: "hello"},
		"a cut object":          {frame: `{"type":"ping"`},
		"two objects":           {frame: `{"type":"ping"}{"type":"ping"}`},
		"an array":              {frame: `[{"type":"ping"}]`},
		"a string":              {frame: `"ping"`},
		"null":                  {frame: `null`},
		"broken UTF-8":          {frame: "{\"type\":\"ping\",\"x\":\"\xff\"}"},
		"no type":               {frame: `{"id":"1"}`, id: "1"},
		"a type that's no text": {frame: `{"type":1,"id":"1"}`, id: "1"},
		"an id that's no text":  {frame: `{"type":"ping","id":1}`},
		"a long id":             {frame: `{"type":"ping","id":"` + strings.Repeat("工", 65) + `"}`},
		"a long name":           {frame: `{"type":"hello","name":"` + strings.Repeat("x", 65) + `","id":"1"}`, id: "1"},
		"a long room":           {frame: `{"type":"join","room":"` + strings.Repeat("x", 129) + `","id":"1"}`, id: "1"},
		"a control character":   {frame: `{"type":"join","room":"a\nb","id":"1"}`, id: "1"},
		"a C1 control":          {frame: "{\"type\":\"join\",\"room\":\"a\u0085b\",\"id\":\"1\"}", id: "1"},
		"an override":           {frame: `{"type":"hello","name":"\u202etxt.exe","id":"1"}`, id: "1"},
		"a negative seq":        {frame: `{"type":"ping","seq":-1,"id":"1"}`, id: "1"},
		"a broken seq":          {frame: `{"type":"ping","seq":1.5,"id":"1"}`, id: "1"},
		"a seq as text":         {frame: `{"type":"ping","seq":"1","id":"1"}`, id: "1"},
		"an endless seq":        {frame: `{"type":"ping","seq":9007199254740992,"id":"1"}`, id: "1"},
		"a field twice":         {frame: `{"id":"1","type":"ping","type":"leave"}`, id: "1"},
		"a field twice, hidden": {frame: `{"id":"1","type":"ping","\u0074ype":"leave"}`, id: "1"},
		"a field twice, below":  {frame: `{"type":"ping","x":[{"a":1,"b":{"a":1},"\u0061":2}],"id":"1"}`, id: "1"},
		"many fields, one twice": {
			frame: `{"type":"ping","x":` + strings.Replace(wide(100), `"a99"`, `"a7"`, 1) + `,"id":"1"}`, id: "1",
		},
		"half a pair":           {frame: `{"type":"ping","data":"\ud83d","id":"1"}`, id: "1"},
		"the other half":        {frame: `{"type":"ping","data":{"x":["\uDE00"]},"id":"1"}`, id: "1"},
		"half a pair and text":  {frame: `{"type":"ping","data":"\ud83dx\ude00","id":"1"}`, id: "1"},
		"two first halves":      {frame: `{"type":"ping","data":"\ud83d\ud83d\ude00","id":"1"}`, id: "1"},
		"half a pair as a name": {frame: `{"type":"ping","data":{"\ud83d":1},"id":"1"}`, id: "1"},
		"half a pair in a name": {frame: `{"type":"hello","name":"\ud800","id":"1"}`, id: "1"},
		"a depth bomb":          {frame: `{"type":"ping","x":` + deep(64) + `}`},
		"a deeper bomb":         {frame: `{"type":"ping","x":` + deep(20_000) + `}`},
	} {
		m, err := decode([]byte(test.frame))
		if err == nil || signal.RefusalOf(err).Code != signal.CodeBadFrame {
			t.Errorf("%s: taken as %+v", name, m)
		}
		if m.ID != test.id {
			t.Errorf("%s: id %q, want %q", name, m.ID, test.id)
		}
	}
	for _, frame := range []string{
		`{"type":"ping","x":` + deep(63) + `}`,
		"\t{ \"type\" :\r\n\"ping\" , \"x\" : [ \"}\\\"\" , { } ] }\n",
		`{"type":"hello","name":"` + strings.Repeat("工", 64) + `","user":"` + strings.Repeat("😀", 64) + `"}`,
		`{"type":"hello","name":"👩‍👩‍👧 é"}`, // joined by U+200D, which is no control character
		`{"type":"join","room":"` + strings.Repeat("x", 128) + `","x":1e5,"y":true,"":{}}`,
		`{"type":"ping","data":["\ud83d\ude00\\ud83d",{"a":"a"},{"a":"a","A":1},` + wide(100) + `]}`,
	} {
		if _, err := decode([]byte(frame)); err != nil {
			t.Errorf("%.60s: %v", frame, err)
		}
	}
}

// FuzzDecode compares the decoder with encoding/json: what is taken is the same object, field by
// field.
func FuzzDecode(f *testing.F) {
	for name := range clientGolden() {
		f.Add([]byte(readGolden(f, "client", name)))
	}
	f.Add([]byte(`{"id":"1","type":"ping","\u0074ype":"leave"}`))
	f.Add([]byte(`{"x":[{"a":"}\\\""},[ ] , 1e5,true ],"type":"ping" , "room":null}`))
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, bad := decode(slices.Clone(frame))
		var object map[string]json.RawMessage
		err := json.Unmarshal(frame, &object)
		if bad != nil {
			if code := signal.RefusalOf(bad).Code; code != signal.CodeBadFrame {
				t.Fatalf("refused as %s", code)
			}
			return
		}
		if err != nil {
			t.Fatalf("taken, but %v", err)
		}
		for field, got := range map[string]string{
			"type": m.Type, "id": m.ID, "name": m.Name, "user": m.User, "to": m.To, "room": m.Room,
		} {
			var want string
			if raw, ok := object[field]; ok && json.Unmarshal(raw, &want) != nil {
				t.Fatalf("%s is %s, and was taken", field, raw)
			}
			if got != want || signal.CheckText(field, got, signal.MaxRoom) != nil {
				t.Fatalf("%s: %q, want %q", field, got, want)
			}
		}
		if string(m.Data) != string(object["data"]) {
			t.Fatalf("data: %s, want %s", m.Data, object["data"])
		}
	})
}
