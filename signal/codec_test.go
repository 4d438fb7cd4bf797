package signal

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden messages anew")

// token is what a resume token looks like.
const token = "wZ1lN9pQhT5sJb3vXk7mDg.VRhIz9TO67A.TlVHAmjz1jZN4qy-tGZ4rQTLkL7jJihyfRDD_NcdBFw"

// serverGolden is one of each message that the hub sends: the file's name, the message, its seq.
func serverGolden() map[string]outgoing {
	polite, alice := true, member{ID: "wZ1lN9pQhT5sJb3vXk7mDg", Name: "Alice"}
	bob := member{ID: "cR8yU2eFoG4aLi6tSn0xKw", Name: "Bob \"the\" <builder> 工", User: "bob"}
	servers := []ICEServer{
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
	return map[string]outgoing{
		"welcome": {welcome{
			PeerID: alice.ID, Name: "Alice", User: "alice", ResumeToken: token, ResumeSeconds: 60, HeartbeatSeconds: 25,
			ICEServers:   servers,
			ICEExpiresAt: 1767229200000, Protocol: protocol,
		}, 0},
		"resumed": {resumed{PeerID: alice.ID, Received: 17, ICEServers: servers,
			ICEExpiresAt: 1767229200000, Rooms: []string{"tea"}}, 0},
		"resumed-elsewhere": {resumed{PeerID: alice.ID, ICEServers: servers[:1], Rooms: []string{},
			AddressChanged: true}, 0},
		"ice": {iceUpdate{ICEServers: servers, ICEExpiresAt: 1767229200000}, 7},
		"joined": {joined{Room: "tea",
			Peers: []peer{{member: alice, Polite: true}, {member: bob, Polite: true}}, Capacity: 8}, 1},
		"joined-empty":   {joined{Room: "tea", Peers: []peer{}}, 1},
		"peer-joined":    {peerJoined{Room: "tea", Peer: peer{member: bob}}, 2},
		"left":           {left{Room: "tea"}, 3},
		"peer-left":      {peerLeft{Room: "tea", Peer: bob, Reason: reasonLost}, 4},
		"peer-left-call": {peerLeft{Peer: bob, Reason: reasonLost}, 4},
		"signal": {relayedSignal{From: bob.ID, FromName: bob.Name, FromUser: "bob", Room: "tea",
			data: json.RawMessage(`{"candidate": null, "<&>": 1.50}`)}, 5},
		"signal-call": {relayedSignal{From: alice.ID, FromName: "Alice", Polite: &polite,
			data: json.RawMessage(`{"description":{"type":"offer","sdp":"v=0\r\n"}}`)}, 6},
		"broadcast": {relayedBroadcast{From: bob.ID, FromName: bob.Name, Room: "tea",
			data: json.RawMessage(`"hi, all"`)}, 9007199254740991},
		"pong":          {pong{}, 0},
		"ack":           {ack{ID: "17"}, 0},
		"error":         {failure{Code: CodeRoomFull, Message: reasonFor(CodeRoomFull).sentence, ID: "17"}, 0},
		"error-unasked": {failure{Code: CodeShuttingDown, Message: reasonFor(CodeShuttingDown).sentence}, 0},
		"error-with-a-detail": {failure{Code: CodeBadFrame, Message: refuse(CodeBadFrame, "room is missing").sentence(),
			ID: "18"}, 0},
	}
}

type outgoing struct {
	message serverMessage
	seq     uint64
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
		"signal": {Type: "signal", To: bob, Room: "tea", Data: json.RawMessage(`{"candidate": null, "<&>": 1.50}`),
			Seq: 9007199254740991},
		"signal-call": {Type: "signal", To: "@bob",
			Data: json.RawMessage(`{"description":{"type":"offer","sdp":"v=0\r\n"}}`)},
		"broadcast": {Type: "broadcast", Room: "tea", Data: json.RawMessage(`"hi, all"`)},
		"ice":       {Type: "ice", ID: "a request id may be any text of 64 characters at most"},
		"ping":      {Type: "ping", Received: 41},
	}
}

func goldenPath(from, name string) string {
	return filepath.Join("testdata", "messages", from, name+".json")
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
	var c nativeCodec
	for name, out := range serverGolden() {
		if sequenced(out.message) != (out.seq != 0) {
			t.Errorf("%s: sequenced %v, seq %d", name, sequenced(out.message), out.seq)
		}
		got := string(c.appendFrame(nil, c.encode(out.message), out.seq))
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
		got, bad := nativeCodec{}.decode([]byte(readGolden(t, "client", name)))
		if bad != nil {
			t.Errorf("%s: %v", name, bad.sentence())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Every golden file is used, every type of frame has one, and PROTOCOL.md shows each as it is.
func TestGoldenMessagesAreComplete(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("PROTOCOL.md")
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
	files, _ := filepath.Glob("testdata/messages/*/*.json")
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
	for kind := range handlers() {
		if !types[kind] {
			t.Errorf("no golden message of type %s", kind)
		}
	}
	for _, r := range reasons {
		if row := "| `" + string(r.code) + "` | " + jsonNumber(r.close) + " | " +
			r.sentence; !strings.Contains(string(document), row) {
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
		"a depth bomb":          {frame: `{"type":"ping","x":` + deep(64) + `}`},
		"a deeper bomb":         {frame: `{"type":"ping","x":` + deep(20_000) + `}`},
	} {
		m, bad := nativeCodec{}.decode([]byte(test.frame))
		if bad == nil || bad.code != CodeBadFrame {
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
	} {
		if _, bad := (nativeCodec{}).decode([]byte(frame)); bad != nil {
			t.Errorf("%.60s: %s", frame, bad.sentence())
		}
	}
}

// What a client relays reaches the others byte by byte.
func TestDataIsVerbatim(t *testing.T) {
	t.Parallel()
	b := start(t, Options{})
	alice, bob := b.join(t, "tea", "Alice"), b.join(t, "tea", "Bob")
	alice.expect("peer-joined")
	for _, data := range []string{
		`null`, `0`, `-0.0`, `1e400`, `12345678901234567890123`, `""`, `"<&>\u003c\u2028` + "\u2028" + `\ud800"`, `[ ]`,
		`{"a":1,"a":2}`,
	} {
		bob.write(`{"data" : ` + data + ` ,"type":"broadcast","room":"tea"}`)
		bob.write(`{"type":"signal","to":"` + alice.id + `","data":` + data + `}`)
		for range 2 {
			_, text, err := alice.ws.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			var f struct{ Data json.RawMessage }
			if err := json.Unmarshal(text, &f); err != nil || string(f.Data) != data {
				t.Errorf("%s arrived in %s (%v)", data, text, err)
			}
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
		m, bad := nativeCodec{}.decode(slices.Clone(frame))
		var object map[string]json.RawMessage
		err := json.Unmarshal(frame, &object)
		if bad != nil {
			if bad.code != CodeBadFrame {
				t.Fatalf("refused as %s", bad.code)
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
			if got != want || checkText(field, got, maxRoom) != nil {
				t.Fatalf("%s: %q, want %q", field, got, want)
			}
		}
		if string(m.Data) != string(object["data"]) {
			t.Fatalf("data: %s, want %s", m.Data, object["data"])
		}
	})
}
