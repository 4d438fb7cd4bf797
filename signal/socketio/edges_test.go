package socketio

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
)

// raw is a client of a WebSocket that says what it likes.
type raw struct {
	t testing.TB
	*websocket.Conn
}

func dial(t testing.TB, url string, version int, query string) *raw {
	t.Helper()
	at := fmt.Sprintf("ws%s/socket.io/?EIO=%d&transport=websocket%s", strings.TrimPrefix(url, "http"), version, query)
	conn, _, err := websocket.DefaultDialer.Dial(at, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(patience))
	c := &raw{t, conn}
	if got := c.read(); !strings.HasPrefix(got, "0{") {
		t.Fatalf("got %q", got)
	}
	return c
}

// say says texts; what begins with a # is binary, in hex.
func (c *raw) say(messages ...string) {
	c.t.Helper()
	for _, m := range messages {
		kind, body := websocket.TextMessage, []byte(m)
		if text, ok := strings.CutPrefix(m, "#"); ok {
			kind = websocket.BinaryMessage
			body, _ = hex.DecodeString(text)
		}
		if err := c.WriteMessage(kind, body); err != nil {
			return // it is closed, as the test will see
		}
	}
}

func (c *raw) read() string {
	kind, body, err := c.ReadMessage()
	var late net.Error
	switch {
	case errors.As(err, &late) && late.Timeout():
		return "nothing in time"
	case err != nil:
		return "closed"
	case kind == websocket.BinaryMessage:
		return "#" + hex.EncodeToString(body)
	}
	return string(body)
}

