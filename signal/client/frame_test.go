package client

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The hub's own files of what it sends, each with all that a client needs of it.
func TestDecodesEveryMessageOfTheServer(t *testing.T) {
	t.Parallel()
	polite := true
	ice := []ICEServer{
		{URLs: []string{"stun:box.example.org:3478"}},
		{
			URLs: []string{
				"turn:box.example.org:3478", "turn:box.example.org:3478?transport=tcp",
				"turns:box.example.org:8443?transport=tcp",
			},
			Username: "1767229200:wZ1lN9pQhT5sJb3vXk7mDg", Credential: "dGhpcyBpcyBhIHNlY3JldA==",
		},
	}
	const (
		expires = 1767229200000
		alice   = "wZ1lN9pQhT5sJb3vXk7mDg"
		bob     = "cR8yU2eFoG4aLi6tSn0xKw"
		bobName = `Bob "the" <builder> 工`
		token   = alice + ".VRhIz9TO67A.TlVHAmjz1jZN4qy-tGZ4rQTLkL7jJihyfRDD_NcdBFw"
	)
	left := inFrame{Type: "peer-left", Room: "tea", Peer: Peer{ID: bob, Name: bobName, User: "bob"}, Reason: "lost",
		Seq: 4}
	leftCall := left
	leftCall.Room = ""
	want := map[string]inFrame{
		"ack": {Type: "ack", ID: "17"},
		"broadcast": {Type: "broadcast", From: bob, FromName: bobName, Room: "tea",
			Data: json.RawMessage(`"hi, all"`), Seq: 1<<53 - 1},
		"error":         {Type: "error", Code: CodeRoomFull, Message: "the room is full", ID: "17"},
		"error-unasked": {Type: "error", Code: CodeShuttingDown, Message: "the server is going down"},
		"error-with-a-detail": {Type: "error", Code: CodeBadFrame,
			Message: "the frame is not what the protocol says: room is missing", ID: "18"},
		"ice": {Type: "ice", ICEServers: ice, ICEExpiresAt: expires, Seq: 7},
		"joined": {Type: "joined", Room: "tea", Capacity: 8, Seq: 1, Peers: []Peer{
			{ID: alice, Name: "Alice", Polite: true}, {ID: bob, Name: bobName, User: "bob", Polite: true},
		}},
		"joined-empty":   {Type: "joined", Room: "tea", Peers: []Peer{}, Seq: 1},
		"left":           {Type: "left", Room: "tea", Seq: 3},
		"peer-joined":    {Type: "peer-joined", Room: "tea", Peer: Peer{ID: bob, Name: bobName, User: "bob"}, Seq: 2},
		"peer-left":      left,
		"peer-left-call": leftCall,
		"peer-left-word": {Type: "peer-left", Peer: left.Peer, Reason: "left", Data: json.RawMessage(`"not now"`),
			Seq: 10},
		"peer-left-answered": {Type: "peer-left", Peer: Peer{ID: alice, Name: "Alice"}, Reason: "answered-elsewhere",
			Seq: 10},
		"pong":    {Type: "pong"},
		"resumed": {Type: "resumed", PeerID: alice, ResumeToken: token, ICEServers: ice, ICEExpiresAt: expires},
		"resumed-elsewhere": {
			Type: "resumed", PeerID: alice, ResumeToken: token, ICEServers: ice[:1], AddressChanged: true,
		},
		"signal": {
			Type: "signal", From: bob, FromName: bobName, FromUser: "bob", Room: "tea",
			Data: json.RawMessage(`{"candidate": null, "<&>": 1.50}`), Seq: 5,
		},
		"signal-call": {
			Type: "signal", From: alice, FromName: "Alice", Polite: &polite,
			Data: json.RawMessage(`{"description":{"type":"offer","sdp":"v=0\r\n"}}`), Seq: 6,
		},
		"sighted": {
			Type: "sighted",
			Data: json.RawMessage(`{"kind":"allocated","transport":"udp","port":3478,"client":"198.51.100.7:51000",` +
				`"relay":"203.0.113.10:50000"}`),
		},
		"token":       {Type: "token", ResumeToken: token},
		"left-kicked": {Type: "left", Room: "tea", Reason: "kicked", Seq: 3},
		"signal-server": {
			Type: "signal", From: "server", FromName: "server", Data: json.RawMessage(`{"bell":3}`), Seq: 8,
		},
		"broadcast-server": {
			Type: "broadcast", From: "server", FromName: "server", Room: "tea", Data: json.RawMessage(`{"bell":3}`),
			Seq: 9,
		},
		"welcome": {
			Type: "welcome", PeerID: alice, Name: "Alice", User: "alice", ResumeToken: token, ResumeSeconds: 60,
			HeartbeatSeconds: 25,
			ICEServers:       ice, ICEExpiresAt: expires,
		},
	}
	files, err := filepath.Glob("../testdata/messages/server/*.json")
	if err != nil || len(files) < len(want) {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		frame, known := want[name]
		if !known {
			t.Errorf("%s: what is a client to make of it?", name)
			continue
		}
		if got, err := decode(text); err != nil || !reflect.DeepEqual(*got, frame) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, got, frame)
		}
	}
}

// Every code that the hub closes with has its row here: with a missing one, a client would come
// back that must not.
func TestCloseCodesAreThoseOfTheProtocol(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	ours := make(map[string]int)
	for _, row := range closeCodes {
		ours[string(row.code)] = row.close
	}
	theirs := make(map[string]int)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		var number int
		if json.Unmarshal([]byte(cells[2]), &number) == nil {
			theirs[strings.Trim(cells[1], " `")] = number
		}
	}
	if len(ours) == 0 || !reflect.DeepEqual(ours, theirs) {
		t.Errorf("got  %v\nwant %v", ours, theirs)
	}
}