// expect compares what comes; a * at the end stands for anything.
func (c *raw) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		got := c.read()
		if start, any := strings.CutSuffix(w, "*"); got != w && (!any || !strings.HasPrefix(got, start)) {
			c.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

// What the published suite pins down of Socket.IO 5, and more, each by name.
func TestEdges(t *testing.T) {
	t.Parallel()
	const connected = `40{"sid":"*`
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	for name, edge := range map[string]struct {
		version int
		says    []string
		gets    []string
	}{
		"no connect in time":         {4, nil, []string{"closed"}},
		"first packet is no connect": {4, []string{`42["a"]`}, []string{"closed"}},
		"first packet is nonsense":   {4, []string{"4abc"}, []string{"closed"}},
		"connect":                    {4, []string{"40"}, []string{connected}},
		"connect with auth":          {4, []string{`40{"token":"123"}`}, []string{connected}},
		"connect twice": {4, []string{"40", "40", `42["join","t"]`},
			[]string{connected, `42["joined","t",*`}},
		"unknown namespace": {4, []string{"40/random"},
			[]string{`44/random,{"message":"Invalid namespace"}`}},
		"unknown namespace, and then /": {4, []string{"40/random,", "40"}, []string{`44/random,*`, connected}},
		"unknown namespace in 3":        {3, []string{"40/random,"}, []string{"40", `44/random,"Invalid namespace"`}},
		"disconnect keeps the connection": {4, []string{"40", "41", `42["join","t"]`, "40", `42["join","t"]`},
			[]string{connected, connected, `42["joined","t",*`}},
		"event that is an object":     {4, []string{"40", "42{}"}, []string{connected, "closed"}},
		"event with a broken ack":     {4, []string{"40", "42abc[]"}, []string{connected, "closed"}},
		"packet of no type":           {4, []string{"40", "4abc"}, []string{connected, "closed"}},
		"2^31 attachments":            {4, []string{"40", `452147483648-["a"]`}, []string{connected, "closed"}},
		"20,000 levels":               {4, []string{"40", `42["a",` + deep + `]`}, []string{connected, "closed"}},
		"binary that belongs nowhere": {4, []string{"40", "#01"}, []string{connected, "closed"}},
		"text in place of binary": {4, []string{"40", `451-["a",{"_placeholder":true,"num":0}]`, `42["a"]`},
			[]string{connected, "closed"}},
		"binary event without a place": {4, []string{"40", `451-["a",{"_placeholder":true,"num":7}]`, "#01"},
			[]string{connected, "closed"}},
		"unknown event": {4, []string{"40", `42["nobody knows"]`, `42["join","t"]`},
			[]string{connected, `42["joined","t",*`}},
		"ack that nobody awaits": {4, []string{"40", `4317["x"]`, `42["join","t"]`},
			[]string{connected, `42["joined","t",*`}},
		"binary ack that nobody awaits": {4, []string{"40", `461-17[{"_placeholder":true,"num":0}]`, "#01",
			`42["join","t"]`},
			[]string{connected, `42["joined","t",*`}},
		"no name of a room": {4, []string{"40", `42["join",1]`, `42["join",""]`, `42["join"]`, `42["join","a\u0007"]`,
			`42["join","` + strings.Repeat("x", 129) + `"]`, `42["join","t"]`},
			[]string{connected, `42["joined","t",*`}},
		"another row's event": {4, []string{"40", `42["join","t"]`, `42["vjoin","t","x"]`, `42["leave","t"]`},
			[]string{connected, `42["joined","t",*`, `42["ice",{"iceServers":[]}]`, `42["leaved","t",*`}},
		"binary event": {4, []string{"40", `42["create or join","t"]`,
			`451-["message",{"_placeholder":true,"num":0}]`, "#0102"},
			[]string{connected, `42["log",*`, `42["log",*`, `42["log",*`, `42["created","t",*`, `42["ice",*`,
				`451-["log",["Message from server:","Client said: ",{"_placeholder":true,"num":0}]]`, "#0102"}},
		"event with an ack": {4, []string{"40", `42["join","t"]`, `42456["anything"]`},
			[]string{connected, `42["joined","t",*`, `42["ice",*`, `43456[{"peers":0}]`}},
		"binary event with an ack": {4, []string{"40", `42["join","t"]`,
			`452-789["anything",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "#01", "#02"},
			[]string{connected, `42["joined","t",*`, `42["ice",*`, `43789[{"peers":0}]`}},
		"vleave of an unknown room": {4, []string{"40", `42["vjoin","t","x"]`, `42["vleave","nobody-is-here","x"]`,
			`42["vleave","t","x"]`},
			[]string{connected, `42["vjoined","t"]`, `42["ice",*`, `42["vleft","t"]`}},
		"vleave of one that is nowhere": {4, []string{"40", `42["vleave","nobody-is-here","x"]`, `42["vjoin","t"]`},
			[]string{connected, `42["vjoined","t"]`}},
		"no argument": {4, []string{"40", `42["vjoin","t"]`, `42["vleave"]`, `42["vdata"]`, `42["vleave","t"]`},
			[]string{connected, `42["vjoined","t"]`, `42["ice",*`, `42["vleft","t"]`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{Relay: true, Connect: time.Hour}
			if len(edge.says) == 0 {
				o.Connect = 2 * time.Second // in which the other one has to come, too
			}
			url, hub := newBox(t, signal.Options{}, o)
			c := dial(t, url, edge.version, "")
			c.say(edge.says...)
			c.expect(edge.gets...)
			// Whatever it was, others are served.
			other := dial(t, url, 4, "")
			other.say("40", `42["vjoin","other","x"]`)
			other.expect(connected, `42["vjoined","other"]`)
			if n := hub.Snapshot().Dialects["socket.io"]; n.Opened == 0 {
				t.Errorf("got %+v", n)
			}
		})
	}
}

// The answer to a connect has the key sid alone: recovery, which would add pid, is not there.
func TestConnectAnswerHasSidAlone(t *testing.T) {
	t.Parallel()
	url, _ := newBox(t, signal.Options{}, Options{})
	c := dial(t, url, 4, "")
	c.say("40")
	var answer map[string]string
	if err := json.Unmarshal([]byte(strings.TrimPrefix(c.read(), "40")), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer) != 1 || answer["sid"] == "" {
		t.Errorf("got %v", answer)
	}
}

// A client that may not enter hears so in its protocol's words, before and after it is in.
func TestAdmission(t *testing.T) {
	t.Parallel()
	url, hub := newBox(t, signal.Options{Guard: guard{}}, Options{Relay: true})
	c := dial(t, url, 4, "")
	c.say(`40{"token":"wrong"}`)
	c.expect(`44{"message":"*`, "closed")
	c = dial(t, url, 3, "&token=wrong")
	c.expect(`44"*`, "closed")
	c = dial(t, url, 3, "&token=right")
	c.expect("40")
	c = dial(t, url, 4, "&token=wrong&room=den")
	c.say(`40{"token":"right"}`)
	c.expect(`40{"sid":"*`, `42["ice",*`)
	if _, there := hub.Room("sio/den"); !there {
		t.Error("it has not joined the room of its query")
	}
	hub.Kick(func(signal.Kicked) bool { return true })
	c.expect("41", "closed")
}

type guard struct{}

func (guard) Admit(token string, _ netip.Addr) (signal.Pass, error) {
	if token != "right" {
		return signal.Pass{}, signal.ErrUnauthorized
	}
	return signal.Pass{Key: token}, nil
}

// Clients of other protocols are members like any other.
func TestOthersInTheRoom(t *testing.T) {
	t.Parallel()
	url, hub := newBox(t, signal.Options{}, Options{})
	c := dial(t, url, 4, "")
	c.say("40", `42["vjoin","t","alice"]`)
	c.expect(`40{"sid":"*`, `42["vjoined","t"]`, `42["ice",*`)
	for data, want := range map[string]string{
		`["vgetdata","t",1]`: `42["vgetdata","t",1]`, `{"description":1}`: `42["vgetdata","t",{"description":1}]`,
		`no JSON`: `42["vgetdata","t","no JSON"]`, `["disconnect"]`: `42["vgetdata","t",["disconnect"]]`,
	} {
		if err := hub.TellRoom("sio/t", []byte(data)); err != nil {
			t.Fatal(err)
		}
		c.expect(want)
	}
}

// A packet whose binary values don't come is held, counted, and bounded.
func TestHalfReceivedBinary(t *testing.T) {
	t.Parallel()
	url, _ := newBox(t, signal.Options{}, Options{})
	c := dial(t, url, 4, "")
	c.say("40", `42["vjoin","t"]`)
	c.expect(`40{"sid":"*`, `42["vjoined","t"]`, `42["ice",*`)
	places := make([]string, maxAttachments)
	for i := range places {
		places[i] = fmt.Sprintf(`{"_placeholder":true,"num":%d}`, i)
	}
	c.say(`45` + strconv.Itoa(maxAttachments) + `-["vdata","t",` + strings.Join(places, ",") + `]`)
	for range maxAttachments - 1 { // which are more than maxPartial; one never comes
		c.say("#" + strings.Repeat("00", 40_000))
	}
	c.expect("closed")
	other := dial(t, url, 4, "")
	other.say("40", `42["vjoin","t"]`)
	other.expect(`40{"sid":"*`, `42["vjoined","t"]`)
}
